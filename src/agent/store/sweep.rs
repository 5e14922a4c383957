//! After a start: what an interrupted process left. Nothing here keeps the agent from leading: what cannot be cleaned is
//! told, and tried again with the next start.

use super::names;
use super::{Store, StoreError};
use crate::disk::atomic::TEMPORARY_PREFIX;
use crate::disk::files::{FileError, FileKind, list_or_none};
use crate::disk::volume_dir;
use crate::pod::checkpoint::Tree;

impl Store {
    /// Removes our temporaries and half-made volumes; returns what could not be looked at or removed. The node lock must
    /// be held: another process's work in progress looks the same.
    #[must_use]
    pub fn sweep(&self) -> Vec<StoreError> {
        let _writing = self.writing();
        let mut left: Vec<FileError> = Vec::new();
        for dir in ["", names::INACTIVE, names::MANIFESTS] {
            let names = list_or_none(&*self.files, dir).unwrap_or_else(|why| {
                left.push(why);
                Vec::new()
            });
            for name in names.iter().filter(|name| name.starts_with(TEMPORARY_PREFIX)) {
                let slash = if dir.is_empty() { "" } else { "/" };
                left.extend(self.remove_temporary(&format!("{dir}{slash}{name}")).err());
            }
        }
        let assets = self.asset_dirs();
        left.extend(assets.unreadable);
        for dir in assets.dirs.values().flatten() {
            left.extend(volume_dir::sweep(&*self.files, dir).err());
        }
        left.into_iter().map(StoreError::from).collect()
    }

    /// We make no directories of such a name: one is somebody's.
    fn remove_temporary(&self, path: &str) -> Result<(), FileError> {
        match self.files.stat(path)? {
            Some(stat) if stat.kind != FileKind::Dir => self.remove_if_there(path),
            _ => Ok(()),
        }
    }

    /// Makes durable whatever an earlier process of this boot was killed before making so. Once after a start, off the
    /// path of the first activation: after a power cut there is nothing to make durable. Returns what could not be.
    #[must_use]
    pub fn settle(&self) -> Vec<StoreError> {
        let _writing = self.writing();
        let mut left = Vec::new();
        for dir in ["", names::INACTIVE, names::MANIFESTS] {
            left.extend(self.files.sync_dir(dir).err());
        }
        for tree in Tree::ALL {
            self.settle_dir(tree.dir(), &mut left);
        }
        left.into_iter().map(StoreError::from).collect()
    }

    /// With what is in it, but for `..<time>`: that was durable before `..data` led there.
    fn settle_dir(&self, dir: &str, left: &mut Vec<FileError>) {
        left.extend(self.files.sync_dir(dir).err());
        let deeper = self.subdirs(dir, left);
        for name in deeper.iter().filter(|name| !name.starts_with("..")) {
            self.settle_dir(&format!("{dir}/{name}"), left);
        }
    }
}
