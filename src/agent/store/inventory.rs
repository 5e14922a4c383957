//! Reading what is there: [`Store::load`]. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::copies::{Copies, Copy};
use super::manifest::{self, Content};
use super::names::{self, CopyPlace, ManifestFile};
use super::{Store, StoreError};
use crate::disk::files::list_or_none;
use crate::disk::volume_dir;
use crate::pod::annotation;
use crate::pod::key::PodKey;
use crate::pod::snapshot::{ClusterMark, Inventory, LegacyFiles, OnDisk};

impl Store {
    /// Everything on disk. A file that cannot be used is in `unreadable` and changes nothing for the others; an error
    /// means that nothing is known.
    pub fn load(&self) -> Result<Inventory, StoreError> {
        let mut read = BTreeMap::new();
        for key in self.keys()? {
            let copies = self.copies(&key)?;
            read.insert(key, copies);
        }
        let legacy = self.legacy()?;
        let assets = self.asset_dirs();
        let mut inventory = Inventory {
            cluster: self.cluster(),
            kubelet_cluster: self.kubelet_cluster(),
            orphans: self.orphans(&assets, &legacy, &read)?.into_iter().collect(),
            legacy,
            ..Inventory::default()
        };
        for error in assets.unreadable {
            inventory.unreadable.insert(error.path.display().to_string(), error.to_string());
        }
        if let ClusterMark::Unreadable(why) = &inventory.cluster {
            inventory.unreadable.insert(self.shown(names::CLUSTER), why.clone());
        }
        for (key, copies) in read {
            for (place, why) in copies.unusable() {
                inventory.unreadable.insert(self.shown(&place.path(&key)), why.to_owned());
            }
            let Some(on_disk) = self.describe(&copies) else { continue };
            if let (Copy::Ours(_, Some(missing)), None) = (&copies.inactive, &on_disk.incomplete) {
                let path = self.shown(&CopyPlace::Inactive.path(&key));
                inventory.unreadable.insert(path, format!("{missing}; the older copy counts"));
            }
            inventory.checkpoints.insert(key, on_disk);
        }
        for name in list_or_none(&*self.files, names::INACTIVE)? {
            if let Some(key) = names::held(&name) {
                inventory.held.insert(key);
            } else if names::is_kept(&name) {
                let path = self.shown(&format!("{}/{name}", names::INACTIVE));
                inventory.unreadable.insert(path, "was put aside as it cannot be used; remove it if not needed".into());
            }
        }
        Ok(inventory)
    }

    /// Pods that a file could be a copy of.
    pub(super) fn keys(&self) -> Result<BTreeSet<PodKey>, StoreError> {
        let mut keys = BTreeSet::new();
        for dir in [names::MANIFESTS, names::INACTIVE] {
            for name in list_or_none(&*self.files, dir)? {
                if let Some(ManifestFile::Ours { key, previous }) = ManifestFile::of(&name)
                    && (dir == names::INACTIVE || !previous)
                {
                    keys.insert(key);
                }
            }
        }
        Ok(keys)
    }

    fn describe(&self, copies: &Copies) -> Option<OnDisk> {
        let chosen = copies.chosen()?;
        let manifest = chosen.manifest;
        let mut assets_at = None;
        if chosen.missing.is_none() {
            for dir in &manifest.assets {
                // Its age is for people alone; that it is there was looked at before.
                let changed = volume_dir::changed_at(&*self.files, dir).unwrap_or_default();
                assets_at = [assets_at, changed].into_iter().flatten().min();
            }
        }
        Some(OnDisk {
            uid: manifest.uid.clone(),
            lineage: manifest.lineage.clone(),
            digest: manifest.annotation(annotation::DIGEST).unwrap_or_default().to_owned(),
            generation: manifest.generation,
            captured_at: manifest.captured_at,
            inactive: matches!(copies.inactive, Copy::Ours(..)) || matches!(copies.previous, Copy::Ours(..)),
            active: matches!(copies.active, Copy::Ours(..)),
            retired: copies.retired(),
            containers: manifest.containers(),
            images: manifest.images(),
            host_port: manifest.host_port(),
            max_offline: manifest.max_offline,
            incomplete: chosen.missing.map(str::to_owned),
            successor_seen: manifest.annotation(annotation::SUCCESSOR_SEEN) == Some("true"),
            active_differs: copies.is_stale(),
            degraded: manifest.degraded.clone(),
            assets_at,
        })
    }

    /// The original program's checkpoints.
    pub(super) fn legacy(&self) -> Result<BTreeMap<PodKey, LegacyFiles>, StoreError> {
        let mut found: BTreeMap<PodKey, LegacyFiles> = BTreeMap::new();
        for dir in [names::MANIFESTS, names::INACTIVE] {
            for name in list_or_none(&*self.files, dir)? {
                let Some(file @ ManifestFile::Legacy { .. }) = ManifestFile::of(&name) else { continue };
                // What cannot be read is not known to be the original's, so it is somebody's.
                let Ok(bytes) = self.files.read(&format!("{dir}/{name}"), manifest::LIMIT) else { continue };
                if let Content::Legacy(key) = manifest::read(&file, &bytes) {
                    let files = found.entry(key).or_default();
                    *(if dir == names::MANIFESTS { &mut files.active } else { &mut files.inactive }) = true;
                }
            }
        }
        Ok(found)
    }

    fn shown(&self, path: &str) -> String {
        self.files.locate(path).display().to_string()
    }
}
