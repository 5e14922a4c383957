//! A file on its way into a socket: read and hashed once, in large pieces, on a thread of its own, with no more than a few
//! pieces in memory. Also the bodies of small requests, so that all requests have one type.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::digest::Digest;
use super::error::RegistryError;

/// Large enough that threads seldom wait for each other, small enough for the processor's caches.
const PIECE: usize = 1 << 20;
/// Between the thread that reads and the socket.
const WAITING: usize = 2;

/// What is sent with a request to the registry.
pub(super) enum RequestBody {
    /// In memory; none when it was sent.
    Whole(Option<Bytes>),
    /// From a file.
    Stream {
        pieces: mpsc::Receiver<Bytes>,
        left: u64,
        /// How much the socket has taken.
        sent: Arc<AtomicU64>,
    },
}

/// What reading the file came to: its digest, or none if nobody wanted all of it.
pub(super) type ReadTask = JoinHandle<Result<Option<Digest>, RegistryError>>;

/// Begins to read `source`, which had `size` bytes.
pub(super) fn stream(source: Arc<File>, size: u64, sent: Arc<AtomicU64>) -> (RequestBody, ReadTask) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        // An error is nobody listening any more: whoever sends the body has given up.
        read(&source, size, &mut |piece| sender.blocking_send(piece).is_ok())
    });
    (RequestBody::Stream { pieces, left: size, sent }, reading)
}

/// Reads it for its digest alone.
pub(super) fn digest(source: Arc<File>, size: u64) -> ReadTask {
    tokio::task::spawn_blocking(move || read(&source, size, &mut |_| true))
}

/// How long the file is now.
pub(super) fn size(source: &File) -> Result<u64, RegistryError> {
    Ok(source.metadata().map_err(RegistryError::Source)?.len())
}

fn read(source: &File, size: u64, give: &mut dyn FnMut(Bytes) -> bool) -> Result<Option<Digest>, RegistryError> {
    let home = Arc::new(Mutex::new(Vec::new()));
    let (mut hash, mut at) = (Sha256::new(), 0);
    while at < size {
        let spare = home.lock().pop();
        let mut buffer: Vec<u8> = spare.unwrap_or_else(|| vec![0; PIECE]);
        let wanted = usize::try_from(size - at).map_or(PIECE, |left| left.min(PIECE));
        let length = fill(source, &mut buffer[..wanted], at).map_err(RegistryError::Source)?;
        if length < wanted {
            return Err(RegistryError::Changed { expected: size, found: at + length as u64 });
        }
        hash.update(&buffer[..length]);
        at += length as u64;
        if !give(Bytes::from_owner(Piece { buffer, length, home: Arc::clone(&home) })) {
            return Ok(None);
        }
    }
    let found = self::size(source)?;
    if found == size { Ok(Some(Digest::finished(hash))) } else { Err(RegistryError::Changed { expected: size, found }) }
}

/// By position: nobody else's reading of the same file moves it.
fn fill(source: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read_at(&mut buffer[length..], at + length as u64) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(length)
}

/// Its memory is used again when the socket is done with it: fresh pages for every piece cost as much as hashing them does.
struct Piece {
    buffer: Vec<u8>,
    length: usize,
    home: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.home.lock().push(std::mem::take(&mut self.buffer));
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Self::Stream { left: 0, .. } => Poll::Ready(None),
            Self::Stream { pieces, left, sent } => match ready!(pieces.poll_recv(cx)) {
                Some(piece) => {
                    *left = left.saturating_sub(piece.len() as u64);
                    sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                // Why, the reading says; the request must not look complete.
                None => Poll::Ready(Some(Err(io::Error::other("the archive could not be read to its end")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Stream { left, .. } => *left,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_read_in_order_and_hashed_once_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let bytes: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let mut read_back = Vec::new();
            let digest = read(&file, length as u64, &mut |piece| {
                read_back.extend_from_slice(&piece);
                true
            });
            assert_eq!(digest.unwrap(), Some(Digest::of(&bytes)));
            assert!(read_back == bytes);
        }
    }

    #[test]
    fn a_file_that_grew_or_shrank_has_no_digest() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"1234").unwrap();
        for expected in [3, 5] {
            let why = read(&file, expected, &mut |_| true).unwrap_err();
            assert!(matches!(why, RegistryError::Changed { found: 4, .. }), "{why}");
        }
    }

    #[test]
    fn reading_ends_when_nobody_wants_more() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 * PIECE as u64).unwrap();
        let mut given = 0;
        let digest = read(&file, 8 * PIECE as u64, &mut |_| {
            given += 1;
            given < 2
        });
        assert_eq!((digest.unwrap(), given), (None, 2));
    }
}
