//! The volumes of a pod: which the twin mounts as they are, which become directories of ours and what those hold.
//! Says nothing about how directories are written.

mod fill;
pub(crate) mod nested;
pub(crate) mod payload;
mod place;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::pod::asset_refs::missing::Lack;
use crate::pod::asset_refs::{Assets, ObjectRef};
use crate::pod::checkpoint::{AssetVolume, Tree};
use crate::pod::parent::Parent;

use fill::{Filled, fill};
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
    /// Paths in it at which other volumes are mounted.
    pub mount_points: BTreeSet<String>,
}

impl AssetVolumePlan<'_> {
    /// This is what it was filled to.
    pub(crate) fn is_of(&self, volume: &AssetVolume) -> bool {
        self.tree == volume.tree && self.directory == volume.name
    }
}

/// What was made of all the volumes that become directories of ours.
#[derive(Debug, Default)]
pub(crate) struct FilledAll {
    /// Each directory once, by tree and name; those that lack something among them.
    pub volumes: Vec<AssetVolume>,
    /// What is wanting, with the directory that it is wanting in.
    pub lacks: Vec<((Tree, String), Lack)>,
}

/// Fills every directory.
pub(crate) fn fill_all(parent: &Parent, assets: &Assets, placed: &[AssetVolumePlan<'_>]) -> FilledAll {
    let mut all = FilledAll::default();
    for plan in placed {
        let Filled { volume, lacks } = fill(parent, assets, plan);
        all.volumes.extend(volume);
        all.lacks.extend(lacks.into_iter().map(|lack| ((plan.tree, plan.directory.clone()), lack)));
    }
    // Directories that several volumes share are there once: what they hold is the same.
    all.volumes.sort_by(|a, b| (a.tree, &a.name).cmp(&(b.tree, &b.name)));
    all.volumes.dedup_by(|a, b| (a.tree, &a.name) == (b.tree, &b.name));
    nested::add_points(&parent.object["spec"], placed, &mut all.volumes);
    all
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
    let FilledAll { mut volumes, lacks } = fill_all(parent, assets, &placed);
    let lacking = |tree, name: &str| lacks.iter().any(|((t, n), _)| *t == tree && n == name);
    let lacking = |plan: &AssetVolumePlan<'_>| lacking(plan.tree, &plan.directory);
    // Two volumes can share a directory; what one of them lacks, the other must not empty.
    let stays = |plan: &&AssetVolumePlan<'_>| {
        lacking(plan) || nested::parts_inside(&parent.object["spec"], plan, &placed).any(lacking)
    };
    volumes.retain(|v| !placed.iter().filter(stays).any(|plan| plan.is_of(v)));
    refreshed.volumes = volumes;
    for (_, lack) in lacks {
        refreshed.reasons.push(format!("{}; the copy of before is kept", lack.sentence));
        refreshed.kept.extend(lack.object);
    }
    refreshed
}
