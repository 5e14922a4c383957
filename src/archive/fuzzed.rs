//! The parsers of this folder, opened for `fuzz/`; compiled with `cfg(fuzzing)` alone.

use std::io;

use super::entries::Bytes;
use super::{complete, reader};

struct Memory<'a>(&'a [u8]);

impl Bytes for Memory<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let content = usize::try_from(at).ok().and_then(|at| self.0.get(at..at.checked_add(buffer.len())?));
        buffer.copy_from_slice(content.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// What is read of an archive, if it can be, and whether it is whole.
pub fn read(bytes: &[u8]) -> (Option<reader::Contents>, bool) {
    let whole = matches!(complete::look(&Memory(bytes)), Ok(complete::Look::Whole(_)));
    (reader::from(&Memory(bytes)).ok(), whole)
}
