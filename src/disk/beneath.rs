//! How names that others chose are looked up: beneath a directory that is open, by the kernel, through no link (`openat2(2)` with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`). So neither a name from outside nor a link that somebody
//! planted leads anywhere else. Over `nix` and no crate of capabilities: durability hangs on which system calls are made in which
//! order, and here they can be seen.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag};

/// Opens what `path` is beneath `dir`; `""` is `dir` itself.
pub(super) fn open(dir: &impl AsFd, path: &str, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    if !path.is_empty() && !path.split('/').all(is_name) {
        return Err(Errno::EINVAL);
    }
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(resolve);
    openat2(dir, if path.is_empty() { "." } else { path }, how)
}

/// Opens a regular file for reading.
pub(super) fn open_file(dir: &impl AsFd, path: &str) -> io::Result<File> {
    // O_NONBLOCK: a pipe planted under the name must not hold us up.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::from(open(dir, path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// The names in a directory, in no order. Those that are not UTF-8 are left out: they are never ours.
pub(super) fn names(dir: &impl AsFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    // Opened anew: where the reading of a directory stands belongs to what is open.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    for entry in Dir::from_fd(open(dir, "", flags, Mode::empty())?)?.iter() {
        if let Ok(name) = entry?.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// A name within a directory, not a path out of it.
pub(super) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}

/// The kind of file, without the permissions.
pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}
