//! To whom can be sealed, and to whom not.

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use pod_checkpointer::seal::{Recipient, RecipientError, STANZA, UnsealError, unseal};
use rcgen::{KeyPair, RsaKeySize};

use super::{EC, Holder, RSA};

/// After the certificates of `tests/certificates` were made; they are valid for a hundred years.
const LATER: Timestamp = Timestamp::constant(1_800_000_000, 0);

#[test]
fn every_kind_of_key_opens_what_is_sealed_to_it() {
    let holders = [
        Holder::ec("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
        Holder::ec("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
        Holder::ec("p521", &rcgen::PKCS_ECDSA_P521_SHA512),
        Holder::rsa("rsa2048", RsaKeySize::_2048),
        Holder::rsa("rsa4096", RsaKeySize::_4096),
    ];
    let plain = b"the memory of a process".repeat(10_000);
    for holder in &holders {
        let sealed = holder.seal(&plain);
        assert_eq!(holder.open(&sealed).unwrap(), plain, "{}", holder.recipient().subject());
        for other in holders.iter().filter(|other| other.key != holder.key) {
            assert!(matches!(other.open(&sealed), Err(UnsealError::WrongKey)));
        }
        // What docs/formats.md takes out with sed needs no padding for `base64 -d`.
        let text = String::from_utf8_lossy(&sealed);
        let body: String = text
            .lines()
            .skip_while(|line| !line.contains(STANZA))
            .skip(1)
            .take_while(|l| !l.starts_with('-'))
            .collect();
        assert!(body.len() > 300 && body.len().is_multiple_of(4), "{}: {}", holder.recipient().subject(), body.len());
    }
}

#[test]
fn another_holders_certificate_is_named() {
    let sealed = EC.seal(b"x");
    let with = |certificate: &str| {
        unseal(EC.key.as_bytes(), Some(certificate.as_bytes()), &mut &sealed[..], &mut std::io::sink(), &mut |_| {})
    };
    assert_eq!(with(&EC.certificate).unwrap(), 1);
    match with(&RSA.certificate) {
        Err(UnsealError::OtherCertificate { issuer, .. }) => assert!(issuer.contains("CN=ec"), "{issuer}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(with("no certificate"), Err(UnsealError::Certificate(_))));
}

#[test]
fn keys_come_in_every_form_but_encrypted() {
    let with = |holder: &Holder, key: &str| {
        let sealed = holder.seal(b"x");
        unseal(key.as_bytes(), None, &mut &sealed[..], &mut std::io::sink(), &mut |_| {})
    };
    // The inner part of PKCS#8 is the form of its own, after headers of constant length.
    let inner = |holder: &Holder, from: usize| KeyPair::from_pem(&holder.key).unwrap().serialize_der()[from..].to_vec();
    let pem = |label: &str, der: Vec<u8>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    assert_eq!(with(&RSA, &pem("RSA PRIVATE KEY", inner(&RSA, 26))).unwrap(), 1);
    let sec1 = pem("EC PRIVATE KEY", inner(&EC, 29));
    assert_eq!(with(&EC, &sec1).unwrap(), 1);
    assert_eq!(with(&EC, &format!("{}{sec1}", EC.certificate)).unwrap(), 1);
    for (key, word) in [
        (EC.certificate.as_str(), "no private key"),
        ("", "no private key"),
        (&pem("PRIVATE KEY", vec![1, 2, 3]), "neither RSA"),
        (&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem(), "neither RSA"),
        (&pem("ENCRYPTED PRIVATE KEY", vec![1, 2, 3]), "openssl pkey"),
    ] {
        let why = with(&EC, key).unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
    }
}

fn refused(pem: &[u8], now: Timestamp) -> RecipientError {
    Recipient::from_pem(pem, now).err().expect("a refusal")
}

#[test]
fn keys_that_cannot_be_sealed_to_are_refused_with_what_would_do() {
    let ed25519 = Holder::ec("ed", &rcgen::PKCS_ED25519).certificate;
    let cases: [(&[u8], &str); 5] = [
        (include_bytes!("../../certificates/rsa-1024.pem"), "an RSA key of 1024 bits"),
        (include_bytes!("../../certificates/rsa-pss.pem"), "PSS"),
        (include_bytes!("../../certificates/secp256k1.pem"), "curve 1.3.132.0.10"),
        (include_bytes!("../../certificates/explicit-curve.pem"), "without a name"),
        (ed25519.as_bytes(), "Ed25519"),
    ];
    for (pem, what) in cases {
        let why = refused(pem, LATER);
        assert!(matches!(&why, RecipientError::Key { key, .. } if key.contains(what)), "{why:?}");
        assert!(why.to_string().contains("2048 to 8192 bits or an EC key on P-256, P-384 or P-521"), "{why}");
    }
}

#[test]
fn a_certificate_has_its_time() {
    let key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2027, 1, 1));
    let pem = params.self_signed(&key).unwrap().pem();
    let (from, to): (Timestamp, Timestamp) =
        ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
    let second = SignedDuration::from_secs(1);
    assert!(
        matches!(refused(pem.as_bytes(), from - second), RecipientError::NotYet { from: since, .. } if since == from)
    );
    assert!(matches!(refused(pem.as_bytes(), to + second), RecipientError::Expired { since, .. } if since == to));
    for now in [from, to] {
        assert!(Recipient::from_pem(pem.as_bytes(), now).is_ok());
    }
}

#[test]
fn the_leaf_is_the_first_certificate_and_its_subject_is_told() {
    let chain = format!("{}{}", EC.certificate, RSA.certificate);
    let recipient = Recipient::from_pem(chain.as_bytes(), Timestamp::now()).unwrap();
    assert!(recipient.subject().contains("CN=ec"), "{}", recipient.subject());
    for bad in ["", "x", EC.key.as_str(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(refused(bad.as_bytes(), Timestamp::now()), RecipientError::Form(_)), "{bad}");
    }
}
