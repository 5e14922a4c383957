//! Who holds the node's lock, without taking it: taking it for an instant could make an agent step aside.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Whoever has the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// The lock is free.
    Nobody,
    /// An agent of this program (an OFD lock).
    Agent,
    /// Somebody with `flock` alone, as the original program takes it; its process id where it can be seen.
    Other(Option<u32>),
}

/// Looks at the lock. A file that is not there is held by nobody.
pub(super) fn look(path: &Path) -> io::Result<Holder> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(why) => return Err(why),
    };
    if ofd_locked(&file)? {
        return Ok(Holder::Agent);
    }
    // Not readable in some sandboxes: then the original's lock stays unseen.
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    Ok(flock_of(&locks, file.metadata()?.ino()))
}

fn ofd_locked(file: &impl AsFd) -> io::Result<bool> {
    #[allow(clippy::cast_possible_truncation)] // F_WRLCK and SEEK_SET are 1 and 0
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// The holder of a `flock` on this inode in `/proc/locks`, proc(5): `1: FLOCK ADVISORY WRITE 708 00:13:16968 0 EOF`.
/// The device is not compared: container filesystems show another one there than stat does.
fn flock_of(locks: &str, inode: u64) -> Holder {
    let holder = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = fields.as_slice() else { return None };
        let same = file.rsplit(':').next()?.parse() == Ok(inode);
        same.then(|| Holder::Other(pid.parse().ok().filter(|pid| *pid > 0)))
    });
    holder.unwrap_or(Holder::Nobody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{Flock, FlockArg};

    #[test]
    fn a_lock_file_that_is_not_there_is_held_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(&dir.path().join("lock")).unwrap(), Holder::Nobody);
    }

    #[test]
    fn the_locks_of_an_agent_and_of_the_original_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let original = Flock::lock(File::create(&path).unwrap(), FlockArg::LockExclusive).unwrap();
        // Some sandboxes have no /proc/locks: then only that nobody is blamed wrongly can be seen.
        if fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
            assert_eq!(look(&path).unwrap(), Holder::Other(Some(std::process::id())));
        }
        drop(original);
        let agent = crate::disk::lock::NodeLock::try_acquire(&path).unwrap().expect("nobody holds it");
        assert_eq!(look(&path).unwrap(), Holder::Agent);
        drop(agent);
        assert_eq!(look(&path).unwrap(), Holder::Nobody);
    }

    #[test]
    fn a_flock_is_found_by_its_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 00:13:5 0 EOF\n2: FLOCK  ADVISORY  WRITE 708 00:13:16968 0 EOF\n";
        assert_eq!(flock_of(locks, 16968), Holder::Other(Some(708)));
        assert_eq!(flock_of(locks, 5), Holder::Nobody);
        assert_eq!(flock_of("garbage\n2: FLOCK", 5), Holder::Nobody);
    }
}
