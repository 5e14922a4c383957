//! The header of an age file: text, its stanzas, and the MAC over it all. What comes from outside is bounded.

use std::fmt::Write as _;
use std::io::{self, Read};

use aws_lc_rs::hmac;
use base64::Engine as _;

use super::{BASE64, FileKey};
use crate::seal::UnsealError;

const VERSION: &str = "age-encryption.org/v1";
const COLUMNS: usize = 64;
/// An envelope to the largest key, with a long issuer, takes a tenth of it.
const LONGEST: usize = 64 << 10;
const MOST_STANZAS: usize = 16;
/// Of HMAC-SHA-256.
const MAC: usize = 32;

/// One recipient's part of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Stanza {
    pub kind: String,
    pub arguments: Vec<String>,
    pub body: Vec<u8>,
}

/// A header that was read.
pub(in super::super) struct Header {
    stanzas: Vec<Stanza>,
    /// Everything the MAC is over: up to and with the three hyphens.
    covered: Vec<u8>,
    mac: Vec<u8>,
}

impl Header {
    /// The whole header, with its MAC.
    pub(in super::super) fn write(stanzas: &[Stanza], file_key: &FileKey) -> Vec<u8> {
        let mut text = format!("{VERSION}\n");
        for stanza in stanzas {
            let words = std::iter::once(&stanza.kind).chain(&stanza.arguments);
            text.push_str("->");
            for word in words {
                // Writing to a String cannot fail.
                let _ = write!(text, " {word}");
            }
            let body = BASE64.encode(&stanza.body);
            let (mut rest, mut line) = (body.as_str(), "");
            text.push('\n');
            // The last line is shorter than the others, if need be empty.
            while rest.len() >= COLUMNS {
                (line, rest) = rest.split_at(COLUMNS);
                let _ = writeln!(text, "{line}");
            }
            let _ = (line, writeln!(text, "{rest}"));
        }
        text.push_str("---");
        let mac = BASE64.encode(hmac::sign(&mac_key(file_key), text.as_bytes()));
        let _ = writeln!(text, " {mac}");
        text.into_bytes()
    }

    /// Reads up to the payload, and not a byte more.
    pub(in super::super) fn read(source: &mut impl Read) -> Result<Self, UnsealError> {
        let mut lines = Lines { source, read: Vec::new() };
        if lines.next()? != VERSION {
            return Err(UnsealError::Format("it does not begin as an age file does"));
        }
        let mut stanzas = Vec::new();
        loop {
            let before = lines.read.len();
            let line = lines.next()?;
            if let Some(words) = line.strip_prefix("-> ") {
                if stanzas.len() == MOST_STANZAS {
                    return Err(UnsealError::Format("it has too many recipients"));
                }
                stanzas.push(stanza(words, &mut lines)?);
            } else if let Some(mac) = line.strip_prefix("--- ") {
                let mac = BASE64.decode(mac).ok().filter(|mac| mac.len() == MAC);
                let mac = mac.ok_or(UnsealError::Format("its MAC cannot be read"))?;
                let covered = lines.read[..before + 3].to_vec();
                return Ok(Self { stanzas, covered, mac });
            } else {
                return Err(UnsealError::Format("a line of its header is of no known kind"));
            }
        }
    }

    /// The stanza of this kind, if there is exactly one.
    pub(in super::super) fn only(&self, kind: &str) -> Option<&Stanza> {
        let mut found = self.stanzas.iter().filter(|stanza| stanza.kind == kind);
        found.next().filter(|_| found.next().is_none())
    }

    /// All of them, in their order.
    pub(super) fn stanzas(&self) -> &[Stanza] {
        &self.stanzas
    }

    /// Whether all of it was written by someone who knew the file's key.
    pub(super) fn is_authentic(&self, file_key: &FileKey) -> bool {
        hmac::verify(&mac_key(file_key), &self.covered, &self.mac).is_ok()
    }
}

fn mac_key(file_key: &FileKey) -> hmac::Key {
    // Its lengths are constants that HKDF can give.
    let key = file_key.derive(&[], b"header").unwrap_or_default();
    hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
}

/// A stanza after its arrow.
fn stanza(words: &str, lines: &mut Lines<'_, impl Read>) -> Result<Stanza, UnsealError> {
    const BAD: UnsealError = UnsealError::Format("a recipient in its header is malformed");
    let mut words = words.split(' ').map(str::to_owned);
    let kind = words.next().unwrap_or_default();
    let arguments: Vec<String> = words.collect();
    let visible = |word: &String| !word.is_empty() && word.bytes().all(|c| c.is_ascii_graphic());
    if !visible(&kind) || !arguments.iter().all(visible) {
        return Err(BAD);
    }
    let mut body = String::new();
    loop {
        let line = lines.next()?;
        if line.len() > COLUMNS {
            return Err(BAD);
        }
        body.push_str(&line);
        if line.len() < COLUMNS {
            break;
        }
    }
    Ok(Stanza { kind, arguments, body: BASE64.decode(body).map_err(|_| BAD)? })
}

/// Lines of the header, byte by byte: what comes after it is not text.
struct Lines<'a, R> {
    source: &'a mut R,
    read: Vec<u8>,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self) -> Result<String, UnsealError> {
        let start = self.read.len();
        loop {
            let mut byte = [0];
            self.source.read_exact(&mut byte).map_err(|why| match why.kind() {
                io::ErrorKind::UnexpectedEof => UnsealError::Truncated,
                _ => UnsealError::Read(why),
            })?;
            self.read.push(byte[0]);
            if byte[0] == b'\n' {
                break;
            }
            if self.read.len() >= LONGEST {
                return Err(UnsealError::Format("its header is too long"));
            }
        }
        let line = &self.read[start..self.read.len() - 1];
        if !line.iter().all(|c| (0x20..0x7f).contains(c)) {
            return Err(UnsealError::Format("its header is not text"));
        }
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}
