//! The copies of one checkpoint, active, inactive and previous, and which of them counts.

use super::manifest::{self, Content, Manifest};
use super::names::{self, CopyPlace, ManifestFile};
use super::{MANIFEST_MODE, Store, StoreError};
use crate::disk::atomic;
use crate::disk::files::{FileError, is_absent, is_bad_block, is_of_the_system};
use crate::disk::volume_dir;
use crate::pod::key::PodKey;

/// What stands at one place.
pub(super) enum Copy {
    Absent,
    /// A checkpoint of ours; with what it lacks, if it cannot start.
    Ours(Box<Manifest>, Option<String>),
    Foreign,
    /// Another version's; kept.
    OtherFormat(String),
    /// Kept, and why it cannot be used.
    Damaged(String),
}

impl Copy {
    fn ours(&self) -> Option<(&Manifest, Option<&str>)> {
        match self {
            Self::Ours(manifest, missing) => Some((manifest, missing.as_deref())),
            _ => None,
        }
    }
}

/// All places of one pod.
pub(super) struct Copies {
    pub(super) active: Copy,
    pub(super) inactive: Copy,
    pub(super) previous: Copy,
}

/// The copy that counts.
pub(super) struct Chosen<'a> {
    pub(super) place: CopyPlace,
    pub(super) manifest: &'a Manifest,
    pub(super) missing: Option<&'a str>,
}

impl Copies {
    /// The newest complete copy: the inactive one, or else the later captured of the other two; failing all, the
    /// newest that there is.
    pub(super) fn chosen(&self) -> Option<Chosen<'_>> {
        let others = || {
            let mut others = [(CopyPlace::Active, &self.active), (CopyPlace::Previous, &self.previous)];
            let order = |manifest: &Manifest| (manifest.generation, manifest.captured_at);
            others.sort_by_key(|(_, copy)| std::cmp::Reverse(copy.ours().map(|(manifest, _)| order(manifest))));
            others
        };
        let all: Vec<_> = std::iter::once((CopyPlace::Inactive, &self.inactive))
            .chain(others())
            .filter_map(|(place, copy)| copy.ours().map(|(manifest, missing)| Chosen { place, manifest, missing }))
            .collect();
        let complete = all.iter().position(|chosen| chosen.missing.is_none()).unwrap_or(0);
        all.into_iter().nth(complete)
    }

    /// The highest number of any of them.
    pub(super) fn generation(&self) -> u64 {
        self.each().iter().filter_map(|(_, copy)| Some(copy.ours()?.0.generation)).max().unwrap_or(0)
    }

    /// When the pod was retired: the inactive copy says, where it can be read, else the one in its stead.
    pub(super) fn retired(&self) -> Option<i64> {
        match (self.inactive.ours(), self.chosen()) {
            (Some((inactive, _)), _) => inactive.retired,
            (None, Some(chosen)) if chosen.place == CopyPlace::Previous => chosen.manifest.retired,
            _ => None,
        }
    }

    /// The active manifest would run another pod than the copy that counts.
    pub(super) fn is_stale(&self) -> bool {
        match (self.active.ours(), self.chosen()) {
            (Some((active, _)), Some(chosen)) => active.essence() != chosen.manifest.essence(),
            _ => false,
        }
    }

    pub(super) fn each(&self) -> [(CopyPlace, &Copy); 3] {
        [
            (CopyPlace::Active, &self.active),
            (CopyPlace::Inactive, &self.inactive),
            (CopyPlace::Previous, &self.previous),
        ]
    }

    /// Files that cannot be used, and why.
    pub(super) fn unusable(&self) -> impl Iterator<Item = (CopyPlace, &str)> {
        self.each().into_iter().filter_map(|(place, copy)| match copy {
            Copy::OtherFormat(why) | Copy::Damaged(why) => Some((place, why.as_str())),
            _ => None,
        })
    }
}

impl Store {
    /// Reads every copy of a pod.
    pub(super) fn copies(&self, key: &PodKey) -> Result<Copies, StoreError> {
        Ok(Copies {
            active: self.copy(CopyPlace::Active, key)?,
            inactive: self.copy(CopyPlace::Inactive, key)?,
            previous: self.copy(CopyPlace::Previous, key)?,
        })
    }

    /// Reads one copy. Only what says something of this file counts against it; a failure of this process is an error.
    pub(super) fn copy(&self, place: CopyPlace, key: &PodKey) -> Result<Copy, StoreError> {
        let file = ManifestFile::Ours { key: key.clone(), previous: place == CopyPlace::Previous };
        let bytes = match twice(|| self.files.read(&place.path(key), manifest::LIMIT)) {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(Copy::Absent),
            Err(error) if is_of_the_system(&error) => return Err(error.into()),
            Err(error) => return Ok(Copy::Damaged(error.to_string())),
        };
        Ok(match manifest::read(&file, &bytes) {
            Content::Ours(manifest) => {
                let missing = self.missing(&manifest)?;
                Copy::Ours(manifest, missing)
            }
            Content::Foreign | Content::Legacy(_) => Copy::Foreign,
            Content::OtherFormat(format) => {
                Copy::OtherFormat(format!("is of format {format}, of another version of this program; it is kept"))
            }
            Content::Damaged(why) => Copy::Damaged(why),
        })
    }

    /// What a manifest names and the disk does not hold.
    pub(super) fn missing(&self, manifest: &Manifest) -> Result<Option<String>, StoreError> {
        for dir in &manifest.assets {
            match twice(|| volume_dir::data(&*self.files, dir)) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    return Ok(Some(format!("{} is missing or half-written", self.files.locate(dir).display())));
                }
                Err(error) if is_of_the_system(&error) => return Err(error.into()),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        Ok(None)
    }

    /// Lets a file of ours replace what is there: what cannot be used is kept under a second name, never lost.
    pub(super) fn make_way(&self, place: CopyPlace, key: &PodKey) -> Result<(), StoreError> {
        let path = place.path(key);
        match self.copy(place, key)? {
            Copy::Absent | Copy::Ours(..) => return Ok(()),
            Copy::Foreign => return Err(StoreError::Foreign { path: self.files.locate(&path) }),
            Copy::OtherFormat(_) | Copy::Damaged(_) => {}
        }
        let Some(inode) = self.files.stat(&path)?.map(|stat| stat.inode) else { return Ok(()) };
        for n in 0..names::KEPT_AT_MOST {
            let kept = names::kept(key, n);
            match self.files.stat(&kept)? {
                Some(stat) if stat.inode != inode => continue,
                Some(_) => {}
                None => atomic::link(&*self.files, &path, &kept, manifest::LIMIT, MANIFEST_MODE)?,
            }
            return Ok(self.files.sync_dir(names::INACTIVE)?);
        }
        Err(self.unusable(place, key, "cannot be used, and too many of its kind are kept already (*.yaml.kept*)"))
    }
}

/// A block that is bad is bad twice: a passing fault of the disk must not make a good copy count as damaged.
fn twice<T>(read: impl Fn() -> Result<T, FileError>) -> Result<T, FileError> {
    match read() {
        Err(error) if is_bad_block(&error) => read(),
        other => other,
    }
}
