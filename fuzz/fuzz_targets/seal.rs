//! A sealed archive, a certificate and a private key, from whoever hands them over. The first byte says which; nothing can
//! be a sealed archive to a key that was made just now.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::seal::{Recipient, unseal};

const KEY: &[u8] = include_bytes!("../seeds/seal/key");
/// Sealed to the key's certificate.
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| include_bytes!("../seeds/seal/sealed")[1..].to_vec());

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let open = |key: &[u8], certificate: Option<&[u8]>, mut sealed: &[u8]| {
        unseal(key, certificate, &mut sealed, &mut std::io::sink(), &mut |_| {})
    };
    match which {
        b's' => {
            // Only what is the same can be opened.
            assert!(open(&KEY[1..], None, rest).is_err() || rest == SEALED.as_slice());
        }
        b'k' => drop(open(rest, None, &SEALED)),
        b'c' => {
            drop(open(&KEY[1..], Some(rest), &SEALED));
            let now = "2027-01-01T00:00:00Z".parse().expect("a time");
            if let Ok(recipient) = Recipient::from_pem(rest, now) {
                let sealed =
                    pod_checkpointer::seal::seal(&recipient, &mut &b"x"[..], &mut std::io::sink(), &mut |_| {});
                assert_eq!(sealed.expect("who is taken can be sealed to"), 1);
            }
        }
        _ => {}
    }
});
