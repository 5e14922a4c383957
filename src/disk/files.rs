//! The primitive operations that everything durable is made of, as a trait, so that tests can put a disk that loses
//! power in its place. Paths are relative to a root, with `/` between names; no path can leave it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A primitive operation that failed. The cause is part of the message, not of the error chain.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {operation} {}: {cause}{}", .path.display(), advice(.cause))]
pub struct FileError {
    /// What was tried: `"write"`, `"rename to"`, …
    pub operation: &'static str,
    /// The whole path.
    pub path: PathBuf,
    /// What the kernel said.
    pub cause: Arc<io::Error>,
}

/// What comes of a primitive operation.
pub(super) type FileResult<T> = Result<T, FileError>;

impl FileError {
    /// Names an operation and its path.
    pub fn new(operation: &'static str, path: PathBuf, cause: io::Error) -> Self {
        Self { operation, path, cause: Arc::new(cause) }
    }

    /// The kind of the cause: `StorageFull`, `ReadOnlyFilesystem`, `NotFound`, …
    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }
}

/// What an operator can do about it, to be put after the cause.
fn advice(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() {
        Some(nix::libc::EIO) => "; the disk is failing, see the kernel log",
        Some(nix::libc::EUCLEAN | nix::libc::EBADMSG) => {
            "; the filesystem is damaged there: check it with fsck, see the kernel log"
        }
        Some(nix::libc::ELOOP | nix::libc::EXDEV) => {
            "; a symbolic link or a mount stands in the path where this program makes directories: remove it"
        }
        Some(nix::libc::EPERM) => "; it is immutable (see lsattr), or this program does not run as root",
        Some(nix::libc::ENAMETOOLONG) => "; a name may have at most 255 bytes, and a path 4095: shorten it",
        Some(nix::libc::ENOSYS) => "; openat2 is missing: Linux 5.6 or newer is needed, and seccomp must allow it",
        _ => match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free blocks or inodes there",
            io::ErrorKind::ReadOnlyFilesystem => "; mount it read-write",
            io::ErrorKind::PermissionDenied => {
                "; this program must run as root with the directory mounted; where that belongs to another user, or SELinux \
                 is on, doctor says what else"
            }
            _ => "",
        },
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link, not followed.
    Symlink,
    /// A socket, pipe or device.
    Other,
}

/// What is known of a name without following it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// File, directory, link or something else.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, seconds since the epoch.
    pub modified: i64,
    /// Two names with one inode (on one filesystem) are one file.
    pub inode: u64,
}

/// A file that was just created and is not yet under its final name.
pub trait NewFile: Send {
    /// Appends all of `bytes`.
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError>;
    /// Sets the permission bits, whatever the umask.
    fn set_mode(&mut self, mode: u32) -> Result<(), FileError>;
    /// Sets owner and group; ids that are as wanted are not set, so that tests need no root.
    fn set_owner(&mut self, uid: Option<u32>, gid: Option<u32>) -> Result<(), FileError>;
    /// Makes the content durable. Its name is durable only after [`Files::sync_dir`].
    fn sync(&mut self) -> Result<(), FileError>;
}

/// Primitive operations beneath one root. None follows a symbolic link.
pub trait Files: Send + Sync {
    /// The whole path, for messages.
    fn locate(&self, path: &str) -> PathBuf;
    /// Creates a file that must not exist, mode 0600.
    fn create(&self, path: &str) -> Result<Box<dyn NewFile>, FileError>;
    /// Renames over whatever file or link is at `to`.
    fn rename(&self, from: &str, to: &str) -> Result<(), FileError>;
    /// A second name for a file; fails if `to` exists.
    fn link(&self, from: &str, to: &str) -> Result<(), FileError>;
    /// A symbolic link that says `target`.
    fn symlink(&self, target: &str, path: &str) -> Result<(), FileError>;
    /// Removes a file or link.
    fn remove_file(&self, path: &str) -> Result<(), FileError>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> Result<(), FileError>;
    /// Makes a directory, mode 0700 less the umask; fails if it exists.
    fn make_dir(&self, path: &str) -> Result<(), FileError>;
    /// Sets a directory's permission bits.
    fn set_dir_mode(&self, path: &str, mode: u32) -> Result<(), FileError>;
    /// Sets a directory's group; not set where it is as wanted.
    fn set_dir_group(&self, path: &str, gid: u32) -> Result<(), FileError>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &str) -> Result<(), FileError>;
    /// The content of a regular file of at most `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError>;
    /// What a symbolic link says.
    fn read_link(&self, path: &str) -> Result<String, FileError>;
    /// The names in a directory, in no order. Names that are not UTF-8 are never ours and left out.
    fn list(&self, path: &str) -> Result<Vec<String>, FileError>;
    /// What a name stands for; `None` only if it certainly does not exist.
    fn stat(&self, path: &str) -> Result<Option<Stat>, FileError>;
}

/// Makes a directory if there is none; true if it made one. Its parent is not synced.
pub fn ensure_dir(files: &dyn Files, path: &str, mode: u32) -> Result<bool, FileError> {
    match files.stat(path)? {
        Some(stat) if stat.kind == FileKind::Dir => {
            if stat.mode != mode {
                files.set_dir_mode(path, mode)?;
            }
            Ok(false)
        }
        _ => {
            files.make_dir(path)?;
            files.set_dir_mode(path, mode)?;
            Ok(true)
        }
    }
}

/// Removes a directory and everything in it; it may not exist. The parent is not synced.
pub fn remove_tree(files: &dyn Files, path: &str) -> Result<(), FileError> {
    match files.stat(path)? {
        None => return Ok(()),
        Some(stat) if stat.kind != FileKind::Dir => return files.remove_file(path),
        Some(_) => {}
    }
    for name in files.list(path)? {
        remove_tree(files, &format!("{path}/{name}"))?;
    }
    files.remove_dir(path)
}

/// The names in a directory that may be missing.
pub fn list_or_none(files: &dyn Files, path: &str) -> Result<Vec<String>, FileError> {
    match files.list(path) {
        Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        other => other,
    }
}

/// Whether it certainly does not exist: a name that the filesystem could not even hold is no file's.
pub fn is_absent(error: &FileError) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.cause.raw_os_error() == Some(nix::libc::ENAMETOOLONG)
}

/// Whether the content of this one file cannot be had, though the rest of the disk may be well: a bad block (EIO), or a
/// checksum that does not fit (EUCLEAN of XFS and ext4, EBADMSG of ext4, UBIFS and dm-verity).
pub fn is_bad_block(error: &FileError) -> bool {
    use nix::libc::{EBADMSG, EIO, EUCLEAN};
    matches!(error.cause.raw_os_error(), Some(EIO | EUCLEAN | EBADMSG))
}

/// Whether an error tells of this process or the whole system (no descriptor or memory left, no `openat2`) and nothing of
/// the object that it came up at. Anything else is the object's fault: the others must not suffer for it.
pub fn is_of_the_system(error: &FileError) -> bool {
    use nix::libc::{EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, ENOSYS};
    matches!(error.cause.raw_os_error(), Some(EAGAIN | EINTR | EMFILE | ENFILE | ENOMEM | ENOSYS))
}

/// The directory that holds a path; the root is `""`.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
