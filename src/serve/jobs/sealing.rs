//! The sealing of a job's archive, also where an earlier process was at it. Blocks.

use jiff::Timestamp;

use super::archives::{ArchiveFault, ArchiveOwner, Archives};
use crate::archive::name::SEALED;
use crate::disk::files::FileError;
use crate::seal::{Recipient, RecipientError, SealError, seal_file};

/// Why there is no sealed archive.
#[derive(Debug, thiserror::Error)]
pub enum SealingFault {
    /// The archive is not to be used.
    #[error(transparent)]
    Archive(#[from] ArchiveFault),
    /// The certificate is not.
    #[error(transparent)]
    Recipient(#[from] RecipientError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The directory cannot be looked at.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Seals the archive to the certificate, which was good at `at`, and returns the sealed file's name. The plain one is gone
/// when this returns.
pub fn seal(
    archives: &Archives,
    owner: &ArchiveOwner,
    file: &str,
    certificate: &[u8],
    at: i64,
) -> Result<String, SealingFault> {
    let sealed = format!("{file}{SEALED}");
    if archives.has(&sealed)? {
        // A sealed file has its name only when it is whole and durable; the plain one may have been left.
        archives.remove(file)?;
        return Ok(sealed);
    }
    archives.take(file, owner)?;
    let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let recipient = Recipient::from_pem(certificate, at)?;
    seal_file(&recipient, &archives.locate(file), &mut |_| {})?;
    Ok(sealed)
}
