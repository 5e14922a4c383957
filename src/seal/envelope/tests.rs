use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Made by OpenSSL 3.0: `ecparam -name prime256v1 -genkey`, `cms -encrypt -aes-256-gcm -keyopt ecdh_kdf_md:sha256`.
const KEY_OF_OPENSSL: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIB1RdWFSzYknURH3L3XFBp84sltDdRO5sW/TjhccGMAxoAoGCCqGSM49
AwEHoUQDQgAEuFFIMxVrnHf6bsR3aAKMvFGJ16gfpsY+ahYdA7W8Jc2edRVWKTaE
K7vY4w35D3F09fxQ6yuuWRsDDAEbWsFsFQ==
-----END EC PRIVATE KEY-----
";
const CMS_OF_OPENSSL: &str = "MIIBJwYLKoZIhvcNAQkQARegggEWMIIBEgIBADGBxKGBwQIBA6BRoU8wCQYHKoZIzj0CAQNCAAQ8iZOadZrKZpABJylbsnFtLgKqT\
                              WPw0svBca+3kdNJn6YJQTwtpGyVfKwuWlL30Yce3Bhg3SDQQ6VurHCi9VoVMBUGBiuBBAELATALBglghkgBZQMEAS0wUjBQMCQwDD\
                              EKMAgGA1UEAwwBZQIUBCvwg77MrErlsP9UaobPvU2Oqn8EKCl0E2H70EzlcT92om/korEVkovdOt+Gt/QRmW13l4iP+ACE3j29V/g\
                              wNAYJKoZIhvcNAQcBMB4GCWCGSAFlAwQBLjARBAye3XCZDghLTg8phUoCARCAB/+gdtCFxS4EEGekBn4BYa/YSG1jIjo4ed0=";

#[test]
fn an_envelope_of_openssl_opens() {
    let envelope = Envelope::parse(&STANDARD.decode(CMS_OF_OPENSSL).unwrap()).unwrap();
    let key = PrivateKey::from_pem(KEY_OF_OPENSSL.as_bytes()).unwrap();
    assert_eq!(envelope.open(&key).unwrap().as_slice(), b"secret\n");
}

#[test]
fn no_byte_of_an_envelope_makes_reading_it_fail_otherwise() {
    let good = STANDARD.decode(CMS_OF_OPENSSL).unwrap();
    let key = PrivateKey::from_pem(KEY_OF_OPENSSL.as_bytes()).unwrap();
    let mut unopened = 0;
    for at in 0..good.len() {
        for to in [0, good[at] ^ 1, good[at] ^ 0x80, 0xff] {
            let mut changed = good.clone();
            changed[at] = to;
            let opened = Envelope::parse(&changed).and_then(|envelope| envelope.open(&key));
            // Who it is for is not authenticated by CMS; age's MAC does that.
            assert!(opened.as_ref().map_or(true, |plain| plain.as_slice() == b"secret\n"), "byte {at}");
            unopened += usize::from(opened.is_err());
        }
        assert!(Envelope::parse(&good[..at]).is_err(), "{at}");
    }
    assert!(unopened > 3 * good.len() / 2, "{unopened}");
}
