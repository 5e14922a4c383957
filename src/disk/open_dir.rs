//! One directory of many files, held open: names, and what tells a file from another that has its name. For a hundred
//! thousand of them one system call each. It opens and removes its own names only, never through a link (`beneath`). Few files
//! that must be durable, in directories that may come later, are written through `rooted_dir`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use serde::{Deserialize, Serialize};

use super::beneath;
use super::files::{FileError, FileResult};

/// Two files with the same stamp are one, unchanged. Times are nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "(u64, u64, i64, i64)", into = "(u64, u64, i64, i64)")]
pub struct Stamp {
    /// Its number in the filesystem.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, which its owner can set back.
    pub modified: i64,
    /// Last change of anything, which nobody can.
    pub changed: i64,
}

impl From<(u64, u64, i64, i64)> for Stamp {
    fn from((inode, size, modified, changed): (u64, u64, i64, i64)) -> Self {
        Self { inode, size, modified, changed }
    }
}

impl From<Stamp> for (u64, u64, i64, i64) {
    fn from(stamp: Stamp) -> Self {
        (stamp.inode, stamp.size, stamp.modified, stamp.changed)
    }
}

/// Room on the filesystem, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// For programs without privileges, as the kubelet counts it.
    pub free: u64,
    /// Altogether.
    pub capacity: u64,
}

/// The directory. What it is called may stand for another one later: open it anew now and then.
#[derive(Debug)]
pub struct OpenDir {
    dir: File,
    path: PathBuf,
}

impl OpenDir {
    /// Opens it. Links on the way are the operator's.
    pub fn open(path: &Path) -> FileResult<Self> {
        let open = || {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            nix::fcntl::open(path, flags, Mode::empty())
        };
        let dir = open().map_err(|why| FileError::new("open directory", path.to_owned(), why.into()))?;
        Ok(Self { dir: File::from(dir), path: path.to_owned() })
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the other is not the same directory, whatever both are called.
    pub fn is_another(&self, other: &Self) -> FileResult<bool> {
        let same = |one: FileStat, other: FileStat| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
        let (one, other) = (fstat(&self.dir), fstat(&other.dir));
        one.and_then(|one| Ok(!same(one, other?))).map_err(self.fail("look at", ""))
    }

    fn fail<'a>(&'a self, operation: &'static str, name: &'a str) -> impl Fn(Errno) -> FileError + 'a {
        move |why| FileError::new(operation, self.path.join(name), why.into())
    }

    /// The names in it, in no order. Those that are not UTF-8 are left out.
    pub fn names(&self) -> FileResult<Vec<String>> {
        beneath::names(&self.dir).map_err(self.fail("list", ""))
    }

    /// Of a regular file; `None`: no such name, or it is none.
    pub fn stamp(&self, name: &str) -> FileResult<Option<Stamp>> {
        Ok(self.stat(name)?.filter(|stat| beneath::kind(stat) == SFlag::S_IFREG).map(|stat| stamp(&stat)))
    }

    /// Whether there is such a name, whatever it is.
    pub fn has(&self, name: &str) -> FileResult<bool> {
        Ok(self.stat(name)?.is_some())
    }

    fn stat(&self, name: &str) -> FileResult<Option<FileStat>> {
        own(name).map_err(self.fail("look at", name))?;
        match fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            // A name that the filesystem could not even hold is no file's.
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Ok(None),
            Err(why) => Err(self.fail("look at", name)(why)),
        }
    }

    /// A regular file, for reading.
    pub fn file(&self, name: &str) -> FileResult<File> {
        let open = || own(name).map_err(io::Error::from).and_then(|()| beneath::open_file(&self.dir, name));
        open().map_err(|cause| FileError::new("open", self.path.join(name), cause))
    }

    /// Removes a name that is no directory; one that is not there is gone already.
    pub fn remove(&self, name: &str) -> FileResult<()> {
        let remove = || own(name).and_then(|()| unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir));
        match remove() {
            Ok(()) | Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Ok(()),
            Err(why) => Err(self.fail("remove", name)(why)),
        }
    }

    /// Makes what was removed stay removed.
    pub fn sync(&self) -> FileResult<()> {
        fsync(&self.dir).map_err(self.fail("make durable", ""))
    }

    /// Room where it lies.
    pub fn room(&self) -> FileResult<Room> {
        let stat = fstatvfs(&self.dir).map_err(self.fail("measure the filesystem of", ""))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
        Ok(Room { free: bytes(stat.blocks_available()), capacity: bytes(stat.blocks()) })
    }

    /// The right to delete in it, of one process at a time; `None`: another has it. Goes when dropped.
    pub fn claim(&self) -> FileResult<Option<Claim>> {
        let again = Self::open(&self.path)?;
        match Flock::lock(again.dir, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Claim { _lock: lock })),
            Err((_, Errno::EAGAIN)) => Ok(None),
            Err((_, why)) => Err(self.fail("lock", "")(why)),
        }
    }
}

/// See [`OpenDir::claim`].
#[derive(Debug)]
pub struct Claim {
    _lock: Flock<File>,
}

fn own(name: &str) -> Result<(), Errno> {
    if beneath::is_name(name) { Ok(()) } else { Err(Errno::EINVAL) }
}

fn stamp(stat: &FileStat) -> Stamp {
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    Stamp {
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: nanos(stat.st_mtime, stat.st_mtime_nsec),
        changed: nanos(stat.st_ctime, stat.st_ctime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_paths_lead_nowhere_and_a_directory_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let own = OpenDir::open(dir.path()).unwrap();
        for name in ["link", "dir", "../x", "/etc/passwd", "", "."] {
            assert!(own.file(name).is_err(), "{name}");
            assert!(!matches!(own.stamp(name), Ok(Some(_))), "{name}");
        }
        assert!(own.remove("dir").is_err());
        assert!(own.remove("../x").is_err());
        assert!(own.has("link").unwrap() && own.stamp("file").unwrap().is_some());
        own.remove("link").unwrap();
        own.remove("link").unwrap();
        assert!(std::path::Path::new("/etc/passwd").exists());
    }

    #[test]
    fn a_name_that_no_file_can_have_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let own = OpenDir::open(dir.path()).unwrap();
        let beside = format!("{}.age.json", "x".repeat(250));
        assert!(!own.has(&beside).unwrap() && own.stamp(&beside).unwrap().is_none());
        own.remove(&beside).unwrap();
    }

    #[test]
    fn a_change_gives_a_file_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let own = OpenDir::open(dir.path()).unwrap();
        let before = own.stamp("file").unwrap();
        assert_eq!(before, own.stamp("file").unwrap());
        std::fs::write(&path, "xy").unwrap();
        assert_ne!(before, own.stamp("file").unwrap());
    }

    #[test]
    fn one_at_a_time_may_delete() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (OpenDir::open(dir.path()).unwrap(), OpenDir::open(dir.path()).unwrap());
        let claim = one.claim().unwrap();
        assert!(claim.is_some() && other.claim().unwrap().is_none());
        drop(claim);
        assert!(other.claim().unwrap().is_some());
    }

    #[test]
    fn room_is_part_of_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let room = OpenDir::open(dir.path()).unwrap().room().unwrap();
        assert!(room.capacity > 0 && room.free <= room.capacity);
    }
}
