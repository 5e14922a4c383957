//! A directory that a running container sees change all at once, laid out like the kubelet's own volumes:
//! `key -> ..data/key`, `..data -> ..<time>`. A new set of files is made in a new `..<time>`, made durable, and swapped
//! in by one rename of `..data`. Removed keys go; content that is there already is not written.

mod mount_points;

use std::collections::{BTreeMap, BTreeSet};

use super::atomic::Written;
use super::files::{FileError, FileKind, Files, Stat, ensure_dir, is_bad_block, list_or_none, parent, remove_tree};

const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_tmp";
/// Mode of directories in a volume; only the top of each tree keeps others out, as the kubelet does.
const DIR_MODE: u32 = 0o755;
/// With a group of its own, new files inherit it.
const SETGID: u32 = 0o2000;

/// A volume that could not be written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VolumeError {
    /// A primitive operation on the disk failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A path that would not stay in the volume, or would be taken for our own names in it.
    #[error(
        "{path:?} cannot be a file of a volume: no part may be empty, `.`, or begin with `..`, and nothing can be in a file"
    )]
    Path {
        /// The path within the volume, as it came.
        path: String,
    },
}

pub use mount_points::MountPoint;

/// What is to be written under one path of a volume.
#[derive(Clone, Copy)]
pub struct VolumeFile<'a> {
    /// Content.
    pub bytes: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// Owning user; `None`: this process's.
    pub owner: Option<u32>,
}

/// What a volume is to hold.
#[derive(Clone, Default)]
pub struct Volume<'a> {
    /// Files by path relative to the volume, `a/b` allowed.
    pub files: BTreeMap<&'a str, VolumeFile<'a>>,
    /// Group of files and directories, with the setgid bit on the latter; `None`: this process's.
    pub group: Option<u32>,
    /// What stands beside `..data` for others to be mounted on, by path relative to the volume. It takes the place of the
    /// link to a file whose path begins with the same name. Who gives a directory other mount points than it had takes
    /// them from whoever still goes by the old ones.
    pub mount_points: BTreeMap<&'a str, MountPoint>,
}

impl Volume<'_> {
    fn dir_mode(&self) -> u32 {
        if self.group.is_some() { DIR_MODE | SETGID } else { DIR_MODE }
    }

    /// Links directly in the volume: the first name of each file's path, where no mount point has it.
    fn keys(&self) -> BTreeSet<&str> {
        let mut keys: BTreeSet<_> = self.files.keys().map(|path| first(path)).collect();
        for path in self.mount_points.keys() {
            keys.remove(first(path));
        }
        keys
    }

    /// What stands directly in the volume beside `..data` and what that points to.
    fn names(&self) -> BTreeSet<&str> {
        self.keys().into_iter().chain(self.mount_points.keys().map(|path| first(path))).collect()
    }

    /// Directories in it, each before those in it.
    fn dirs(&self) -> BTreeSet<&str> {
        let above = |path: &'_ str| path.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
        self.files.keys().flat_map(|path| above(path).into_iter().map(|at| &path[..at])).collect()
    }

    fn check(&self) -> Result<(), VolumeError> {
        let bad = |path: &str| path.split('/').any(|part| matches!(part, "" | ".") || part.starts_with(".."));
        let mut paths = self.files.keys().chain(self.mount_points.keys());
        match paths.find(|path| bad(path) || path.contains('\0')).copied().or_else(|| mount_points::clash(self)) {
            Some(path) => Err(VolumeError::Path { path: path.to_owned() }),
            None => Ok(()),
        }
    }
}

/// The first name of a path.
fn first(path: &str) -> &str {
    path.split_once('/').map_or(path, |(first, _)| first)
}

/// Makes the volume at `dir` hold exactly this, durably, with `dir` and the directories above it.
pub fn write(files: &dyn Files, dir: &str, volume: &Volume<'_>) -> Result<Written, VolumeError> {
    volume.check()?;
    let written = if holds(files, dir, volume)? {
        Written::Unchanged
    } else {
        ensure_dirs(files, dir, volume)?;
        let data = fill_new(files, dir, volume)?;
        swap(files, dir, &data)?;
        tidy(files, dir, volume, &data)?;
        Written::Changed
    };
    sync_up(files, dir)?;
    Ok(written)
}

/// Makes durable the names in `dir` and in every directory above it.
fn sync_up(files: &dyn Files, dir: &str) -> Result<(), FileError> {
    let mut at = dir;
    while !at.is_empty() {
        files.sync_dir(at)?;
        at = parent(at);
    }
    Ok(())
}

/// The name of the directory that `..data` points to, if it is there whole.
pub fn data(files: &dyn Files, dir: &str) -> Result<Option<String>, FileError> {
    let link = format!("{dir}/{DATA}");
    if files.stat(&link)?.is_none_or(|stat| stat.kind != FileKind::Symlink) {
        return Ok(None);
    }
    let name = files.read_link(&link)?;
    if !name.starts_with("..") || name.len() < 3 || name.contains('/') {
        return Ok(None);
    }
    let is_dir = files.stat(&format!("{dir}/{name}"))?.is_some_and(|stat| stat.kind == FileKind::Dir);
    Ok(is_dir.then_some(name))
}

/// When the content last changed, seconds since the epoch; `None`: there is no whole volume at `dir`.
pub fn changed_at(files: &dyn Files, dir: &str) -> Result<Option<i64>, FileError> {
    let Some(data) = data(files, dir)? else { return Ok(None) };
    Ok(files.stat(&format!("{dir}/{data}"))?.map(|stat| stat.modified))
}

/// Content of one file of at most `limit` bytes; `None`: the volume or the file is not there.
pub fn read(files: &dyn Files, dir: &str, path: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    let Some(data) = data(files, dir)? else { return Ok(None) };
    let path = format!("{dir}/{data}/{path}");
    if files.stat(&path)?.is_none() { Ok(None) } else { files.read(&path, limit).map(Some) }
}

/// Removes what an interrupted write left: every `..` name but `..data` and what that points to.
pub fn sweep(files: &dyn Files, dir: &str) -> Result<(), FileError> {
    let current = data(files, dir)?;
    for name in list_or_none(files, dir)? {
        if name.starts_with("..") && name != DATA && Some(&name) != current.as_ref() {
            remove_tree(files, &format!("{dir}/{name}"))?;
        }
    }
    Ok(())
}

/// Removes a volume; from the first instant on it is not whole. The directory above is not synced.
pub fn remove(files: &dyn Files, dir: &str) -> Result<(), FileError> {
    let link = format!("{dir}/{DATA}");
    if data(files, dir)?.is_some() {
        files.remove_file(&link)?;
        files.sync_dir(dir)?;
    }
    remove_tree(files, dir)
}

/// Whether the volume is there exactly as wanted.
fn holds(files: &dyn Files, dir: &str, volume: &Volume<'_>) -> Result<bool, FileError> {
    let Some(data) = data(files, dir)? else { return Ok(false) };
    let top = format!("{dir}/{data}");
    let Some(made) = files.stat(&top)? else { return Ok(false) };
    let owned = |stat: &Stat, owner: Option<u32>| {
        // `..<time>` is ours and never given to a user; it has the group that was last asked for.
        stat.uid == owner.unwrap_or(made.uid) && stat.gid == volume.group.unwrap_or(made.gid)
    };
    let dir_as_wanted = |path: &str| -> Result<bool, FileError> {
        let stat = files.stat(path)?;
        Ok(stat.is_some_and(|s| s.kind == FileKind::Dir && s.mode == volume.dir_mode() && owned(&s, None)))
    };
    if !dir_as_wanted(dir)? || !dir_as_wanted(&top)? {
        return Ok(false);
    }
    let mut names: BTreeSet<String> = volume.names().into_iter().map(str::to_owned).collect();
    names.extend([DATA.to_owned(), data.clone()]);
    if files.list(dir)?.into_iter().collect::<BTreeSet<_>>() != names {
        return Ok(false);
    }
    for key in volume.keys() {
        if !points_at_data(files, dir, key)? {
            return Ok(false);
        }
    }
    for (path, kind) in mount_points::with_dirs(volume) {
        let path = format!("{dir}/{path}");
        let as_wanted = match kind {
            MountPoint::Dir => dir_as_wanted(&path)?,
            MountPoint::File => files.stat(&path)?.is_some_and(|s| mount_points::is_empty_file(&s) && owned(&s, None)),
        };
        if !as_wanted {
            return Ok(false);
        }
    }
    let dirs = volume.dirs();
    for sub in dirs.iter().map(|sub| format!("{top}/{sub}")) {
        if !dir_as_wanted(&sub)? {
            return Ok(false);
        }
    }
    for (path, file) in &volume.files {
        let path = format!("{top}/{path}");
        let as_wanted = files.stat(&path)?.is_some_and(|stat| {
            stat.kind == FileKind::File
                && stat.mode == file.mode
                && stat.size == file.bytes.len() as u64
                && owned(&stat, file.owner)
        });
        if !as_wanted {
            return Ok(false);
        }
        match files.read(&path, file.bytes.len() as u64) {
            Ok(bytes) if bytes == file.bytes => {}
            Err(error) if !is_bad_block(&error) => return Err(error),
            // Written anew where it cannot be read, it is whole again.
            _ => return Ok(false),
        }
    }
    let present: usize = std::iter::once(top.clone())
        .chain(dirs.iter().map(|sub| format!("{top}/{sub}")))
        .map(|at| files.list(&at).map(|names| names.len()))
        .sum::<Result<_, _>>()?;
    Ok(present == volume.files.len() + dirs.len())
}

fn points_at_data(files: &dyn Files, dir: &str, key: &str) -> Result<bool, FileError> {
    let link = format!("{dir}/{key}");
    let is_link = files.stat(&link)?.is_some_and(|stat| stat.kind == FileKind::Symlink);
    Ok(is_link && files.read_link(&link)? == format!("{DATA}/{key}"))
}

/// The volume's directory and those above it, except the first (the tree's), which has a mode of its own.
fn ensure_dirs(files: &dyn Files, dir: &str, volume: &Volume<'_>) -> Result<(), FileError> {
    let ends = dir.match_indices('/').map(|(at, _)| at).skip(1);
    for above in ends.map(|at| &dir[..at]) {
        ensure_dir(files, above, DIR_MODE)?;
    }
    dress(files, dir, volume)
}

/// Makes a directory of the volume with its group and mode; in this order, as a change of group clears bits.
fn dress(files: &dyn Files, dir: &str, volume: &Volume<'_>) -> Result<(), FileError> {
    let stat = files.stat(dir)?.filter(|stat| stat.kind == FileKind::Dir);
    if stat.is_none() {
        files.make_dir(dir)?;
    }
    if let Some(group) = volume.group {
        files.set_dir_group(dir, group)?;
    } else if let Some(above) = files.stat(parent(dir))?
        && stat.is_some_and(|stat| stat.mode & SETGID != 0)
    {
        files.set_dir_group(dir, above.gid)?;
    }
    files.set_dir_mode(dir, volume.dir_mode())
}

/// Writes all files into a new `..<time>`, durably but for its own name; returns that name.
fn fill_new(files: &dyn Files, dir: &str, volume: &Volume<'_>) -> Result<String, FileError> {
    let time = jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S");
    let name = format!("{time}.{:08x}", fastrand::u32(..));
    let top = format!("{dir}/{name}");
    let fill = || {
        dress(files, &top, volume)?;
        let dirs = volume.dirs();
        for sub in &dirs {
            dress(files, &format!("{top}/{sub}"), volume)?;
        }
        for (path, file) in &volume.files {
            let mut new = files.create(&format!("{top}/{path}"))?;
            new.write(file.bytes)?;
            new.set_owner(file.owner, volume.group)?;
            new.set_mode(file.mode)?;
            new.sync()?;
        }
        for sub in dirs.iter().rev() {
            files.sync_dir(&format!("{top}/{sub}"))?;
        }
        files.sync_dir(&top)?;
        mount_points::make(files, dir, volume)?;
        for key in volume.keys() {
            let link = format!("{dir}/{key}");
            if files.stat(&link)?.is_none() {
                files.symlink(&format!("{DATA}/{key}"), &link)?;
            }
        }
        Ok(())
    };
    fill().inspect_err(|_| {
        // The first error is the one to tell; what cannot be removed now goes with the next sweep.
        let _ = remove_tree(files, &top);
    })?;
    Ok(name)
}

/// The moment of change. Before it everything that the new `..data` leads to is durable.
fn swap(files: &dyn Files, dir: &str, data: &str) -> Result<(), FileError> {
    let (next, current) = (format!("{dir}/{DATA_NEXT}"), format!("{dir}/{DATA}"));
    remove_tree(files, &next)?;
    if files.stat(&current)?.is_some_and(|stat| stat.kind == FileKind::Dir) {
        // Somebody's copy of a volume, with its links followed: a rename does not replace a directory.
        remove_tree(files, &current)?;
    }
    files.symlink(data, &next)?;
    files.sync_dir(dir)?;
    files.rename(&next, &current)?;
    files.sync_dir(dir)
}

/// Removes what the new content does not have, and lets links take the place of files that stood there before.
fn tidy(files: &dyn Files, dir: &str, volume: &Volume<'_>, data: &str) -> Result<(), FileError> {
    let (keys, names) = (volume.keys(), volume.names());
    for name in files.list(dir)? {
        let path = format!("{dir}/{name}");
        if name == DATA || name == data {
            continue;
        }
        if !names.contains(name.as_str()) {
            remove_tree(files, &path)?;
        } else if !keys.contains(name.as_str()) {
            // A mount point; made before the swap.
        } else if !points_at_data(files, dir, &name)? {
            if files.stat(&path)?.is_some_and(|stat| stat.kind == FileKind::Dir) {
                remove_tree(files, &path)?;
            }
            let link = format!("{dir}/{DATA_NEXT}");
            files.symlink(&format!("{DATA}/{name}"), &link)?;
            files.rename(&link, &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
