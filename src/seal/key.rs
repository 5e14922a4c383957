//! The private key of a certificate, as people and Secrets have it: PEM of PKCS#8, PKCS#1 or SEC 1, not encrypted.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Encode, Sequence};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use spki::AlgorithmIdentifierRef;
use zeroize::{Zeroize, Zeroizing};

use super::UnsealError;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"); // a constant, checked when compiled

/// A private key. The library clears its memory.
pub(super) enum PrivateKey {
    Rsa(OaepPrivateDecryptingKey),
    Ec(agreement::PrivateKey),
}

/// RFC 5208, `PrivateKeyInfo`.
#[derive(Sequence)]
struct Pkcs8<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    key: OctetStringRef<'a>,
}

impl PrivateKey {
    /// Takes the first private key of a PEM file.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, UnsealError> {
        const ENCRYPTED: &[u8] = b"ENCRYPTED";
        let Ok(mut der) = PrivateKeyDer::from_pem_slice(pem) else {
            let encrypted = pem.windows(ENCRYPTED.len()).any(|word| word == ENCRYPTED);
            return Err(UnsealError::Key(if encrypted {
                "it is encrypted; decrypt it with `openssl pkey -in KEY -out PLAIN` where nobody else can read it"
            } else {
                "there is no private key in PEM in it"
            }));
        };
        let key = Self::from_der(&der);
        der.zeroize();
        key.ok_or(UnsealError::Key("it is neither RSA of 2048 to 8192 bits nor EC on P-256, P-384 or P-521"))
    }

    fn from_der(der: &PrivateKeyDer<'_>) -> Option<Self> {
        let bytes = der.secret_der();
        match der {
            PrivateKeyDer::Pkcs1(_) => Self::rsa(&in_pkcs8(bytes)?),
            _ => Self::rsa(bytes).or_else(|| Self::ec(bytes)),
        }
    }

    fn rsa(pkcs8: &[u8]) -> Option<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
        OaepPrivateDecryptingKey::new(key).ok().map(Self::Rsa)
    }

    fn ec(der: &[u8]) -> Option<Self> {
        let on = |curve| agreement::PrivateKey::from_private_key_der(curve, der).ok();
        [&ECDH_P256, &ECDH_P384, &ECDH_P521].into_iter().find_map(on).map(Self::Ec)
    }
}

fn in_pkcs8(pkcs1: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) };
    let info = Pkcs8 { version: 0, algorithm, key: OctetStringRef::new(pkcs1).ok()? };
    info.to_der().ok().map(Zeroizing::new)
}
