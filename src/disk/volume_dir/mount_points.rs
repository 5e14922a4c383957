//! Mount points of a volume: empty files and directories beside `..data`. A runtime cannot make them itself in a volume
//! that is mounted read-only. They stay as they are over every swap of `..data`.

use std::collections::BTreeMap;

use super::{Volume, dress};
use crate::disk::files::{FileError, FileKind, Files, Stat, remove_tree};

/// Mode of a mount point that is a file: that of a file of a volume unless it says otherwise.
const FILE_MODE: u32 = 0o644;

/// What stands there to be mounted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountPoint {
    /// An empty file.
    File,
    /// A directory.
    Dir,
}

/// Every mount point with the directories that lead to it, each before what is in it.
pub(super) fn with_dirs<'a>(volume: &'a Volume<'_>) -> BTreeMap<&'a str, MountPoint> {
    let mut all: BTreeMap<&str, MountPoint> = BTreeMap::new();
    for (path, kind) in &volume.mount_points {
        all.extend(above(path).map(|dir| (dir, MountPoint::Dir)));
        all.entry(path).or_insert(*kind);
    }
    all
}

fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// A mount point beneath one that is a file.
pub(super) fn clash<'a>(volume: &Volume<'a>) -> Option<&'a str> {
    let is_file = |dir: &str| volume.mount_points.get(dir) == Some(&MountPoint::File);
    volume.mount_points.keys().copied().find(|path| above(path).any(is_file))
}

/// Whether this is such a file as [`make`] makes, whoever owns it.
pub(super) fn is_empty_file(stat: &Stat) -> bool {
    stat.kind == FileKind::File && stat.size == 0 && stat.mode == FILE_MODE
}

/// Makes those that are missing, durably but for the names directly in `dir`.
pub(super) fn make(files: &dyn Files, dir: &str, volume: &Volume<'_>) -> Result<(), FileError> {
    let all = with_dirs(volume);
    let group = volume.group.or(files.stat(dir)?.map(|stat| stat.gid));
    for (path, kind) in &all {
        let path = format!("{dir}/{path}");
        let there = files.stat(&path)?;
        let wanted = match kind {
            MountPoint::Dir => there.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir),
            MountPoint::File => there.as_ref().is_some_and(|stat| is_empty_file(stat) && group == Some(stat.gid)),
        };
        // What is in its place is in nobody's use: removing a mount point takes what is mounted there from a container.
        if there.is_some() && !wanted {
            remove_tree(files, &path)?;
        }
        match kind {
            MountPoint::Dir => dress(files, &path, volume)?,
            MountPoint::File if wanted => {}
            MountPoint::File => {
                let mut file = files.create(&path)?;
                file.set_owner(None, volume.group)?;
                file.set_mode(FILE_MODE)?;
                file.sync()?;
            }
        }
    }
    let dirs = all.iter().rev().filter(|(_, kind)| **kind == MountPoint::Dir);
    dirs.map(|(path, _)| path).try_for_each(|path| files.sync_dir(&format!("{dir}/{path}")))
}
