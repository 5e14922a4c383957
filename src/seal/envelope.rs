//! The envelope: CMS `AuthEnvelopedData` (RFC 5083, 5084) with AES-256-GCM to one certificate, by RSA-OAEP (RFC 4055) or by
//! ephemeral ECDH (RFC 5753), all with SHA-256. It carries the age identity that opens the payload. `openssl cms -decrypt`
//! opens it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{
    EncryptedContentInfo, KeyAgreeRecipientIdentifier, RecipientIdentifier, RecipientInfo, RecipientInfos,
};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode, Encode, Sequence};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::key::PrivateKey;
use super::recipient::{PublicKey, Recipient, leaf};
use super::{SealError, UnsealError};

mod agree;
mod transport;

/// RFC 5083, 5652, 3565, 5084.
const AUTH_ENVELOPED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.23"); // a constant, checked when compiled
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1"); // likewise
const GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46"); // likewise
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"); // likewise
const TAG: usize = 16;
/// Key of the content.
const KEY: usize = 32;
/// An identity takes 75 bytes.
const LONGEST_CONTENT: usize = 1024;

/// RFC 5083, without the attributes, which nobody needs here.
#[derive(Sequence)]
struct AuthEnvelopedData {
    version: CmsVersion,
    recipients: RecipientInfos,
    content: EncryptedContentInfo,
    mac: OctetString,
}

/// RFC 5084, `GCMParameters`. The length of the tag has a default, which is not ours.
#[derive(Sequence)]
struct GcmParameters {
    nonce: OctetString,
    tag_length: u8,
}

/// An envelope that was read.
pub(super) struct Envelope {
    recipient: RecipientInfo,
    nonce: [u8; NONCE_LEN],
    /// With its tag.
    content: Vec<u8>,
}

/// Anything that makes no envelope; nothing in it can be told to anybody.
pub(super) struct Failed;

impl From<Unspecified> for Failed {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl From<der::Error> for Failed {
    fn from(_: der::Error) -> Self {
        Self
    }
}

impl From<Failed> for SealError {
    fn from(_: Failed) -> Self {
        Self::Crypto
    }
}

impl Envelope {
    /// DER of a new envelope around a short secret.
    pub(super) fn seal(recipient: &Recipient, secret: &[u8]) -> Result<Vec<u8>, Failed> {
        let mut key = Zeroizing::new([0; KEY]);
        rand::fill(key.as_mut_slice())?;
        let info = match &recipient.key {
            PublicKey::Rsa(public) => RecipientInfo::Ktri(transport::wrap(&recipient.certificate, public, &key)?),
            PublicKey::Ec(curve, point) => {
                RecipientInfo::Kari(agree::wrap(&recipient.certificate, curve, point, &key)?)
            }
        };
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        // Encrypted in place: no plaintext stays behind, unless it must grow.
        let mut content = Vec::with_capacity(secret.len() + TAG);
        content.extend_from_slice(secret);
        gcm(&key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut content)?;
        let tag = content.split_off(secret.len());
        let parameters = GcmParameters { nonce: OctetString::new(nonce)?, tag_length: 16 };
        let data = AuthEnvelopedData {
            version: CmsVersion::V0,
            recipients: RecipientInfos(SetOfVec::try_from(vec![info])?),
            content: EncryptedContentInfo {
                content_type: DATA,
                content_enc_alg: algorithm(GCM, Some(Any::encode_from(&parameters)?)),
                encrypted_content: Some(OctetString::new(content)?),
            },
            mac: OctetString::new(tag)?,
        };
        Ok(ContentInfo { content_type: AUTH_ENVELOPED, content: Any::encode_from(&data)? }.to_der()?)
    }

    /// Reads one of ours.
    pub(super) fn parse(der: &[u8]) -> Result<Self, UnsealError> {
        let damaged = |_| UnsealError::Envelope("it is no CMS");
        let outer = ContentInfo::from_der(der).map_err(damaged)?;
        if outer.content_type != AUTH_ENVELOPED {
            return Err(UnsealError::Envelope("it is CMS of another kind"));
        }
        let data: AuthEnvelopedData = outer.content.decode_as().map_err(damaged)?;
        let other = || UnsealError::Envelope("it is encrypted in a way that this program does not use");
        let encryption = data.content.content_enc_alg;
        let parameters: GcmParameters =
            encryption.parameters.as_ref().and_then(|given| given.decode_as().ok()).ok_or_else(other)?;
        let nonce = parameters.nonce.as_bytes().try_into().map_err(|_| other())?;
        let mut content = data.content.encrypted_content.ok_or_else(other)?.into_bytes();
        let known = encryption.oid == GCM && usize::from(parameters.tag_length) == TAG;
        if !known || data.mac.as_bytes().len() != TAG || content.len() > LONGEST_CONTENT {
            return Err(other());
        }
        content.extend_from_slice(data.mac.as_bytes());
        let mut recipients = data.recipients.0.into_vec();
        match (recipients.pop(), recipients.is_empty()) {
            (Some(recipient), true) => Ok(Self { recipient, nonce, content }),
            _ => Err(UnsealError::Envelope("it has not one recipient")),
        }
    }

    /// Whether the envelope is to this certificate.
    pub(super) fn must_be_for(&self, certificate: &[u8]) -> Result<(), UnsealError> {
        let given = leaf(certificate).map_err(UnsealError::Certificate)?.tbs_certificate;
        let given = IssuerAndSerialNumber { issuer: given.issuer, serial_number: given.serial_number };
        let meant = match &self.recipient {
            RecipientInfo::Ktri(info) => match &info.rid {
                RecipientIdentifier::IssuerAndSerialNumber(meant) => Some(meant),
                RecipientIdentifier::SubjectKeyIdentifier(_) => None,
            },
            RecipientInfo::Kari(info) => match info.recipient_enc_keys.first().map(|key| &key.rid) {
                Some(KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(meant)) => Some(meant),
                _ => None,
            },
            _ => None,
        };
        match meant {
            Some(meant) if *meant == given => Ok(()),
            Some(meant) => Err(UnsealError::OtherCertificate {
                serial: meant.serial_number.to_string(),
                issuer: meant.issuer.to_string(),
            }),
            None => Err(UnsealError::Envelope("it does not name its certificate")),
        }
    }

    /// The secret inside.
    pub(super) fn open(&self, private: &PrivateKey) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let key = match (&self.recipient, private) {
            (RecipientInfo::Ktri(info), PrivateKey::Rsa(private)) => transport::unwrap(info, private),
            (RecipientInfo::Kari(info), PrivateKey::Ec(private)) => agree::unwrap(info, private),
            _ => Err(Failed),
        };
        let key = key.map_err(|Failed| UnsealError::WrongKey)?;
        let mut content = Zeroizing::new(self.content.clone());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let plain = gcm(&key).and_then(|key| Ok(key.open_in_place(nonce, Aad::empty(), &mut content)?.len()));
        // RSA and AES tell of a wrong key before this.
        content.truncate(plain.map_err(|Failed| UnsealError::Tampered)?);
        Ok(content)
    }
}

fn gcm(key: &[u8; KEY]) -> Result<LessSafeKey, Failed> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?))
}

fn algorithm(oid: ObjectIdentifier, parameters: Option<Any>) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters }
}

#[cfg(test)]
mod tests;
