//! age's file format, version 1 (C2SP, age.md), as far as a sealed archive needs it: one X25519 identity. Files made here open
//! with age's own programs.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use zeroize::Zeroizing;

mod bech32;
pub(super) mod header;
pub(super) mod payload;

use header::Stanza;

/// Type of a stanza to an X25519 key.
pub(super) const X25519_KIND: &str = "X25519";
const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const PREFIX: &str = "AGE-SECRET-KEY-";
/// Base64 without padding; other encodings of the same bytes are refused.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, NO_PAD);

/// What a file's header and payload are keyed by.
pub(super) struct FileKey(Zeroizing<[u8; 16]>);

impl FileKey {
    pub(super) fn generate() -> Result<Self, Unspecified> {
        random().map(Self)
    }

    /// A key for one purpose.
    fn derive(&self, salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, Unspecified> {
        derive(salt, self.0.as_slice(), info)
    }
}

/// A secret that opens files wrapped to it.
pub(super) struct Identity(Zeroizing<[u8; 32]>);

impl Identity {
    pub(super) fn generate() -> Result<Self, Unspecified> {
        random().map(Self)
    }

    /// `AGE-SECRET-KEY-1…` and a newline: what `age -d -i` takes.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = bech32::encode(PREFIX, self.0.as_slice());
        text.push('\n');
        text
    }

    /// Reads the same; more newlines may follow.
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_end_matches('\n');
        let bytes = bech32::decode(PREFIX, text)?;
        let mut secret = Zeroizing::new([0; 32]);
        (bytes.len() == secret.len()).then(|| secret.copy_from_slice(&bytes))?;
        Some(Self(secret))
    }

    fn key(&self) -> Result<PrivateKey, Unspecified> {
        PrivateKey::from_private_key(&X25519, self.0.as_slice()).map_err(|_| Unspecified)
    }

    /// The stanza by which this identity finds the file's key.
    pub(super) fn wrap(&self, file_key: &FileKey) -> Result<Stanza, Unspecified> {
        let ephemeral = PrivateKey::generate(&X25519)?;
        let share = ephemeral.compute_public_key()?;
        let own = self.key()?.compute_public_key()?;
        let key = wrap_key(&ephemeral, own.as_ref(), share.as_ref(), own.as_ref())?;
        // The body becomes public, and the key in it is encrypted in place at once.
        let mut body = file_key.0.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut body)?;
        Ok(Stanza { kind: X25519_KIND.to_owned(), arguments: vec![BASE64.encode(share)], body })
    }

    /// The file's key, if the stanza is for this identity.
    pub(super) fn unwrap(&self, stanza: &Stanza) -> Option<FileKey> {
        let [share] = stanza.arguments.as_slice() else { return None };
        let share = BASE64.decode(share).ok().filter(|share| share.len() == 32)?;
        let private = self.key().ok()?;
        let own = private.compute_public_key().ok()?;
        let key = wrap_key(&private, &share, &share, own.as_ref()).ok()?;
        let mut body = Zeroizing::new(stanza.body.clone());
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let opened = key.open_in_place(nonce, Aad::empty(), &mut body).ok()?;
        let mut file_key = Zeroizing::new([0; 16]);
        (opened.len() == file_key.len()).then(|| file_key.copy_from_slice(opened))?;
        Some(FileKey(file_key))
    }
}

/// The key that wraps a file's key, from either side of the agreement.
fn wrap_key(private: &PrivateKey, peer: &[u8], share: &[u8], recipient: &[u8]) -> Result<LessSafeKey, Unspecified> {
    let salt = [share, recipient].concat();
    let key = agree(private, UnparsedPublicKey::new(&X25519, peer), Unspecified, |secret| {
        derive(&salt, secret, X25519_INFO)
    })?;
    chacha(&key)
}

fn chacha(key: &[u8; 32]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new)
}

fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(&[info], HKDF_SHA256)?.fill(key.as_mut_slice())?;
    Ok(key)
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Unspecified> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
