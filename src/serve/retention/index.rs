//! What lies in the directory, in the order in which it may go. Pure: whoever looks at files puts here what was found.
//! A change costs O(log n).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::policy::ContainerKey;
use crate::archive::name::{ArchiveName, SEALED};
use crate::archive::sidecar::ENDING;
use crate::disk::open_dir::Stamp;

/// Ending of the file that pins an archive, after the name of the plain one.
pub const KEEP: &str = ".keep";

/// What reading a file brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole archive.
    Whole {
        /// Namespace, pod and container that it is a checkpoint of.
        key: Arc<ContainerKey>,
        /// When it was taken, as it says itself.
        checkpointed: Option<Timestamp>,
    },
    /// It is being written.
    Growing,
    /// It will never be whole.
    Broken(String),
    /// It is whole, and does not say whose it is.
    Unknown(String),
    /// It cannot be read now.
    Unreadable(String),
}

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// Tells whether the file is still the one that was read.
    pub stamp: Stamp,
    /// Of the description beside a sealed one.
    pub beside: Option<Stamp>,
    /// What reading it brought.
    pub found: Found,
}

impl SeenFile {
    /// Whether what was read holds for a file that looks like this now.
    pub fn holds(&self, stamp: &Stamp, beside: Option<&Stamp>) -> bool {
        let settled = !matches!(self.found, Found::Growing | Found::Unreadable(_));
        settled && self.stamp == *stamp && self.beside.as_ref() == beside
    }
}

/// Place of an archive among others: the oldest first. Names break ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    /// When it was taken, or when the file last changed if that is earlier: neither alone can be made to look old.
    pub at: Timestamp,
    /// Name of its file, which breaks ties.
    pub file: Arc<str>,
}

/// All whole archives of one container: bytes by place.
#[derive(Debug, Clone, Default)]
pub struct ContainerArchives {
    /// Bytes of each, the oldest first.
    pub archives: BTreeMap<SortKey, u64>,
    /// Of all; sparse files may claim more together than 64 bits say.
    pub bytes: u128,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Archives that are whole.
    pub archives: u64,
    /// Those being written.
    pub growing: u64,
    /// Those that will never be whole.
    pub broken: u64,
    /// Those of nobody knows whom, or not to be read.
    pub unknown: u64,
    /// Archives that are pinned.
    pub pinned: u64,
    /// Lengths of all files together, in bytes.
    pub bytes: u64,
}

/// What is known of every file in the directory of archives.
#[derive(Debug, Clone, Default)]
pub struct Index {
    files: BTreeMap<Arc<str>, SeenFile>,
    containers: BTreeMap<Arc<ContainerKey>, ContainerArchives>,
    by_time: BTreeMap<SortKey, Arc<ContainerKey>>,
    /// Not whole: not by place, for they are not archives yet.
    open: BTreeSet<Arc<str>>,
    pins: BTreeSet<String>,
    bytes: u128,
}

/// The name of the plain archive that a file belongs to: the archive, its seal, or what lies beside them.
pub fn stem(file: &str) -> Option<&str> {
    let mut stem = file;
    loop {
        let shorter = [KEEP, ENDING, SEALED].iter().find_map(|ending| stem.strip_suffix(ending));
        match shorter {
            Some(shorter) => stem = shorter,
            None => return ArchiveName::parse(stem).filter(|name| !name.sealed).map(|_| stem),
        }
    }
}

/// When an archive counts as taken.
fn taken(file: &str, seen: &SeenFile, checkpointed: Option<Timestamp>) -> Timestamp {
    let changed = Timestamp::from_nanosecond(i128::from(seen.stamp.changed)).unwrap_or(Timestamp::MIN);
    let said = checkpointed.or_else(|| ArchiveName::parse(file).map(|name| name.at));
    said.map_or(changed, |said| said.min(changed))
}

impl Index {
    /// Takes over what a file was found to be; says whose archives are others now.
    pub fn put(&mut self, file: &str, seen: SeenFile) -> BTreeSet<Arc<ContainerKey>> {
        let mut touched: BTreeSet<Arc<ContainerKey>> = self.forget(file).into_iter().collect();
        let file: Arc<str> = file.into();
        self.bytes += u128::from(seen.stamp.size);
        if let Found::Whole { key, checkpointed } = &seen.found {
            let key =
                self.containers.get_key_value(key).map_or_else(|| Arc::clone(key), |(known, _)| Arc::clone(known));
            let place = SortKey { at: taken(&file, &seen, *checkpointed), file: Arc::clone(&file) };
            let container = self.containers.entry(Arc::clone(&key)).or_default();
            container.archives.insert(place.clone(), seen.stamp.size);
            container.bytes += u128::from(seen.stamp.size);
            self.by_time.insert(place, Arc::clone(&key));
            touched.insert(key);
        } else {
            self.open.insert(Arc::clone(&file));
        }
        self.files.insert(file, seen);
        touched
    }

    /// A file is no longer there; says whose it was.
    pub fn forget(&mut self, file: &str) -> Option<Arc<ContainerKey>> {
        let (file, seen) = self.files.remove_entry(file)?;
        self.bytes -= u128::from(seen.stamp.size);
        let Found::Whole { key, checkpointed } = &seen.found else {
            self.open.remove(&file);
            return None;
        };
        let place = SortKey { at: taken(&file, &seen, *checkpointed), file };
        let key = self.by_time.remove(&place).unwrap_or_else(|| Arc::clone(key));
        if let Some(container) = self.containers.get_mut(&key) {
            container.archives.remove(&place);
            container.bytes -= u128::from(seen.stamp.size);
            if container.archives.is_empty() {
                self.containers.remove(&key);
            }
        }
        Some(key)
    }

    /// Sets or removes the pin of a plain archive's name and its seal.
    pub fn pin(&mut self, stem: &str, pinned: bool) {
        if pinned {
            self.pins.insert(stem.to_owned());
        } else {
            self.pins.remove(stem);
        }
    }

    /// Whether a file is kept whatever the policy says.
    pub fn is_pinned(&self, file: &str) -> bool {
        let file = file.strip_suffix(ENDING).unwrap_or(file);
        !self.pins.is_empty() && self.pins.contains(file.strip_suffix(SEALED).unwrap_or(file))
    }

    /// Names of plain archives that are pinned, whether or not the archive is there.
    pub fn pins(&self) -> impl Iterator<Item = &str> {
        self.pins.iter().map(String::as_str)
    }

    /// What a file was when it was read.
    pub fn seen(&self, file: &str) -> Option<&SeenFile> {
        self.files.get(file)
    }

    /// Every file and what it was, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &SeenFile)> {
        self.files.iter().map(|(file, seen)| (&**file, seen))
    }

    /// Containers with their archives, in the order of their keys.
    pub fn containers(&self) -> impl Iterator<Item = (&Arc<ContainerKey>, &ContainerArchives)> {
        self.containers.iter()
    }

    /// Those from this key on.
    pub fn containers_from(
        &self,
        from: &ContainerKey,
    ) -> impl Iterator<Item = (&Arc<ContainerKey>, &ContainerArchives)> {
        self.containers.range::<ContainerKey, _>(from..)
    }

    /// The archives of one container.
    pub fn container(&self, key: &ContainerKey) -> Option<&ContainerArchives> {
        self.containers.get(key)
    }

    /// Every whole archive, the oldest first.
    pub fn by_time(&self) -> impl Iterator<Item = (&SortKey, &Arc<ContainerKey>)> {
        self.by_time.iter()
    }

    /// What is no whole archive of a known container.
    pub fn open(&self) -> impl Iterator<Item = (&Arc<str>, &SeenFile)> {
        self.open.iter().filter_map(|file| self.files.get_key_value(file))
    }

    /// A plain archive whose sealed one is there too: they are one checkpoint.
    pub fn is_shadow(&self, file: &str) -> bool {
        let sealed = format!("{file}{SEALED}");
        self.files.get(sealed.as_str()).is_some_and(|seen| matches!(seen.found, Found::Whole { .. }))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u128 {
        self.bytes
    }

    /// Everything, counted; O(log n) for each pin and each file that is no whole archive.
    pub fn totals(&self) -> Totals {
        let bytes = u64::try_from(self.bytes).unwrap_or(u64::MAX);
        let mut totals = Totals { archives: self.by_time.len() as u64, bytes, ..Totals::default() };
        for (_, seen) in self.open() {
            match seen.found {
                Found::Growing => totals.growing += 1,
                Found::Broken(_) => totals.broken += 1,
                _ => totals.unknown += 1,
            }
        }
        let there = |file: &str| u64::from(self.files.contains_key(file));
        totals.pinned = self.pins.iter().map(|stem| there(stem) + there(&format!("{stem}{SEALED}"))).sum();
        totals
    }
}
