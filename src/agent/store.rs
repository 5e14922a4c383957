//! The checkpoints of this node on disk, and nothing else: what is there ([`Store::load`]), and each change to it,
//! durable when the call returns, so ordered that a power cut at any instant leaves what the next start understands.
//! Decides nothing; who may change what when is `lifecycle`'s, and the node lock must be held by whoever writes.

mod activate;
mod assets;
mod copies;
mod inventory;
mod manifest;
mod marks;
mod names;
mod remove;
mod save;
mod sweep;
pub mod yaml;

use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use crate::disk::durability_tracker::DurabilityTracker;
use crate::disk::files::{FileError, Files, ensure_dir, is_absent};
use crate::disk::rooted_dir::RootedDir;
use crate::disk::selinux::Labels;
use crate::disk::volume_dir::VolumeError;
use crate::dns_name::InvalidName;
use crate::pod::checkpoint::Tree;
use crate::pod::key::PodKey;
pub use activate::Outcomes;
pub use save::Saved;

/// Mode of the manifests: what a pod's owner lets be inlined is not for everybody on the node.
const MANIFEST_MODE: u32 = 0o600;
/// Mode of our top directories.
const TOP_MODE: u32 = 0o700;

/// Where the two directories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `/etc/kubernetes`, which holds everything of ours but the active manifests.
    pub etc: PathBuf,
    /// The kubelet's `staticPodPath`.
    pub manifests: PathBuf,
}

impl Default for Layout {
    fn default() -> Self {
        Self { etc: "/etc/kubernetes".into(), manifests: "/etc/kubernetes/manifests".into() }
    }
}

/// Why the disk does not hold what it should. Whatever it says, the old checkpoint stays whole.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A primitive operation on the disk failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A volume has a file that cannot be.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A name that cannot be part of a path.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A file that is not ours stands where ours has to go.
    #[error("{} is no checkpoint of this program and is left alone; move it elsewhere", .path.display())]
    Foreign {
        /// Path of the file that stands there.
        path: PathBuf,
    },
    /// A file of ours cannot be used and cannot be put aside.
    #[error("{}: {why}; restore or remove it", .path.display())]
    Unusable {
        /// Path of the damaged file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The original program's manifest of this pod is active.
    #[error("{key} is kept by the original program's manifest {}; two manifests of one pod must not be", .path.display())]
    Legacy {
        /// The pod that both manifests are of.
        key: PodKey,
        /// Path of the original program's manifest.
        path: PathBuf,
    },
    /// There is no copy.
    #[error("there is no checkpoint of {key} on disk")]
    Missing {
        /// The pod that has no copy.
        key: PodKey,
    },
    /// There is a copy that could not start.
    #[error("the checkpoint of {key} cannot start: {why}; it is whole again with its next capture")]
    Incomplete {
        /// The pod whose copy is not whole.
        key: PodKey,
        /// Which asset is missing, or differs from what the manifest says.
        why: String,
    },
    /// What was to be saved is no checkpoint of this pod: a fault in this program.
    #[error("the new checkpoint of {key} {why}; it is not written")]
    Bad {
        /// The pod that was to be saved.
        key: PodKey,
        /// What is wrong, to be read after "the new checkpoint of …".
        why: String,
    },
}

/// The checkpoints of this node. Its calls block on the disk: from async code, use a blocking thread.
pub struct Store {
    files: Box<dyn Files>,
    writing: Mutex<NewestGeneration>,
}

/// The highest number on disk that orders checkpoints, once it was looked for. In the lock of those who write.
#[derive(Default)]
struct NewestGeneration(Option<u64>);

impl Store {
    /// Opens the directories, making those that are missing, labelled for containers where SELinux is on.
    pub fn open(layout: &Layout) -> Result<Self, StoreError> {
        Self::open_labelled(layout, Labels::of_this_node(Tree::ALL.map(Tree::dir)))
    }

    /// The same with these labels.
    pub fn open_labelled(layout: &Layout, labels: Option<Labels>) -> Result<Self, StoreError> {
        for dir in [&layout.etc, &layout.manifests] {
            make_foundation(dir).map_err(|cause| FileError::new("make directory", dir.clone(), cause))?;
        }
        let files = Self::beneath(layout);
        Self::with_files(match labels {
            Some(labels) => files.labelled(labels)?,
            None => files,
        })
    }

    /// The directories as they are: makes and mends nothing until something is saved. For who only reads, and for an
    /// agent on a disk where nothing can be made now: what is saved there can be activated all the same.
    pub fn at(layout: &Layout) -> Self {
        Self::over(Self::beneath(layout))
    }

    /// A store on any disk, whose root has a directory `manifests`.
    pub fn with_files(files: impl Files + 'static) -> Result<Self, StoreError> {
        let store = Self::over(files);
        store.ensure_tops()?;
        Ok(store)
    }

    /// Our own directories, with the mode that keeps others out.
    fn ensure_tops(&self) -> Result<(), FileError> {
        let mut made = false;
        for dir in std::iter::once(names::INACTIVE).chain(Tree::ALL.map(Tree::dir)) {
            made |= ensure_dir(&*self.files, dir, TOP_MODE)?;
        }
        if made { self.files.sync_dir("") } else { Ok(()) }
    }

    fn over(files: impl Files + 'static) -> Self {
        Self { files: Box::new(DurabilityTracker::new(files)), writing: Mutex::default() }
    }

    fn beneath(layout: &Layout) -> RootedDir {
        RootedDir::new(&layout.etc).mount(names::MANIFESTS, &layout.manifests)
    }

    /// One change at a time. There is nothing in the lock that a panic could leave half-made.
    fn writing(&self) -> MutexGuard<'_, NewestGeneration> {
        self.writing.lock()
    }

    /// The number of the checkpoint to be written next: one more than any on disk.
    fn next_generation(&self, newest: &mut NewestGeneration) -> Result<u64, StoreError> {
        let known = match newest.0 {
            Some(known) => known,
            None => self.newest_generation()?,
        };
        let next = known.saturating_add(1);
        newest.0 = Some(next);
        Ok(next)
    }

    fn newest_generation(&self) -> Result<u64, StoreError> {
        let mut newest = 0;
        for key in self.keys()? {
            newest = newest.max(self.copies(&key)?.generation());
        }
        Ok(newest)
    }

    /// The manifest that [`Store::load`] describes; `None`: there certainly is no copy.
    pub fn manifest(&self, key: &PodKey) -> Result<Option<Value>, StoreError> {
        let copies = self.copies(key)?;
        if let Some(chosen) = copies.chosen() {
            return Ok(Some(chosen.manifest.value.clone()));
        }
        match copies.unusable().next() {
            Some((place, why)) => Err(self.unusable(place, key, why)),
            None => Ok(None),
        }
    }

    fn remove_if_there(&self, path: &str) -> Result<(), FileError> {
        match self.files.remove_file(path) {
            Err(error) if is_absent(&error) => Ok(()),
            other => other,
        }
    }

    fn unusable(&self, place: names::CopyPlace, key: &PodKey, why: &str) -> StoreError {
        StoreError::Unusable { path: self.files.locate(&place.path(key)), why: why.to_owned() }
    }
}

/// Makes a directory that is not ours alone, and those above it, durably.
fn make_foundation(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    match dir.parent() {
        Some(above) => std::fs::File::open(above)?.sync_all(),
        None => Ok(()),
    }
}
