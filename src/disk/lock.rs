//! One leader a node. Two locks on one file: an OFD lock, and `flock`, which the original program takes; on Linux the
//! two do not exclude each other, so both are held. No crate takes both.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc;
use tokio::sync::oneshot;

/// The lock could not be asked for; that another holds it is no error.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file cannot be opened.
    #[error("cannot open the lock {}: {cause}; its directory must be the node's own, mounted writable", .path.display())]
    Open {
        /// Path of the lock file.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The kernel refused for another reason than a holder.
    #[error("cannot lock {}: {cause}; the filesystem must support locks", .path.display())]
    Lock {
        /// Path of the lock file.
        path: PathBuf,
        /// What the kernel said.
        cause: Errno,
    },
    /// The thread that waits could not be started, or died.
    #[error("cannot wait for the lock {}: {cause}", .path.display())]
    Wait {
        /// Path of the lock file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// The node's lock, held. Dropping it, or the death of the process, releases it.
#[derive(Debug)]
pub struct NodeLock {
    /// Its description owns both locks.
    _file: Flock<File>,
}

impl NodeLock {
    /// Takes the lock if nobody has it.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, LockError> {
        Self::lock(path, false)
    }

    /// Waits for the lock without using the CPU. Dropping the future gives up: should the lock come after that, it is
    /// released at once.
    pub async fn acquire(path: &Path) -> Result<Self, LockError> {
        let path = path.to_owned();
        let (sender, receiver) = oneshot::channel();
        let wait = |cause| LockError::Wait { path: path.clone(), cause };
        let waiter = path.clone();
        // A thread of its own: the runtime would wait at its end for one that is blocked for good.
        std::thread::Builder::new()
            .name("node-lock".to_owned())
            .spawn(move || {
                let outcome = Self::lock(&waiter, true);
                // Nobody waits any more: the lock drops here.
                let _ = sender.send(outcome);
            })
            .map_err(wait)?;
        match receiver.await {
            Ok(Ok(Some(lock))) => Ok(lock),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) | Err(_) => Err(wait(io::Error::other("the waiting thread ended without it"))),
        }
    }

    fn lock(path: &Path, patient: bool) -> Result<Option<Self>, LockError> {
        let file = open(path).map_err(|cause| LockError::Open { path: path.to_owned(), cause })?;
        let taken = |outcome: Result<(), Errno>| match outcome {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) if !patient => Ok(false),
            Err(cause) => Err(LockError::Lock { path: path.to_owned(), cause }),
        };
        if !taken(uninterrupted(|| ofd_lock(&file, patient)))? {
            return Ok(None);
        }
        let how = if patient { FlockArg::LockExclusive } else { FlockArg::LockExclusiveNonblock };
        let mut file = Some(file);
        let mut locked = None;
        let outcome = uninterrupted(|| match file.take().map(|file| Flock::lock(file, how)) {
            Some(Ok(lock)) => {
                locked = Some(lock);
                Ok(())
            }
            Some(Err((back, errno))) => {
                file = Some(back);
                Err(errno)
            }
            None => Ok(()),
        });
        // Not taken: `file` drops with the OFD lock.
        Ok(if taken(outcome)? { locked.map(|file| Self { _file: file }) } else { None })
    }
}

/// Opens or makes the file, and its directory: systemd makes no `/run/lock` any more (259).
fn open(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    match (open(), path.parent()) {
        (Err(cause), Some(dir)) if cause.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(dir)?;
            open()
        }
        (opened, _) => opened,
    }
}

fn uninterrupted(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

fn ofd_lock(file: &File, patient: bool) -> Result<(), Errno> {
    // Length 0 means to the end of the file, however long; OFD locks want process id 0.
    #[allow(clippy::cast_possible_truncation)] // F_WRLCK and SEEK_SET are 1 and 0
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let command = if patient { FcntlArg::F_OFD_SETLKW(&whole) } else { FcntlArg::F_OFD_SETLK(&whole) };
    fcntl(file, command).map(drop)
}

#[cfg(test)]
mod tests;
