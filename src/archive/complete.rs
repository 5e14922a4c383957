//! Whether an archive is whole. The runtime writes its end marker last, so one that ends with the marker is.
//!
//! One that does not is still being written, or was left so: a writer adds to it all the time, so what has not changed for
//! [`QUIET`] has none.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::ArchiveError;
use super::entries::{Bytes, End, walk};

/// A runtime that writes nothing for so long has given up, or died.
pub const QUIET: Duration = Duration::from_secs(120);

/// What may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is whole.
    Complete,
    /// It has no end yet, and somebody may still be at it.
    BeingWritten,
    /// It will not become whole, for this reason.
    Incomplete(String),
}

/// Reads headers alone. It blocks.
pub fn state(file: &File) -> Result<State, ArchiveError> {
    let changed = file.metadata()?.modified()?;
    Ok(match lacks(file)? {
        None => State::Complete,
        // What follows the end stays there, so nobody need be waited for.
        Some(Lack::End(_)) if is_fresh(changed, SystemTime::now()) => State::BeingWritten,
        Some(Lack::End(why) | Lack::Tail(why)) => State::Incomplete(why),
    })
}

/// A change in the future is one of a clock that was set back: nothing is known then, so it is not taken for abandoned.
fn is_fresh(changed: SystemTime, now: SystemTime) -> bool {
    now.duration_since(changed).map_or(true, |since| since < QUIET)
}

/// What is wrong with it, for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The end has not come yet.
    End(String),
    /// Something stands behind the end.
    Tail(String),
}

/// What it lacks to be whole.
pub(super) fn lacks(bytes: &dyn Bytes) -> Result<Option<Lack>, ArchiveError> {
    match walk(bytes, |_| Ok(())) {
        Ok(End::Marked) => Ok(None),
        Ok(End::Unmarked) => Ok(Some(Lack::End("it has no end marker".to_owned()))),
        Ok(End::Followed(at)) => {
            let why = "two were written to one name within a second";
            Ok(Some(Lack::Tail(format!("something follows its end at byte {at}: {why}"))))
        }
        Err(ArchiveError::Io(why)) => Err(ArchiveError::Io(why)),
        Err(why) => Ok(Some(Lack::End(why.to_string()))),
    }
}
