//! The payload of an age file: STREAM, chunks of 64 KiB by ChaCha20-Poly1305, each numbered and the last one marked, so that
//! none can be changed, moved or left out. Memory is constant.

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use zeroize::Zeroizing;

use super::{FileKey, chacha, random};
use crate::seal::{SealError, UnsealError};

const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const SALT: usize = 16;

/// Seals everything in `source`.
pub(in super::super) fn seal(
    file_key: &FileKey,
    source: &mut impl Read,
    sink: &mut impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, SealError> {
    let salt = random::<SALT>().map_err(|_| SealError::Crypto)?;
    let key = stream_key(file_key, salt.as_slice()).ok_or(SealError::Crypto)?;
    sink.write_all(salt.as_slice()).map_err(SealError::Write)?;
    let mut buffer = Zeroizing::new(vec![0; CHUNK + TAG]);
    let (mut pieces, mut done) = (Pieces::new(source), 0);
    for number in 0.. {
        let (length, last) = pieces.next(&mut buffer[..CHUNK]).map_err(SealError::Read)?;
        let (content, tag) = buffer.split_at_mut(length);
        let nonce = nonce(number, last).ok_or(SealError::Crypto)?;
        let sealed = key.seal_in_place_separate_tag(nonce, Aad::empty(), content).map_err(|_| SealError::Crypto)?;
        tag[..TAG].copy_from_slice(sealed.as_ref());
        sink.write_all(&buffer[..length + TAG]).map_err(SealError::Write)?;
        done += length as u64;
        progress(done);
        if last {
            break;
        }
    }
    sink.flush().map_err(SealError::Write)?;
    Ok(done)
}

/// Opens everything in `source`, which stands behind the header.
pub(in super::super) fn open(
    file_key: &FileKey,
    source: &mut impl Read,
    sink: &mut impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, UnsealError> {
    let mut salt = [0; SALT];
    source.read_exact(&mut salt).map_err(|why| match why.kind() {
        io::ErrorKind::UnexpectedEof => UnsealError::Truncated,
        _ => UnsealError::Read(why),
    })?;
    let key = stream_key(file_key, &salt).ok_or(UnsealError::Tampered)?;
    let (mut sealed, mut plain) = (vec![0; CHUNK + TAG], Zeroizing::new(vec![0; CHUNK]));
    let (mut pieces, mut done) = (Pieces::new(source), 0);
    for number in 0.. {
        let (length, last) = pieces.next(&mut sealed).map_err(UnsealError::Read)?;
        let (length, fault) = open_chunk(&key, number, last, &sealed[..length], &mut plain)?;
        // Only a file of nothing has a chunk of nothing.
        if length == 0 && number > 0 {
            return Err(UnsealError::Tampered);
        }
        // Also what is good before a fault is given out, as all programs for this format do.
        sink.write_all(&plain[..length]).map_err(UnsealError::Write)?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        done += length as u64;
        progress(done);
        if last {
            break;
        }
    }
    sink.flush().map_err(UnsealError::Write)?;
    Ok(done)
}

/// How much of it is content, and what is wrong with what follows: a good chunk that is not the last, where the file ends,
/// tells of a file cut short there, and one that is the last, where it goes on, of something added.
fn open_chunk(
    key: &LessSafeKey,
    number: u128,
    last: bool,
    chunk: &[u8],
    plain: &mut [u8],
) -> Result<(usize, Option<UnsealError>), UnsealError> {
    let length = chunk.len().checked_sub(TAG).ok_or(UnsealError::Truncated)?;
    let (content, tag) = chunk.split_at(length);
    let mut opens = |last| {
        let nonce = nonce(number, last).ok_or(UnsealError::Tampered)?;
        let opened = key.open_separate_gather(nonce, Aad::empty(), content, tag, &mut plain[..length]);
        Ok::<_, UnsealError>(opened.is_ok())
    };
    if opens(last)? {
        return Ok((length, None));
    }
    // Only a full chunk can be another than its place says.
    if length == CHUNK && opens(!last)? {
        return Ok((length, Some(if last { UnsealError::Truncated } else { UnsealError::Tampered })));
    }
    Err(UnsealError::Tampered)
}

fn stream_key(file_key: &FileKey, salt: &[u8]) -> Option<LessSafeKey> {
    chacha(&*file_key.derive(salt, b"payload").ok()?).ok()
}

/// Eleven bytes of number, one that says whether it is the last.
fn nonce(number: u128, last: bool) -> Option<Nonce> {
    let bytes = number.to_be_bytes();
    let mut nonce = [0; 12];
    nonce[..11].copy_from_slice(&bytes[5..]);
    nonce[11] = u8::from(last);
    bytes[..5].iter().all(|byte| *byte == 0).then(|| Nonce::assume_unique_for_key(nonce))
}

/// Pieces of a stream, and of each whether it is the last: a byte is read ahead.
struct Pieces<'a, R> {
    source: &'a mut R,
    ahead: Option<u8>,
}

impl<'a, R: Read> Pieces<'a, R> {
    fn new(source: &'a mut R) -> Self {
        Self { source, ahead: None }
    }

    /// How many bytes of `piece` are filled: all, unless it is the last.
    fn next(&mut self, piece: &mut [u8]) -> io::Result<(usize, bool)> {
        let mut filled = 0;
        if let Some(first) = self.ahead.take() {
            piece[0] = first;
            filled = 1;
        }
        filled += fill(self.source, &mut piece[filled..])?;
        if filled < piece.len() {
            return Ok((filled, true));
        }
        let mut byte = [0];
        self.ahead = (fill(self.source, &mut byte)? == 1).then_some(byte[0]);
        Ok((filled, self.ahead.is_none()))
    }
}

/// Less than asked for only at the end.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(filled)
}
