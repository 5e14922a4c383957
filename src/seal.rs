//! Seals: an archive that only the holder of a certificate's private key can open. The file is in age's format and its key in
//! a CMS envelope, so that stock tools open it; see `docs/formats.md`. A seal proves no origin: anybody can seal anything.

use std::io::{Read, Write};

use zeroize::Zeroizing;

mod age;
mod envelope;
mod error;
mod file;
mod key;
mod pipelined_writer;
mod recipient;

pub use error::{SealError, UnsealError};
pub use file::{seal_file, unseal_file};
pub use recipient::{Recipient, RecipientError};

use age::header::{Header, Stanza};
use age::{FileKey, Identity, payload};
use envelope::Envelope;
use key::PrivateKey;
use pipelined_writer::pipelined;

/// Type of the stanza that carries the CMS envelope. age's own programs pass over stanzas that they do not know.
pub const STANZA: &str = "pod-checkpointer.cms-v1";

/// Seals everything in `source`; `progress` is told how many bytes of it are done. Returns how many there were.
pub fn seal(
    recipient: &Recipient,
    source: &mut impl Read,
    sink: &mut (impl Write + Send),
    progress: &mut dyn FnMut(u64),
) -> Result<u64, SealError> {
    let failed = |_| SealError::Crypto;
    let identity = Identity::generate().map_err(failed)?;
    let envelope = envelope(recipient, &identity)?;
    let file_key = FileKey::generate().map_err(failed)?;
    let stanzas = vec![
        identity.wrap(&file_key).map_err(failed)?,
        Stanza { kind: STANZA.to_owned(), arguments: Vec::new(), body: envelope },
    ];
    sink.write_all(&Header::write(&stanzas, &file_key)).map_err(SealError::Write)?;
    pipelined(sink, SealError::Write, |sink| payload::seal(&file_key, source, sink, progress))
}

/// The identity to the recipient. Up to two newlines more make its length one that base64 needs no padding for, which age's
/// files do not have and `base64 -d` complains about.
fn envelope(recipient: &Recipient, identity: &Identity) -> Result<Vec<u8>, SealError> {
    const GROUP: usize = 3;
    let text = identity.to_text();
    let mut spaced = Zeroizing::new(Vec::with_capacity(text.len() + GROUP));
    spaced.extend_from_slice(text.as_bytes());
    loop {
        let envelope = Envelope::seal(recipient, &spaced)?;
        if envelope.len().is_multiple_of(GROUP) || spaced.len() == text.len() + GROUP {
            return Ok(envelope);
        }
        spaced.push(b'\n');
    }
}

/// Opens what [`seal`] made. `key_pem` is the certificate's private key; with the certificate at hand, a file that is sealed
/// to another one is told apart from a damaged one. Returns how many bytes came out.
///
/// What was written to `sink` is good only if this succeeds: each chunk is verified before it is written, but that none is
/// missing shows at the end.
pub fn unseal(
    key_pem: &[u8],
    certificate: Option<&[u8]>,
    source: &mut impl Read,
    sink: &mut (impl Write + Send),
    progress: &mut dyn FnMut(u64),
) -> Result<u64, UnsealError> {
    let key = PrivateKey::from_pem(key_pem)?;
    let header = Header::read(source)?;
    let stanza = header.only(STANZA).ok_or(UnsealError::NotOurs)?;
    let envelope = Envelope::parse(&stanza.body)?;
    if let Some(certificate) = certificate {
        envelope.must_be_for(certificate)?;
    }
    let text: Zeroizing<Vec<u8>> = envelope.open(&key)?;
    let identity = Identity::from_text(&text).ok_or(UnsealError::Tampered)?;
    // A sealed archive is for one identity, though age's format has room for more.
    header.only(age::X25519_KIND).ok_or(UnsealError::NotOurs)?;
    let file_key = identity.open(&header).map_err(|_| UnsealError::Tampered)?;
    pipelined(sink, UnsealError::Write, |sink| payload::open(&file_key, source, sink, progress))
}
