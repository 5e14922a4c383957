//! age's file format, version 1 (C2SP, age.md), as far as a sealed archive needs it: X25519 identities. Files made here open
//! with age's own programs, and all of the format's published vectors are answered as they demand; what they have besides
//! (armor, passphrases, hybrid keys) is refused.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use zeroize::Zeroizing;

pub(super) mod header;
pub(super) mod payload;

use header::{Header, Stanza};

/// Type of a stanza to an X25519 key.
pub(super) const X25519_KIND: &str = "X25519";
const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// Type of a stanza to a passphrase, which has to be alone.
const SCRYPT_KIND: &str = "scrypt";
/// Length of a file's key, wrapped: itself and a tag.
const WRAPPED: usize = 32;
/// Before the `1` of a written identity.
const PREFIX: Hrp = Hrp::parse_unchecked("age-secret-key-");
/// Of a written identity and its newline: prefix, `1`, 52 digits and six of checksum.
const TEXT: usize = 75;
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
        // Not grown again, so that no copy of it stays behind.
        let mut text = Zeroizing::new(String::with_capacity(TEXT));
        // Neither can 32 bytes be too long nor writing to a String fail.
        let _ = bech32::encode_upper_to_fmt::<Bech32, String>(&mut text, PREFIX, self.0.as_slice());
        text.push('\n');
        text
    }

    /// Reads the same; more newlines may follow. Other spellings of the same bytes are refused.
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_end_matches('\n');
        let digits = CheckedHrpstring::new::<Bech32>(text).ok()?;
        let mut secret = Zeroizing::new([0; 32]);
        let bytes = digits.byte_iter();
        (digits.hrp() == PREFIX && bytes.len() == secret.len()).then_some(())?;
        secret.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        let identity = Self(secret);
        (identity.to_text().trim_end() == text).then_some(identity)
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

    /// The key of a file of which one stanza is for this identity, when the whole header is by somebody who knew that key.
    pub(super) fn open(&self, header: &Header) -> Result<FileKey, BadHeader> {
        if header.only(SCRYPT_KIND).is_some() && header.stanzas().len() > 1 {
            return Err(BadHeader::Malformed);
        }
        let mut found = None;
        // All of them are looked at: none may be malformed.
        for stanza in header.stanzas().iter().filter(|stanza| stanza.kind == X25519_KIND) {
            found = self.unwrap(stanza)?.or(found);
        }
        let file_key = found.ok_or(BadHeader::NobodysKey)?;
        header.is_authentic(&file_key).then_some(file_key).ok_or(BadHeader::Mac)
    }

    /// The file's key, if the stanza is for this identity.
    fn unwrap(&self, stanza: &Stanza) -> Result<Option<FileKey>, BadHeader> {
        let [share] = stanza.arguments.as_slice() else { return Err(BadHeader::Malformed) };
        let share = BASE64.decode(share).ok().filter(|share| share.len() == 32).ok_or(BadHeader::Malformed)?;
        if stanza.body.len() != WRAPPED {
            return Err(BadHeader::Malformed);
        }
        let failed = |_| BadHeader::Malformed;
        let private = self.key().map_err(failed)?;
        let own = private.compute_public_key().map_err(failed)?;
        // It fails for a point of small order, which gives everybody the same secret.
        let key = wrap_key(&private, &share, &share, own.as_ref()).map_err(failed)?;
        let mut body = Zeroizing::new(stanza.body.clone());
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let Ok(opened) = key.open_in_place(nonce, Aad::empty(), &mut body) else { return Ok(None) };
        let mut file_key = Zeroizing::new([0; 16]);
        file_key.copy_from_slice(opened);
        Ok(Some(FileKey(file_key)))
    }
}

/// Why a header that can be read gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// A stanza is not as its type demands.
    Malformed,
    /// No stanza is for the identity.
    NobodysKey,
    /// It was changed.
    Mac,
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
#[cfg(test)]
mod vectors {
    mod tests;
}
