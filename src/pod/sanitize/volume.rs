//! The volumes of a pod: which the twin mounts as they are, which become directories of ours and what those hold.
//! Says nothing about how directories are written.

mod fill;
pub(crate) mod payload;
mod place;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::pod::asset_refs::{Assets, ObjectRef};
use crate::pod::checkpoint::{AssetVolume, Tree};
use crate::pod::parent::Parent;

pub(crate) use fill::{Filled, fill};
pub(crate) use place::place;

/// A volume that becomes a directory of ours.
#[derive(Debug, Clone)]
pub(crate) struct AssetVolumePlan<'a> {
    /// The volume as the spec has it.
    pub volume: &'a Value,
    /// Its name in the pod.
    pub name: &'a str,
    /// The tree of directories that the volume is kept in.
    pub tree: Tree,
    /// The directory's name in it.
    pub directory: String,
}

/// The outcome of [`refresh`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refreshed {
    /// Directories to write, where they differ from what is there. Others of the checkpoint stay as they are.
    pub volumes: Vec<AssetVolume>,
    /// Objects that could not be had (deleted, no longer readable, not fetched): their directories are not in
    /// `volumes`, so that the old copy is kept.
    pub kept: BTreeSet<ObjectRef>,
    /// Why something was kept as it was, one sentence each with what to do; also for tokens and missing keys.
    pub reasons: Vec<String>,
}

/// The asset directories of a saved parent with what was fetched just now. A directory that would lose something by
/// it is left as it stands.
pub fn refresh(parent: &Parent, assets: &Assets) -> Refreshed {
    let mut refreshed = Refreshed::default();
    let volumes = &parent.object["spec"]["volumes"];
    // What cannot be placed was refused when the pod was captured.
    let placed = place(parent, volumes, &mut Vec::new());
    // Two volumes can share a directory; what one of them lacks, the other must not empty.
    let mut left = BTreeSet::new();
    for one in &placed {
        let Filled { volume, lacks } = fill(parent, assets, one);
        if lacks.is_empty() {
            refreshed.volumes.extend(volume);
        } else {
            left.insert((one.tree, one.directory.as_str()));
        }
        for lack in lacks {
            refreshed.reasons.push(format!("{}; the copy of before is kept", lack.sentence));
            refreshed.kept.extend(lack.object);
        }
    }
    refreshed.volumes.retain(|v| !left.contains(&(v.tree, v.name.as_str())));
    dedup(&mut refreshed.volumes);
    refreshed
}

/// Sorted, and directories that several volumes share once: what they hold is the same.
pub(crate) fn dedup(volumes: &mut Vec<AssetVolume>) {
    volumes.sort_by(|a, b| (a.tree, &a.name).cmp(&(b.tree, &b.name)));
    volumes.dedup_by(|a, b| (a.tree, &a.name) == (b.tree, &b.name));
}
