//! Sealed files that were changed, cut, or put together of two.

use base64::Engine as _;
use pod_checkpointer::seal::UnsealError;
use proptest::prelude::*;

use super::{EC, RSA};

const CHUNK: usize = 64 << 10;

/// Where the payload begins.
fn payload(sealed: &[u8]) -> usize {
    let mac = sealed.windows(5).position(|at| at == b"\n--- ").expect("a MAC") + 1;
    mac + sealed[mac..].iter().position(|byte| *byte == b'\n').expect("its end") + 1
}

#[test]
fn every_length_around_a_chunk_comes_back() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK] {
        let plain: Vec<u8> = (0..=250).cycle().take(length).collect();
        assert!(EC.open(&EC.seal(&plain)).unwrap() == plain, "{length}");
    }
}

#[test]
fn no_bit_of_a_byte_may_change() {
    // The RSA key is slow; its envelope is all that differs.
    for (holder, bits, step) in [(&*EC, 8, 1), (&*RSA, 1, 5)] {
        let sealed = holder.seal(b"secret");
        for at in (0..sealed.len()).step_by(step) {
            for bit in 0..bits {
                let mut other = sealed.clone();
                other[at] ^= 1 << bit;
                assert!(holder.open(&other).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn no_byte_may_be_missing_or_too_many() {
    let sealed = EC.seal(b"secret");
    for length in 0..sealed.len() {
        assert!(EC.open(&sealed[..length]).is_err(), "{length}");
    }
    for more in [&b"\0"[..], b"more", &sealed] {
        assert!(EC.open(&[&sealed[..], more].concat()).is_err());
    }
}

#[test]
fn a_file_that_ends_between_chunks_is_told_to_be_cut() {
    let sealed = EC.seal(&vec![7; 3 * CHUNK]);
    let first = payload(&sealed) + 16;
    for chunks in 1..3 {
        let cut = EC.open(&sealed[..first + chunks * (CHUNK + 16)]);
        assert!(matches!(cut, Err(UnsealError::Truncated)), "{cut:?}");
    }
}

#[test]
fn chunks_cannot_change_places() {
    let sealed = EC.seal(&vec![7; 3 * CHUNK]);
    let chunk = |number: usize| payload(&sealed) + 16 + number * (CHUNK + 16);
    let mut swapped = sealed[..chunk(0)].to_vec();
    for number in [1, 0, 2] {
        swapped.extend_from_slice(&sealed[chunk(number)..chunk(number + 1)]);
    }
    assert_eq!(swapped.len(), sealed.len());
    assert!(matches!(EC.open(&swapped), Err(UnsealError::Tampered)));
}

#[test]
fn header_and_payload_belong_together() {
    let (one, other) = (EC.seal(b"one"), EC.seal(b"two"));
    let mixed = [&one[..payload(&one)], &other[payload(&other)..]].concat();
    assert!(matches!(EC.open(&mixed), Err(UnsealError::Tampered)));
}

#[test]
fn stanzas_of_two_headers_do_not_go_together() {
    let (one, other) = (EC.seal(b"one"), EC.seal(b"two"));
    let header = |sealed: &[u8]| String::from_utf8(sealed[..payload(sealed)].to_vec()).unwrap();
    let envelope = |header: &str| header[header.find("-> pod").unwrap()..header.find("---").unwrap()].to_owned();
    let swapped = header(&one).replace(&envelope(&header(&one)), &envelope(&header(&other)));
    assert!(EC.open(&[swapped.as_bytes(), &one[payload(&one)..]].concat()).is_err());
    // One more recipient, whom nobody let in.
    let added = header(&one).replacen("-> pod", "-> X \n\n-> pod", 1);
    assert!(EC.open(&[added.as_bytes(), &one[payload(&one)..]].concat()).is_err());
    let added = header(&one).replacen("-> pod", "-> X25519 AAAA\n\n-> pod", 1);
    assert!(matches!(EC.open(&[added.as_bytes(), &one[payload(&one)..]].concat()), Err(UnsealError::NotOurs)));
}

#[test]
fn headers_without_end_are_not_read_to_it() {
    let mut begin = b"age-encryption.org/v1\n".to_vec();
    for (endless, word) in [
        (&b"x"[..], "too long"),
        (b"-> a b\n\n", "too many recipients"),
        (b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2\n", "no known kind"),
    ] {
        let file = [begin.clone(), endless.repeat((8 << 20) / endless.len())].concat();
        let why = EC.open(&file).unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
    }
    begin.extend_from_slice(b"-> a\n");
    begin.extend(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2\n".repeat(100_000));
    assert!(EC.open(&begin).unwrap_err().to_string().contains("too long"));
}

#[test]
fn other_files_are_told_from_damaged_ones() {
    let why = |bytes: &[u8]| EC.open(bytes).unwrap_err();
    assert!(matches!(why(b"-----BEGIN AGE ENCRYPTED FILE-----\n"), UnsealError::Format(_)));
    assert!(matches!(why(&[0xff; 100]), UnsealError::Truncated | UnsealError::Format(_)));
    let of_age = "age-encryption.org/v1\n-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n\
                  EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n";
    assert!(matches!(why(of_age.as_bytes()), UnsealError::NotOurs));
    let no_cms = base64::engine::general_purpose::STANDARD_NO_PAD.encode(b"no CMS");
    let file = format!("age-encryption.org/v1\n-> pod-checkpointer.cms-v1\n{no_cms}\n--- {}\n", "A".repeat(43));
    assert!(matches!(why(file.as_bytes()), UnsealError::Envelope(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_opening_fail_in_another_way(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let file = [&b"age-encryption.org/v1\n-> "[..], &bytes].concat();
        prop_assert!(EC.open(&bytes).is_err() && EC.open(&file).is_err());
    }
}
