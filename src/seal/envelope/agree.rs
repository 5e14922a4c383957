//! The content's key to an EC certificate: ephemeral ECDH, the X9.63 key derivation with SHA-256, and AES key wrap (RFC 5753,
//! SEC 1 §3.6.1, RFC 3394).

use aws_lc_rs::agreement::{Algorithm, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::digest;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::enveloped_data::{
    KeyAgreeRecipientIdentifier, KeyAgreeRecipientInfo, OriginatorIdentifierOrKey, OriginatorPublicKey,
    RecipientEncryptedKey,
};
use der::asn1::{BitString, ObjectIdentifier, OctetString};
use der::{Any, Encode, Sequence};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::{Failed, KEY, algorithm};

/// RFC 5753, 5480, 3565.
const STD_DH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.1"); // a constant, checked when compiled
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1"); // likewise
const WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45"); // likewise
/// A wrapped key is longer by one block of the check value.
const WRAPPED: usize = KEY + 8;

/// RFC 5753 §7.2, without key material of the user's.
#[derive(Sequence)]
struct SharedInfo {
    key_info: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    public_info: OctetString,
}

/// What is used, and nothing else is opened.
fn scheme() -> Result<AlgorithmIdentifierOwned, Failed> {
    Ok(algorithm(STD_DH_SHA256, Some(Any::encode_from(&algorithm(WRAP, None))?)))
}

pub(super) fn wrap(
    certificate: &IssuerAndSerialNumber,
    curve: &'static Algorithm,
    point: &ParsedPublicKey,
    key: &[u8; KEY],
) -> Result<KeyAgreeRecipientInfo, Failed> {
    let ephemeral = PrivateKey::generate(curve)?;
    let public = ephemeral.compute_public_key()?;
    let kek = agree(&ephemeral, point.clone(), Failed, derive)?;
    let mut wrapped = [0; WRAPPED];
    AesKek::new(&AES_256, kek.as_slice())?.wrap(key, &mut wrapped)?;
    Ok(KeyAgreeRecipientInfo {
        version: CmsVersion::V3,
        // Its curve is the certificate's, as RFC 5753 has it.
        originator: OriginatorIdentifierOrKey::OriginatorKey(OriginatorPublicKey {
            algorithm: algorithm(EC, None),
            public_key: BitString::from_bytes(public.as_ref())?,
        }),
        ukm: None,
        key_enc_alg: scheme()?,
        recipient_enc_keys: vec![RecipientEncryptedKey {
            rid: KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(certificate.clone()),
            enc_key: OctetString::new(wrapped)?,
        }],
    })
}

pub(super) fn unwrap(info: &KeyAgreeRecipientInfo, private: &PrivateKey) -> Result<Zeroizing<[u8; KEY]>, Failed> {
    let OriginatorIdentifierOrKey::OriginatorKey(originator) = &info.originator else { return Err(Failed) };
    let [wrapped] = info.recipient_enc_keys.as_slice() else { return Err(Failed) };
    let ours = originator.algorithm == algorithm(EC, None) && info.ukm.is_none() && info.key_enc_alg == scheme()?;
    if !ours || wrapped.enc_key.as_bytes().len() != WRAPPED || originator.public_key.unused_bits() != 0 {
        return Err(Failed);
    }
    let point = UnparsedPublicKey::new(private.algorithm(), originator.public_key.raw_bytes());
    let kek = agree(private, point, Failed, derive)?;
    let mut key = Zeroizing::new([0; KEY]);
    AesKek::new(&AES_256, kek.as_slice())?.unwrap(wrapped.enc_key.as_bytes(), key.as_mut_slice())?;
    Ok(key)
}

/// One round is enough: a key is as long as a digest.
fn derive(secret: &[u8]) -> Result<Zeroizing<[u8; KEY]>, Failed> {
    const FIRST: [u8; 4] = 1_u32.to_be_bytes();
    /// In bits.
    const LENGTH: [u8; 4] = 256_u32.to_be_bytes();
    let info = SharedInfo { key_info: algorithm(WRAP, None), public_info: OctetString::new(LENGTH)? }.to_der()?;
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [secret, &FIRST, &info] {
        context.update(part);
    }
    let mut key = Zeroizing::new([0; KEY]);
    key.copy_from_slice(context.finish().as_ref());
    Ok(key)
}
