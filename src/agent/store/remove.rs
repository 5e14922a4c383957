//! Removing manifests, in the order in which their absence may become known.

use super::copies::Copy;
use super::names::{self, CopyPlace};
use super::{Store, StoreError};
use crate::pod::key::PodKey;

impl Store {
    /// Removes a pod's manifests of ours; its assets stay. First the active one; then the previous one, so that it can
    /// never stand in for the newest; then that. What is not ours stays; what cannot be read too, and is an error.
    pub fn remove_manifests(&self, key: &PodKey) -> Result<(), StoreError> {
        let _writing = self.writing();
        let mut left = Ok(());
        for (place, dir) in [
            (CopyPlace::Active, names::MANIFESTS),
            (CopyPlace::Previous, names::INACTIVE),
            (CopyPlace::Inactive, names::INACTIVE),
        ] {
            match self.copy(place, key)? {
                Copy::Ours(..) => self.remove_if_there(&place.path(key))?,
                Copy::Absent | Copy::Foreign => {}
                Copy::OtherFormat(why) | Copy::Damaged(why) => left = Err(self.unusable(place, key, &why)),
            }
            self.files.sync_dir(dir)?;
        }
        left
    }

    /// Removes the original program's manifests of a pod, the active one first.
    pub fn remove_legacy(&self, key: &PodKey) -> Result<(), StoreError> {
        let _writing = self.writing();
        let Some(files) = self.legacy()?.remove(key) else { return Ok(()) };
        for (is_there, dir) in [(files.active, names::MANIFESTS), (files.inactive, names::INACTIVE)] {
            if is_there {
                self.remove_if_there(&names::legacy(dir, key))?;
            }
            self.files.sync_dir(dir)?;
        }
        Ok(())
    }
}
