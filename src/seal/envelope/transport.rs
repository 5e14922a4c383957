//! The content's key to an RSA certificate: OAEP with SHA-256 for both its hashes (RFC 4055, 5652 §6.2.1).

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PublicEncryptingKey};
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::enveloped_data::{KeyTransRecipientInfo, RecipientIdentifier};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Any, Sequence};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::{Failed, KEY, SHA256, algorithm};

const OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7"); // a constant, checked when compiled
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8"); // likewise

/// RFC 4055, `RSAES-OAEP-params`; its third part is left at its default, no label.
#[derive(Sequence)]
struct OaepParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
}

/// What is used, and nothing else is opened.
fn oaep() -> Result<AlgorithmIdentifierOwned, Failed> {
    let hash = algorithm(SHA256, None);
    let mask = algorithm(MGF1, Some(Any::encode_from(&hash)?));
    Ok(algorithm(OAEP, Some(Any::encode_from(&OaepParameters { hash, mask })?)))
}

pub(super) fn wrap(
    certificate: &IssuerAndSerialNumber,
    public: &PublicEncryptingKey,
    key: &[u8; KEY],
) -> Result<KeyTransRecipientInfo, Failed> {
    let public = OaepPublicEncryptingKey::new(public.clone())?;
    let mut wrapped = vec![0; public.ciphertext_size()];
    let length = public.encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut wrapped, None)?.len();
    wrapped.truncate(length);
    Ok(KeyTransRecipientInfo {
        version: CmsVersion::V0,
        rid: RecipientIdentifier::IssuerAndSerialNumber(certificate.clone()),
        key_enc_alg: oaep()?,
        enc_key: OctetString::new(wrapped)?,
    })
}

pub(super) fn unwrap(
    info: &KeyTransRecipientInfo,
    private: &OaepPrivateDecryptingKey,
) -> Result<Zeroizing<[u8; KEY]>, Failed> {
    if info.key_enc_alg != oaep()? {
        return Err(Failed);
    }
    let mut plain = Zeroizing::new(vec![0; private.min_output_size()]);
    let opened = private.decrypt(&OAEP_SHA256_MGF1SHA256, info.enc_key.as_bytes(), &mut plain, None)?;
    let mut key = Zeroizing::new([0; KEY]);
    if opened.len() != key.len() {
        return Err(Failed);
    }
    key.copy_from_slice(opened);
    Ok(key)
}
