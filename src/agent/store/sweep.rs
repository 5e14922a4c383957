//! After a start: what an interrupted process left.

use super::names;
use super::{Store, StoreError};
use crate::disk::atomic::TEMPORARY_PREFIX;
use crate::disk::files::list_or_none;
use crate::disk::volume_dir;
use crate::pod::checkpoint::Tree;

impl Store {
    /// Removes our temporaries and half-made volumes. The node lock must be held: another process's work in progress
    /// looks the same.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let _writing = self.writing();
        for dir in ["", names::INACTIVE, names::MANIFESTS] {
            for name in list_or_none(&*self.files, dir)? {
                if name.starts_with(TEMPORARY_PREFIX) {
                    let slash = if dir.is_empty() { "" } else { "/" };
                    self.remove_if_there(&format!("{dir}{slash}{name}"))?;
                }
            }
        }
        for dir in self.asset_dirs()?.values().flatten() {
            volume_dir::sweep(&*self.files, dir)?;
        }
        Ok(())
    }

    /// Makes durable whatever an earlier process of this boot was killed before making so. Once after a start, off the
    /// path of the first activation: after a power cut there is nothing to make durable.
    pub fn settle(&self) -> Result<(), StoreError> {
        let _writing = self.writing();
        for dir in ["", names::INACTIVE, names::MANIFESTS] {
            self.files.sync_dir(dir)?;
        }
        Tree::ALL.iter().try_for_each(|tree| self.settle_dir(tree.dir()))
    }

    /// With what is in it, but for `..<time>`: that was durable before `..data` led there.
    fn settle_dir(&self, dir: &str) -> Result<(), StoreError> {
        self.files.sync_dir(dir)?;
        let deeper = self.subdirs(dir)?.into_iter().filter(|name| !name.starts_with(".."));
        deeper.into_iter().try_for_each(|name| self.settle_dir(&format!("{dir}/{name}")))
    }
}
