//! Why an archive cannot be read.

use std::io;

use super::metadata::MetadataError;

/// An archive that cannot be read, or is not safe to. The caller knows its path.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading failed.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// It ends in the middle.
    #[error("it is cut off: {what} at byte {at} goes beyond its end; take the checkpoint again")]
    Cut {
        /// What has no end.
        what: String,
        /// Offset at which that begins, in bytes.
        at: u64,
    },
    /// Not what a runtime writes: damage, or an attack on whoever reads it.
    #[error("it is damaged or made to deceive: {why} (at byte {at}); take the checkpoint again")]
    Refused {
        /// What is wrong there.
        why: String,
        /// Offset at which it was seen, in bytes.
        at: u64,
    },
    /// No container's checkpoint.
    #[error("it is no container's checkpoint: there is no {0} in it")]
    Missing(&'static str),
    /// It does not say whose it is, or says several things.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}
