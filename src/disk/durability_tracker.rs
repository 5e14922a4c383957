//! [`Files`] that know which directories changed since they were last made durable, so that a careful caller may ask
//! for durability every time, also of what it found as it wanted it, and an idle node still does not touch the disk.

use std::collections::HashMap;
use std::path::PathBuf;

use parking_lot::{Mutex, MutexGuard};

use super::files::{FileError, Files, NewFile, Stat, parent};

/// Skips [`Files::sync_dir`] where nothing changed since one that succeeded. A directory not yet seen counts as
/// changed: an earlier process may have been killed before its fsync.
pub struct DurabilityTracker<F> {
    inner: F,
    dirs: Mutex<HashMap<String, SyncState>>,
}

#[derive(Default, Clone, Copy)]
struct SyncState {
    made: u64,
    durable: Option<u64>,
}

impl<F: Files> DurabilityTracker<F> {
    /// Nothing is known to be durable yet.
    pub fn new(inner: F) -> Self {
        Self { inner, dirs: Mutex::default() }
    }

    fn dirs(&self) -> MutexGuard<'_, HashMap<String, SyncState>> {
        // Counters are whole after every statement, so a panic elsewhere does not spoil them.
        self.dirs.lock()
    }

    /// Counted after the change: a sync that began before it cannot be taken for one that covers it.
    fn changed<T>(&self, dir: &str, outcome: T) -> T {
        self.dirs().entry(dir.to_owned()).or_default().made += 1;
        outcome
    }
}

impl<F: Files> Files for DurabilityTracker<F> {
    fn locate(&self, path: &str) -> PathBuf {
        self.inner.locate(path)
    }

    fn create(&self, path: &str) -> Result<Box<dyn NewFile>, FileError> {
        self.changed(parent(path), self.inner.create(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let outcome = self.inner.rename(from, to);
        self.changed(parent(from), ());
        self.changed(parent(to), outcome)
    }

    fn link(&self, from: &str, to: &str) -> Result<(), FileError> {
        self.changed(parent(to), self.inner.link(from, to))
    }

    fn symlink(&self, target: &str, path: &str) -> Result<(), FileError> {
        self.changed(parent(path), self.inner.symlink(target, path))
    }

    fn remove_file(&self, path: &str) -> Result<(), FileError> {
        self.changed(parent(path), self.inner.remove_file(path))
    }

    fn remove_dir(&self, path: &str) -> Result<(), FileError> {
        let outcome = self.inner.remove_dir(path);
        self.dirs().remove(path);
        self.changed(parent(path), outcome)
    }

    fn make_dir(&self, path: &str) -> Result<(), FileError> {
        let outcome = self.inner.make_dir(path);
        self.changed(path, ());
        self.changed(parent(path), outcome)
    }

    fn set_dir_mode(&self, path: &str, mode: u32) -> Result<(), FileError> {
        self.changed(path, self.inner.set_dir_mode(path, mode))
    }

    fn set_dir_group(&self, path: &str, gid: u32) -> Result<(), FileError> {
        self.changed(path, self.inner.set_dir_group(path, gid))
    }

    fn sync_dir(&self, path: &str) -> Result<(), FileError> {
        let before = self.dirs().get(path).copied().unwrap_or_default();
        if before.durable == Some(before.made) {
            return Ok(());
        }
        self.inner.sync_dir(path)?;
        self.dirs().entry(path.to_owned()).or_default().durable = Some(before.made);
        Ok(())
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError> {
        self.inner.read(path, limit)
    }

    fn read_link(&self, path: &str) -> Result<String, FileError> {
        self.inner.read_link(path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        self.inner.list(path)
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>, FileError> {
        self.inner.stat(path)
    }
}
