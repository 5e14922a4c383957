//! Why a file cannot be sealed or opened. No error repeats what is secret.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::archive::sidecar::SidecarError;
use crate::disk::files::FileError;

/// A file that could not be sealed. The plain archive is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// What is to be sealed cannot be read.
    #[error("cannot read what is to be sealed: {0}")]
    Read(io::Error),
    /// The sealed file cannot be written.
    #[error("cannot write the sealed file: {0}; free space there, twice the archive is needed while it is sealed")]
    Write(io::Error),
    /// The library refused, as it does where the system has no randomness.
    #[error("the encryption failed; is the system out of entropy?")]
    Crypto,
    /// No archive, or one that is not whole.
    #[error("cannot seal {}: {why}", .path.display())]
    Archive {
        /// Of the plain archive.
        path: PathBuf,
        /// What is wrong with it.
        why: ArchiveError,
    },
    /// It has no end yet, or never will.
    #[error("cannot seal {}: {why}", .path.display())]
    Incomplete {
        /// Of the plain archive.
        path: PathBuf,
        /// What of an archive's end is missing.
        why: String,
    },
    /// Its path has no file name, or none that is UTF-8.
    #[error("{} cannot be the name of an archive", .path.display())]
    Name {
        /// The path as it was given.
        path: PathBuf,
    },
    /// Its name leaves no room for the endings of a sealed archive and of its description.
    #[error("{} has a name too long to be sealed: with .age.json after it, it would have more than 255 bytes; rename the \
             archive, or push it as an image", .path.display())]
    LongName {
        /// As given.
        path: PathBuf,
    },
    /// There is a sealed one.
    #[error("{} is there already, perhaps of the same archive: open it to see, and move one of the two away", .path.display())]
    Exists {
        /// Path of the sealed file that is there.
        path: PathBuf,
    },
    /// It changed while it was sealed.
    #[error("{} changed while it was sealed; try again when the checkpoint is done", .path.display())]
    Changed {
        /// Of the plain archive.
        path: PathBuf,
    },
    /// Its description could not be made.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    /// A primitive operation on the disk failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A sealed file that could not be opened. Nothing has its final name.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The sealed file cannot be read.
    #[error("cannot read the sealed file: {0}")]
    Read(io::Error),
    /// The plain archive cannot be written.
    #[error("cannot write the plain archive: {0}")]
    Write(io::Error),
    /// Not in age's format, or beyond what such a file may have.
    #[error("it is no sealed archive, or its header is damaged: {0}")]
    Format(&'static str),
    /// In age's format, but without our stanza.
    #[error("it is an age file that this program did not seal; open it with `age -d`")]
    NotOurs,
    /// The envelope cannot be read.
    #[error("the envelope in its header is damaged: {0}")]
    Envelope(&'static str),
    /// No private key that can be used.
    #[error("the private key cannot be used: {0}")]
    Key(&'static str),
    /// No certificate that can be read.
    #[error("the certificate cannot be used: {0}")]
    Certificate(&'static str),
    /// Sealed to another certificate.
    #[error("it is sealed to another certificate, with serial number {serial} of {issuer}; give that one's key")]
    OtherCertificate {
        /// Serial number of that certificate, in hexadecimal.
        serial: String,
        /// Distinguished name of who issued it.
        issuer: String,
    },
    /// The key does not open the envelope.
    #[error("this key does not open it: it is sealed to another certificate, or its header was changed")]
    WrongKey,
    /// Something was changed after it was sealed.
    #[error("it was changed after it was sealed; nothing of it can be trusted, get another copy")]
    Tampered,
    /// Its end is missing.
    #[error("its end is missing; nothing of it can be trusted, copy it again")]
    Truncated,
    /// There is something under the name that it is to have.
    #[error("{} is there already; remove it or name another file", .path.display())]
    Exists {
        /// Where it was to go.
        path: PathBuf,
    },
    /// A path has no file name, or none that is UTF-8.
    #[error("{} cannot be the name of an archive", .path.display())]
    Name {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A primitive operation on the disk failed.
    #[error(transparent)]
    File(#[from] FileError),
}
