//! Asset directories: writing, reading, and those that no manifest names any more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use super::copies::{Copies, Copy};
use super::names;
use super::{Store, StoreError};
use crate::disk::atomic::Written;
use crate::disk::files::{FileError, FileKind, list_or_none};
use crate::disk::volume_dir::{self, Volume, VolumeFile};
use crate::dns_name::check_name;
use crate::pod::checkpoint::{AssetVolume, MountPoint, Tree};
use crate::pod::key::PodKey;
use crate::pod::snapshot::LegacyFiles;

/// What is in the trees of assets.
#[derive(Default)]
pub(super) struct AssetDirs {
    /// Volumes' directories by pod.
    pub(super) dirs: BTreeMap<PodKey, BTreeSet<String>>,
    /// What could not be looked at.
    pub(super) unreadable: Vec<FileError>,
}

impl Store {
    /// Writes what changed of these volumes of a pod; true if anything had. Each changes at one instant for those who
    /// read it.
    pub fn write_assets(&self, key: &PodKey, volumes: &[AssetVolume]) -> Result<bool, StoreError> {
        let _writing = self.writing();
        Ok(self.write_volumes(key, volumes)? == Written::Changed)
    }

    pub(super) fn write_volumes(&self, key: &PodKey, volumes: &[AssetVolume]) -> Result<Written, StoreError> {
        let mut written = Written::Unchanged;
        for volume in volumes {
            check_name("asset", &volume.name)?;
            let dir = format!("{}/{}", names::pod_dir(volume.tree, key), volume.name);
            let files = volume.content.files.iter().map(|(path, file)| {
                (path.as_str(), VolumeFile { bytes: &file.bytes, mode: file.mode, owner: file.owner })
            });
            let mount_points = volume.content.mount_points.iter().map(|(path, kind)| {
                let kind = match kind {
                    MountPoint::File => volume_dir::MountPoint::File,
                    MountPoint::Directory => volume_dir::MountPoint::Dir,
                };
                (path.as_str(), kind)
            });
            let content =
                Volume { files: files.collect(), group: volume.content.fs_group, mount_points: mount_points.collect() };
            if volume_dir::write(&*self.files, &dir, &content)? == Written::Changed {
                written = Written::Changed;
            }
        }
        Ok(written)
    }

    /// One file of an asset, at most `limit` bytes; `None`: it is not there. For who must know whether a token is due.
    pub fn read_asset(
        &self,
        key: &PodKey,
        tree: Tree,
        name: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        check_name("asset", name)?;
        Ok(volume_dir::read(&*self.files, &format!("{}/{name}", names::pod_dir(tree, key)), path, limit)?)
    }

    /// Removes the assets of a pod that none of its manifests names. While one of them cannot be read, or is the
    /// original program's, everything stays: nobody knows what it names.
    pub fn remove_assets(&self, key: &PodKey) -> Result<(), StoreError> {
        let _writing = self.writing();
        if self.legacy()?.contains_key(key) {
            return Ok(());
        }
        let Some(named) = named(&self.copies(key)?) else { return Ok(()) };
        for tree in Tree::ALL {
            let pod = names::pod_dir(tree, key);
            let mut unreadable = Vec::new();
            for volume in self.subdirs(&pod, &mut unreadable) {
                let dir = format!("{pod}/{volume}");
                if !named.contains(&dir) {
                    volume_dir::remove(&*self.files, &dir)?;
                }
            }
            if let Some(why) = unreadable.into_iter().next() {
                return Err(why.into());
            }
            self.prune(tree, key)?;
        }
        Ok(())
    }

    /// Pods with asset directories that no manifest names.
    pub fn orphaned_assets(&self) -> Result<Vec<PodKey>, StoreError> {
        self.orphans(&self.asset_dirs(), &self.legacy()?, &BTreeMap::new())
    }

    /// The same where copies have been read already.
    pub(super) fn orphans(
        &self,
        assets: &AssetDirs,
        legacy: &BTreeMap<PodKey, LegacyFiles>,
        read: &BTreeMap<PodKey, Copies>,
    ) -> Result<Vec<PodKey>, StoreError> {
        let mut orphans = Vec::new();
        for (key, dirs) in &assets.dirs {
            let named = match read.get(key) {
                Some(copies) => named(copies),
                None => named(&self.copies(key)?),
            };
            if !legacy.contains_key(key) && named.is_some_and(|named| !dirs.is_subset(&named)) {
                orphans.push(key.clone());
            }
        }
        Ok(orphans)
    }

    /// Every asset directory of every pod, also a pod's own directory where it is empty. What cannot be looked at is
    /// not there and in [`AssetDirs::unreadable`]; files that stand among the directories are somebody's.
    pub(super) fn asset_dirs(&self) -> AssetDirs {
        let mut found = AssetDirs::default();
        for tree in Tree::ALL {
            for namespace in self.subdirs(tree.dir(), &mut found.unreadable) {
                for pod in self.subdirs(&format!("{}/{namespace}", tree.dir()), &mut found.unreadable) {
                    // A name that no pod can have is not ours.
                    let Ok(key) = PodKey::new(&namespace, &pod) else { continue };
                    let dir = names::pod_dir(tree, &key);
                    let problems = found.unreadable.len();
                    let volumes = self.subdirs(&dir, &mut found.unreadable);
                    let is_empty = || list_or_none(&*self.files, &dir).is_ok_and(|names| names.is_empty());
                    if !volumes.is_empty() {
                        let dirs = volumes.iter().map(|volume| format!("{dir}/{volume}"));
                        found.dirs.entry(key).or_default().extend(dirs);
                    } else if found.unreadable.len() == problems && is_empty() {
                        found.dirs.entry(key).or_default().insert(dir);
                    }
                }
            }
        }
        found
    }

    /// Names of the directories in one, but not of links to some elsewhere; what cannot be looked at goes to `unreadable`.
    pub(super) fn subdirs(&self, dir: &str, unreadable: &mut Vec<FileError>) -> Vec<String> {
        let mut names = list_or_none(&*self.files, dir).unwrap_or_else(|why| {
            unreadable.push(why);
            Vec::new()
        });
        names.retain(|name| match self.files.stat(&format!("{dir}/{name}")) {
            Ok(stat) => stat.is_some_and(|stat| stat.kind == FileKind::Dir),
            Err(why) => {
                unreadable.push(why);
                false
            }
        });
        names
    }

    /// Removes the pod's and the namespace's directories where they are empty.
    fn prune(&self, tree: Tree, key: &PodKey) -> Result<(), FileError> {
        let namespace = format!("{}/{}", tree.dir(), key.namespace());
        for dir in [names::pod_dir(tree, key), namespace] {
            match self.files.remove_dir(&dir) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
                    return self.files.sync_dir(&dir);
                }
                Err(error) => return Err(error),
            }
        }
        self.files.sync_dir(tree.dir())
    }
}

/// What the pod's manifests name; `None`: one cannot be read, so nobody knows.
fn named(copies: &Copies) -> Option<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    for (_, copy) in copies.each() {
        match copy {
            Copy::Ours(manifest, _) => named.extend(manifest.assets.iter().cloned()),
            Copy::Absent | Copy::Foreign => {}
            Copy::OtherFormat(_) | Copy::Damaged(_) => return None,
        }
    }
    Some(named)
}
