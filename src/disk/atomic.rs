//! One file, whole or not at all: a temporary beside it, fsync, rename, fsync of the directory.

use std::io;

use super::files::{FileError, FileKind, Files, is_bad_block, parent};

/// Every temporary of ours begins so: a dotfile, which the kubelet ignores. The sweep removes them.
pub const TEMPORARY_PREFIX: &str = ".pod-checkpointer-";

/// Whether there was anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The disk holds something new.
    Changed,
    /// It held that already, and nothing was written.
    Unchanged,
}

/// A name for a temporary in the directory of `path`.
pub fn temporary(path: &str) -> String {
    let dir = parent(path);
    let slash = if dir.is_empty() { "" } else { "/" };
    format!("{dir}{slash}{TEMPORARY_PREFIX}{:016x}", fastrand::u64(..))
}

/// Writes a file so that a power cut leaves the old one or the new one; durable when this returns.
pub fn write(files: &dyn Files, path: &str, bytes: &[u8], mode: u32) -> Result<Written, FileError> {
    let written = if holds(files, path, bytes, mode)? {
        Written::Unchanged
    } else {
        put(files, path, bytes, mode)?;
        Written::Changed
    };
    // Also for what was there already: the process that wrote it may have died before this.
    files.sync_dir(parent(path))?;
    Ok(written)
}

/// Like [`write()`], but the name is durable only after the caller's [`Files::sync_dir`]: one for a whole batch.
pub fn put(files: &dyn Files, path: &str, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    place(files, path, |temporary| fill(files, temporary, bytes, mode, true))
}

/// Atomic but not durable: for tmpfs, where nothing outlives the power anyway.
pub fn write_volatile(files: &dyn Files, path: &str, bytes: &[u8], mode: u32) -> Result<Written, FileError> {
    if holds(files, path, bytes, mode)? {
        return Ok(Written::Unchanged);
    }
    place(files, path, |temporary| fill(files, temporary, bytes, mode, false))?;
    Ok(Written::Changed)
}

/// Gives the file `from` a second name `to`, replacing what is there; where links cannot be made (another filesystem,
/// one without them), a copy. Needs no free blocks where a link does. The directory is not synced.
pub fn link(files: &dyn Files, from: &str, to: &str, limit: u64, mode: u32) -> Result<(), FileError> {
    let linked = if files.stat(to)?.is_none() { files.link(from, to) } else { replace_by_link(files, from, to) };
    match linked {
        Err(error) if cannot_link(&error) => put(files, to, &files.read(from, limit)?, mode),
        other => other,
    }
}

fn replace_by_link(files: &dyn Files, from: &str, to: &str) -> Result<(), FileError> {
    let mut used = String::new();
    place(files, to, |temporary| {
        temporary.clone_into(&mut used);
        files.link(from, temporary)
    })?;
    // Renaming over another name of the same file does nothing and says that it worked.
    if files.stat(&used)?.is_some() { files.remove_file(&used) } else { Ok(()) }
}

fn cannot_link(error: &FileError) -> bool {
    use nix::libc::{EMLINK, ENOTSUP, EPERM, EXDEV};
    matches!(error.cause.raw_os_error(), Some(EMLINK | ENOTSUP | EPERM | EXDEV))
}

/// Lets `make` make a temporary and renames it to `path`; a failure leaves no temporary if that can be helped.
fn place(files: &dyn Files, path: &str, make: impl FnOnce(&str) -> Result<(), FileError>) -> Result<(), FileError> {
    let temporary = temporary(path);
    make(&temporary).and_then(|()| files.rename(&temporary, path)).inspect_err(|_| {
        // The first error is the one to tell; what cannot be removed now goes with the next sweep.
        let _ = files.remove_file(&temporary);
    })
}

fn fill(files: &dyn Files, path: &str, bytes: &[u8], mode: u32, durable: bool) -> Result<(), FileError> {
    let mut file = files.create(path)?;
    file.write(bytes)?;
    file.set_mode(mode)?;
    if durable { file.sync() } else { Ok(()) }
}

/// Whether the file is there with this content and mode.
fn holds(files: &dyn Files, path: &str, bytes: &[u8], mode: u32) -> Result<bool, FileError> {
    let size = bytes.len() as u64;
    match files.stat(path)? {
        Some(stat) if stat.kind == FileKind::File && stat.mode == mode && stat.size == size => {
            match files.read(path, size) {
                Ok(found) => Ok(found == bytes),
                Err(error) if is_bad_block(&error) || error.kind() == io::ErrorKind::FileTooLarge => Ok(false),
                Err(error) => Err(error),
            }
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests;
