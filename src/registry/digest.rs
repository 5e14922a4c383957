//! SHA-256 digests as registries write them: `sha256:` and 64 hexadecimal digits. Other algorithms are left out: whoever
//! answers with one did not answer what was asked.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::hex::Hex;

/// What something is, by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A blob or manifest, as others refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

impl Digest {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of what was hashed piece by piece.
    pub fn finished(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }

    /// None for anything but a SHA-256 digest in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Descriptor {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", Hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_written_as_it_is_read() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(Digest::parse(EMPTY), Some(Digest::of(b"")));
        assert_eq!(Digest::finished(Sha256::new_with_prefix("ab")), Digest::of(b"ab"));
    }

    #[test]
    fn what_is_no_digest_is_none() {
        let upper = EMPTY.to_uppercase();
        for text in ["", "sha256:", &EMPTY[..70], &EMPTY[7..], &upper, "sha512:00", &format!("{EMPTY}0")] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
        assert_eq!(Digest::parse(&EMPTY.replace('e', "é")), None);
    }
}
