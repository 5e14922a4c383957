//! Writing a checkpoint, and its retirement.

use super::copies::Copy;
use super::manifest::{self, Manifest};
use super::names::{self, CopyPlace};
use super::{MANIFEST_MODE, Store, StoreError, yaml};
use crate::disk::atomic::{self, Written};
use crate::pod::annotation;
use crate::pod::checkpoint::Checkpoint;
use crate::pod::key::PodKey;

/// What [`Store::save`] found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Whether the manifest was written, or was on disk already.
    pub manifest: Written,
    /// Any asset.
    pub assets: Written,
}

impl Store {
    /// Makes this the newest copy: its assets first, then the manifest that names them; what was the newest copy is the
    /// previous one then, if it could start. An active manifest is not changed. A retirement is lifted.
    pub fn save(&self, key: &PodKey, checkpoint: &Checkpoint, epoch_seconds: i64) -> Result<Saved, StoreError> {
        let mut newest = self.writing();
        let mut new = prepare(key, checkpoint, epoch_seconds)?;
        self.ensure_tops()?;
        let assets = self.write_volumes(key, &checkpoint.volumes)?;
        if let Some(why) = self.missing(&new)? {
            return Err(StoreError::Incomplete { key: key.clone(), why });
        }
        let manifest = match self.copy(CopyPlace::Inactive, key)? {
            Copy::Ours(current, _) if current.retired.is_none() && current.essence() == new.essence() => {
                Written::Unchanged
            }
            Copy::Ours(current, None) if current.essence() != new.essence() => {
                self.make_way(CopyPlace::Previous, key)?;
                let (from, to) = (CopyPlace::Inactive.path(key), CopyPlace::Previous.path(key));
                atomic::link(&*self.files, &from, &to, manifest::LIMIT, MANIFEST_MODE)?;
                // Else the new one might survive a power cut and the previous one not.
                self.files.sync_dir(names::INACTIVE)?;
                Written::Changed
            }
            _ => Written::Changed,
        };
        if manifest == Written::Changed {
            let generation = self.next_generation(&mut newest)?;
            manifest::annotate(&mut new.value, annotation::GENERATION, Some(generation.to_string()));
            self.put_inactive(key, &new.value)?;
        }
        self.files.sync_dir(names::INACTIVE)?;
        Ok(Saved { manifest, assets })
    }

    /// Writes the retirement into the inactive manifest. The active one is not changed.
    pub fn retire(&self, key: &PodKey, epoch_seconds: i64) -> Result<(), StoreError> {
        self.set_retired(key, Some(epoch_seconds))
    }

    /// Takes the retirement out of the inactive manifest.
    pub fn reinstate(&self, key: &PodKey) -> Result<(), StoreError> {
        self.set_retired(key, None)
    }

    fn set_retired(&self, key: &PodKey, when: Option<i64>) -> Result<(), StoreError> {
        let _writing = self.writing();
        let copies = self.copies(key)?;
        // The inactive copy is where a retirement is looked for, also while it cannot start.
        let manifest: &Manifest = match (&copies.inactive, copies.chosen()) {
            (Copy::Ours(manifest, _), _) => manifest,
            (_, Some(chosen)) => chosen.manifest,
            (_, None) => return Err(StoreError::Missing { key: key.clone() }),
        };
        let is_there = matches!(copies.inactive, Copy::Ours(..));
        if !is_there || manifest.retired.is_some() != when.is_some() {
            let mut value = manifest.value.clone();
            manifest::annotate(&mut value, annotation::RETIRED, when.map(manifest::time_text));
            manifest::annotate(&mut value, annotation::SUCCESSOR_SEEN, None);
            self.put_inactive(key, &value)?;
        }
        Ok(self.files.sync_dir(names::INACTIVE)?)
    }

    /// A new file takes the name; the old one, perhaps active under another name, stays as it is.
    pub(super) fn put_inactive(&self, key: &PodKey, value: &serde_json::Value) -> Result<(), StoreError> {
        self.make_way(CopyPlace::Inactive, key)?;
        let text = yaml::to_text(value);
        Ok(atomic::put(&*self.files, &CopyPlace::Inactive.path(key), text.as_bytes(), MANIFEST_MODE)?)
    }
}

/// The manifest as it will be read again.
fn prepare(key: &PodKey, checkpoint: &Checkpoint, epoch_seconds: i64) -> Result<Manifest, StoreError> {
    let bad = |why: String| StoreError::Bad { key: key.clone(), why };
    let mut value = checkpoint.manifest.clone();
    manifest::annotate(&mut value, annotation::CAPTURED_AT, Some(manifest::time_text(epoch_seconds)));
    manifest::annotate(&mut value, annotation::RETIRED, None);
    if yaml::to_text(&value).len() as u64 > manifest::LIMIT {
        return Err(bad(format!("is larger than {} bytes", manifest::LIMIT)));
    }
    let manifest = manifest::parse(key, value).map_err(bad)?;
    for volume in &checkpoint.volumes {
        let dir = format!("{}/{}", names::pod_dir(volume.tree, key), volume.name);
        if !manifest.assets.contains(&dir) {
            return Err(bad(format!("has assets in {dir} that its annotation {} does not name", annotation::ASSETS)));
        }
    }
    Ok(manifest)
}
