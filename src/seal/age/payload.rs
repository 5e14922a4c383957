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
    let mut buffer = Zeroizing::new(vec![0; CHUNK + TAG]);
    let (mut pieces, mut done) = (Pieces::new(source), 0);
    for number in 0.. {
        let (length, last) = pieces.next(&mut buffer).map_err(UnsealError::Read)?;
        let plain = open_chunk(&key, number, last, &mut buffer[..length])?;
        // Only a file of nothing has a chunk of nothing.
        if plain == 0 && number > 0 {
            return Err(UnsealError::Tampered);
        }
        sink.write_all(&buffer[..plain]).map_err(UnsealError::Write)?;
        done += plain as u64;
        progress(done);
        if last {
            break;
        }
    }
    sink.flush().map_err(UnsealError::Write)?;
    Ok(done)
}

/// How much of it is content. A good chunk that is not the last, where the file ends, tells of a file cut short there.
fn open_chunk(key: &LessSafeKey, number: u128, last: bool, chunk: &mut [u8]) -> Result<usize, UnsealError> {
    if chunk.len() < TAG {
        return Err(UnsealError::Truncated);
    }
    let nonce = |last| nonce(number, last).ok_or(UnsealError::Tampered);
    let copy = (last && chunk.len() == CHUNK + TAG).then(|| Zeroizing::new(chunk.to_vec()));
    if let Ok(plain) = key.open_in_place(nonce(last)?, Aad::empty(), chunk) {
        return Ok(plain.len());
    }
    let cut = copy.is_some_and(|mut copy| {
        nonce(false).is_ok_and(|nonce| key.open_in_place(nonce, Aad::empty(), &mut copy).is_ok())
    });
    Err(if cut { UnsealError::Truncated } else { UnsealError::Tampered })
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
