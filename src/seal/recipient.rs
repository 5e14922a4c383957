//! To whom is sealed: the leaf of a certificate file, if its key is one that can be sealed to. Its issuer is not judged: who
//! names a certificate has chosen it.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::rsa::PublicEncryptingKey;
use cms::cert::IssuerAndSerialNumber;
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;
use x509_cert::time::Time;

/// RFC 8017, 3279, 5480, 8410.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"); // a constant, checked when compiled
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"); // likewise
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1"); // likewise
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"); // likewise
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34"); // likewise
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35"); // likewise
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112"); // likewise

/// Bits of an RSA key that can be sealed to.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The holder of a certificate's private key.
#[derive(Clone)]
pub struct Recipient {
    subject: String,
    /// How CMS names the certificate.
    pub(super) certificate: IssuerAndSerialNumber,
    pub(super) key: PublicKey,
}

/// A public key that can be sealed to.
#[derive(Clone)]
pub(super) enum PublicKey {
    /// For OAEP.
    Rsa(PublicEncryptingKey),
    /// For ECDH: the curve, and the point.
    Ec(&'static agreement::Algorithm, ParsedPublicKey),
}

/// A certificate that cannot be sealed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// No certificate in it, or one that cannot be read.
    #[error("there is no X.509 certificate in PEM in it: {0}")]
    Form(String),
    /// Its time has not come.
    #[error("the certificate of {subject} is not valid before {from}; check the clock, or use another certificate")]
    NotYet {
        /// Distinguished name of whom it is for.
        subject: String,
        /// Begin of its validity.
        from: Timestamp,
    },
    /// Its time is over.
    #[error("the certificate of {subject} expired at {since}; renew it")]
    Expired {
        /// Distinguished name of whom it is for.
        subject: String,
        /// End of its validity.
        since: Timestamp,
    },
    /// Its key is of no use here.
    #[error(
        "the certificate of {subject} has {key}, which cannot be sealed to; use one with an RSA key of 2048 to 8192 bits or \
         an EC key on P-256, P-384 or P-521"
    )]
    Key {
        /// Distinguished name of whom it is for.
        subject: String,
        /// The kind of its key, with its size or curve.
        key: String,
    },
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl Recipient {
    /// Takes the first certificate of a PEM file, as in `tls.crt` of a Secret, where its issuers may follow.
    pub fn from_pem(certificate: &[u8], now: Timestamp) -> Result<Self, RecipientError> {
        let certificate = leaf(certificate).map_err(|why| RecipientError::Form(why.to_owned()))?.tbs_certificate;
        let subject = certificate.subject.to_string();
        let (from, to) = (instant(certificate.validity.not_before), instant(certificate.validity.not_after));
        if from.is_none_or(|from| now < from) {
            return Err(RecipientError::NotYet { subject, from: from.unwrap_or(Timestamp::MAX) });
        }
        if to.is_none_or(|to| now > to) {
            return Err(RecipientError::Expired { subject, since: to.unwrap_or(Timestamp::MIN) });
        }
        let key = PublicKey::of(&certificate.subject_public_key_info)
            .map_err(|key| RecipientError::Key { subject: subject.clone(), key })?;
        let name = IssuerAndSerialNumber { issuer: certificate.issuer, serial_number: certificate.serial_number };
        Ok(Self { subject, certificate: name, key })
    }

    /// Distinguished name of whoever can open what is sealed to it.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// The first certificate of a PEM file.
pub(super) fn leaf(pem: &[u8]) -> Result<Certificate, &'static str> {
    let der = CertificateDer::from_pem_slice(pem).map_err(|_| "no block says BEGIN CERTIFICATE")?;
    Certificate::from_der(&der).map_err(|_| "its first block is no certificate")
}

fn instant(time: Time) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()
}

impl PublicKey {
    /// On failure, what it is instead.
    fn of(info: &SubjectPublicKeyInfoOwned) -> Result<Self, String> {
        match info.algorithm.oid {
            RSA => Self::rsa(info),
            EC => Self::ec(info),
            RSA_PSS => Err("an RSA key for PSS signatures alone".to_owned()),
            ED25519 => Err("an Ed25519 key (it can only sign)".to_owned()),
            other => Err(format!("a key of algorithm {other}")),
        }
    }

    fn rsa(info: &SubjectPublicKeyInfoOwned) -> Result<Self, String> {
        let damaged = || "an RSA key that is damaged".to_owned();
        let key = RsaPublicKey::from_der(info.subject_public_key.raw_bytes()).map_err(|_| damaged())?;
        let modulus = key.modulus.as_bytes();
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(format!("an RSA key of {bits} bits"));
        }
        let der = info.to_der().map_err(|_| damaged())?;
        PublicEncryptingKey::from_der(&der).map(Self::Rsa).map_err(|_| damaged())
    }

    fn ec(info: &SubjectPublicKeyInfoOwned) -> Result<Self, String> {
        let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.decode_as().ok());
        let algorithm = match curve {
            Some(P256) => &ECDH_P256,
            Some(P384) => &ECDH_P384,
            Some(P521) => &ECDH_P521,
            Some(other) => return Err(format!("an EC key on the curve {other}")),
            None => return Err("an EC key on a curve without a name".to_owned()),
        };
        let point = UnparsedPublicKey::new(algorithm, info.subject_public_key.raw_bytes());
        match ParsedPublicKey::try_from(&point) {
            Ok(key) => Ok(Self::Ec(algorithm, key)),
            Err(_) => Err("an EC key that is damaged".to_owned()),
        }
    }
}
