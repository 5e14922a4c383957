//! Writing on a thread of its own, so that the next pieces are read and go through the cipher meanwhile. A few pieces are
//! under way at a time, and their memory is used again.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use zeroize::Zeroizing;

/// Bytes that are handed over at once.
const PIECE: usize = 1 << 20;
/// Pieces that wait; one more is being filled and one written.
const WAITING: usize = 2;

type Piece = Zeroizing<Vec<u8>>;

/// Has `work` make what a thread of its own writes to `sink`. All of it is written when this returns without an error; `failed` says what an error of
/// the sink is to the caller, and it is told rather than what followed from it.
pub(super) fn pipelined<T, E>(
    sink: &mut (impl Write + Send),
    failed: impl Fn(io::Error) -> E,
    work: impl FnOnce(&mut Handing) -> Result<T, E>,
) -> Result<T, E> {
    let (full, filled) = sync_channel(WAITING);
    let (back, emptied) = sync_channel(WAITING + 2);
    thread::scope(|scope| {
        let write = move || write_all(sink, &filled, &back);
        let writer =
            thread::Builder::new().name("sealed-file".to_owned()).spawn_scoped(scope, write).map_err(&failed)?;
        let mut handing = Handing { piece: empty(), full, emptied };
        let done = work(&mut handing).and_then(|done| handing.flush().map(|()| done).map_err(&failed));
        // The writer ends with what is handed to it.
        drop(handing);
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes has panicked")));
        written.map_err(&failed)?;
        done
    })
}

fn write_all(sink: &mut impl Write, filled: &Receiver<Piece>, back: &SyncSender<Piece>) -> io::Result<()> {
    for mut piece in filled {
        sink.write_all(&piece)?;
        piece.clear();
        // Whoever handed it over may have ended.
        let _ = back.try_send(piece);
    }
    sink.flush()
}

fn empty() -> Piece {
    // All at once: what grows leaves copies behind.
    Zeroizing::new(Vec::with_capacity(PIECE))
}

/// Takes what is to be written.
pub(super) struct Handing {
    piece: Piece,
    full: SyncSender<Piece>,
    emptied: Receiver<Piece>,
}

impl Handing {
    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.emptied.try_recv().unwrap_or_else(|_| empty());
        let piece = std::mem::replace(&mut self.piece, next);
        // Nobody takes it any more: the writer has failed, and says with what.
        self.full.send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for Handing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.hand_over()?;
        }
        let fits = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    /// Hands over what there is; it is written before `pipelined` returns.
    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.hand_over() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then the disk is full.
    struct Small(Vec<u8>, usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() + bytes.len() > self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(length: usize, room: usize) -> (io::Result<usize>, Vec<u8>) {
        let mut sink = Small(Vec::new(), room);
        let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let done = pipelined(
            &mut sink,
            |why| why,
            |to| content.chunks(70_001).try_for_each(|part| to.write_all(part)).map(|()| length),
        );
        assert!(content.starts_with(&sink.0), "out of order");
        (done, sink.0)
    }

    #[test]
    fn everything_arrives_in_order_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 17] {
            let (done, arrived) = written(length, usize::MAX);
            assert_eq!((done.unwrap(), arrived.len()), (length, length));
        }
    }

    #[test]
    fn a_disk_that_fills_is_told_as_that_and_not_as_a_broken_pipe() {
        for room in [0, 1, 3 * PIECE] {
            let (done, _) = written(9 * PIECE, room);
            assert_eq!(done.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn what_the_work_fails_with_is_told_where_the_disk_is_well() {
        let mut sink = Small(Vec::new(), usize::MAX);
        let done: io::Result<()> = pipelined(
            &mut sink,
            |why| why,
            |to| {
                to.write_all(b"half")?;
                Err(io::ErrorKind::InvalidData.into())
            },
        );
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
