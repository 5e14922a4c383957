//! Whether an archive is whole, and what is in it then: one pass over its headers. The runtime writes its end marker last,
//! so one that ends with the marker is whole.
//!
//! One that does not is still being written, or was left so: a writer adds to it all the time, so what has not changed for
//! [`QUIET`] has none.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::ArchiveError;
use super::entries::{Bytes, End, walk};
use super::reader::{Contents, Gathered};

/// A runtime that writes nothing for so long has given up, or died.
pub const QUIET: Duration = Duration::from_secs(120);

/// What may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// It is whole.
    Complete(Box<Contents>),
    /// It has no end yet, and somebody may still be at it.
    BeingWritten,
    /// It will not become whole, for this reason.
    Incomplete(String),
}

/// Reads headers and the two small files that say whose it is, wherever the file's position is. It blocks.
///
/// # Errors
/// It cannot be read; or it is whole, and no container's checkpoint.
pub fn read(file: &File) -> Result<Completeness, ArchiveError> {
    let changed = file.metadata()?.modified()?;
    Ok(match look(file)? {
        Look::Whole(contents) => Completeness::Complete(contents),
        // What follows the end stays there, so nobody need be waited for.
        Look::Endless(_) if is_fresh(changed, SystemTime::now()) => Completeness::BeingWritten,
        Look::Endless(why) | Look::Followed(why) => Completeness::Incomplete(why),
    })
}

/// A change in the future is one of a clock that was set back: nothing is known then, so it is not taken for abandoned.
fn is_fresh(changed: SystemTime, now: SystemTime) -> bool {
    now.duration_since(changed).map_or(true, |since| since < QUIET)
}

/// What one pass over it shows; of what it is not, in words for people.
pub(super) enum Look {
    /// Its end is there, and nothing behind it.
    Whole(Box<Contents>),
    /// The end has not come yet.
    Endless(String),
    /// Something stands behind the end.
    Followed(String),
}

/// Looks at all of it. What is wrong with its content is an error only once its end was seen: until then it may change.
pub(super) fn look(bytes: &dyn Bytes) -> Result<Look, ArchiveError> {
    let mut gathered = Ok(Gathered::default());
    let end = walk(bytes, |entry| {
        if let Ok(so_far) = &mut gathered {
            match so_far.take(bytes, entry) {
                Err(ArchiveError::Io(why)) => return Err(why.into()),
                Err(wrong) => gathered = Err(wrong),
                Ok(()) => {}
            }
        }
        Ok(())
    });
    match end {
        Ok(End::Marked) => Ok(Look::Whole(Box::new(gathered?.contents(bytes)?))),
        Ok(End::Unmarked) => Ok(Look::Endless("it has no end marker".to_owned())),
        Ok(End::Followed(at)) => {
            let why = "two were written to one name within a second";
            Ok(Look::Followed(format!("something follows its end at byte {at}: {why}")))
        }
        Err(ArchiveError::Io(why)) => Err(ArchiveError::Io(why)),
        Err(why) => Ok(Look::Endless(why.to_string())),
    }
}
