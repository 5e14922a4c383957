//! One directory of archives: looks at files, keeps the index and its file up to date, removes what was selected. Chooses
//! nothing. It blocks.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{Found, Index, KEEP, SeenFile, stem};
use super::metrics::RetentionMetrics;
use super::policy::ContainerKey;
use super::select::Deletion;
use super::{index_file, inspect};
use crate::archive::name::SEALED;
use crate::archive::sidecar;
use crate::disk::atomic;
use crate::disk::files::{FileError, Files};
use crate::disk::open_dir::{Claim, OpenDir, Room, Stamp};
use crate::disk::rooted_dir::RootedDir;

/// The index, among our own files.
const INDEX: &str = "index";
/// It is read up to this; half a million archives fit.
const LONGEST_INDEX: u64 = 256 << 20;

/// The directory, its index, and the lock by which one process alone deletes.
pub struct ArchiveDir {
    dir: OpenDir,
    claim: Option<Claim>,
    index: Index,
    /// What an earlier process knew, until the first look at everything.
    remembered: HashMap<String, SeenFile>,
    state: Option<RootedDir>,
    unsaved: bool,
    metrics: RetentionMetrics,
}

/// Whether a selected file was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionOutcome {
    /// It was.
    Removed,
    /// It is another one than was selected, or was pinned or removed meanwhile.
    Left,
}

impl ArchiveDir {
    /// Opens the directory; `state` is where the index is kept between runs, if anywhere. Looks at nothing yet.
    pub fn open(path: &Path, state: Option<&Path>, metrics: RetentionMetrics) -> Result<Self, FileError> {
        let dir = OpenDir::open(path)?;
        let state = state.map(own).transpose()?;
        let known = state.as_ref().and_then(|state| state.read(INDEX, LONGEST_INDEX).ok());
        let remembered = known.and_then(|text| index_file::read(&text, &called(path))).unwrap_or_default();
        Ok(Self { dir, claim: None, index: Index::default(), remembered, state, unsaved: false, metrics })
    }

    /// All archives in it, as they were when it was last looked at.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Room on its disk.
    pub fn room(&self) -> Result<Room, FileError> {
        self.dir.room()
    }

    /// Whether this process is the one that may delete here; asks for it if it is not.
    pub fn may_delete(&mut self) -> Result<bool, FileError> {
        if self.claim.is_none() {
            self.claim = self.dir.claim()?;
        }
        Ok(self.claim.is_some())
    }

    /// Looks at everything; says whose archives are others than before.
    pub fn rescan(&mut self) -> Result<BTreeSet<Arc<ContainerKey>>, FileError> {
        let dir = OpenDir::open(self.dir.path())?;
        let names: BTreeSet<String> = dir.names()?.into_iter().filter(|name| stem(name).is_some()).collect();
        if self.dir.is_another(&dir)? {
            self.claim = None;
        }
        self.dir = dir;
        let mut touched = BTreeSet::new();
        let gone: Vec<String> =
            self.index.files().map(|(file, _)| file.to_owned()).filter(|file| !names.contains(file)).collect();
        for file in gone {
            touched.extend(self.index.forget(&file));
            self.unsaved = true;
        }
        let unpinned: Vec<String> = self
            .index
            .pins()
            .filter(|stem| !pins(stem).iter().any(|pin| names.contains(pin)))
            .map(str::to_owned)
            .collect();
        unpinned.iter().for_each(|stem| self.index.pin(stem, false));
        for name in &names {
            if name.ends_with(KEEP) {
                if let Some(stem) = stem(name) {
                    self.index.pin(stem, true);
                }
            } else if name.ends_with(sidecar::ENDING) {
                self.look_at_description(name)?;
            } else {
                touched.extend(self.look_at(name)?);
            }
        }
        self.remembered = HashMap::new();
        self.metrics.there(self.index.totals());
        Ok(touched)
    }

    /// Looks at what belongs to these names; says whose archives are others than before.
    pub fn look(&mut self, names: &BTreeSet<String>) -> Result<BTreeSet<Arc<ContainerKey>>, FileError> {
        let stems: BTreeSet<&str> = names.iter().filter_map(|name| stem(name)).collect();
        let mut touched = BTreeSet::new();
        for stem in stems {
            self.look_for_pin(stem)?;
            touched.extend(self.look_at(stem)?);
            let sealed = format!("{stem}{SEALED}");
            touched.extend(self.look_at(&sealed)?);
            self.look_at_description(&format!("{sealed}{}", sidecar::ENDING))?;
        }
        self.metrics.there(self.index.totals());
        Ok(touched)
    }

    /// Files that were being written, or could not be read, when they were looked at.
    pub fn unsettled(&self) -> BTreeSet<String> {
        let unsettled = |seen: &SeenFile| matches!(seen.found, Found::Growing | Found::Unreadable(_));
        self.index.open().filter(|(_, seen)| unsettled(seen)).map(|(file, _)| file.to_string()).collect()
    }

    fn look_for_pin(&mut self, stem: &str) -> Result<bool, FileError> {
        let mut pinned = false;
        for pin in pins(stem) {
            pinned |= self.dir.has(&pin)?;
        }
        self.index.pin(stem, pinned);
        Ok(pinned)
    }

    fn look_at(&mut self, file: &str) -> Result<BTreeSet<Arc<ContainerKey>>, FileError> {
        let Some(stamp) = self.dir.stamp(file)? else {
            let gone = self.index.forget(file);
            self.unsaved |= gone.is_some();
            return Ok(gone.into_iter().collect());
        };
        let is_sealed = file.ends_with(SEALED);
        let beside = if is_sealed { self.dir.stamp(&format!("{file}{}", sidecar::ENDING))? } else { None };
        let holds = |seen: &SeenFile| seen.holds(&stamp, beside.as_ref());
        if self.index.seen(file).is_some_and(holds) {
            return Ok(BTreeSet::new());
        }
        let known = self.remembered.remove(file).filter(holds);
        let seen = known.unwrap_or_else(|| self.read(file, is_sealed, stamp, beside));
        if self.index.seen(file) == Some(&seen) {
            return Ok(BTreeSet::new());
        }
        Ok(self.index.put(file, seen))
    }

    /// One that is alone was left by whoever died between two steps. It belongs to nothing, like what was left unfinished.
    fn look_at_description(&mut self, file: &str) -> Result<(), FileError> {
        let sealed = file.strip_suffix(sidecar::ENDING).unwrap_or(file);
        let stamp = if self.dir.has(sealed)? { None } else { self.dir.stamp(file)? };
        match stamp {
            Some(stamp) => {
                let found = Found::Broken("the sealed archive that it describes is not there".to_owned());
                self.index.put(file, SeenFile { stamp, beside: None, found });
            }
            None => drop(self.index.forget(file)),
        }
        Ok(())
    }

    fn read(&mut self, file: &str, is_sealed: bool, stamp: Stamp, beside: Option<Stamp>) -> SeenFile {
        self.metrics.read();
        self.unsaved = true;
        let found = if is_sealed { inspect::sealed(&self.dir, file) } else { inspect::plain(&self.dir, file) };
        SeenFile { stamp, beside, found }
    }

    /// Removes a file if it is still the one that was selected and nobody has pinned it since. It stays removed only after
    /// [`ArchiveDir::settle`].
    pub fn delete(&mut self, deletion: &Deletion) -> Result<DeletionOutcome, FileError> {
        let file = &*deletion.file;
        if self.claim.is_none() || stem(file).map(|stem| self.look_for_pin(stem)).transpose()?.unwrap_or(true) {
            return Ok(DeletionOutcome::Left);
        }
        if self.dir.stamp(file)? != self.index.seen(file).map(|seen| seen.stamp) {
            self.look_at(file)?;
            return Ok(DeletionOutcome::Left);
        }
        self.dir.remove(file)?;
        if file.ends_with(SEALED) {
            self.dir.remove(&format!("{file}{}", sidecar::ENDING))?;
        }
        self.index.forget(file);
        self.unsaved = true;
        self.metrics.deleted(&deletion.why, deletion.size);
        Ok(DeletionOutcome::Removed)
    }

    /// Counts a deletion that failed.
    pub fn failed(&self) {
        self.metrics.failed();
    }

    /// Makes removals durable.
    pub fn settle(&mut self) -> Result<(), FileError> {
        self.metrics.there(self.index.totals());
        self.dir.sync()
    }

    /// Writes the index down if it changed.
    pub fn save(&mut self) -> Result<(), FileError> {
        if let Some(state) = self.state.as_ref().filter(|_| self.unsaved) {
            atomic::write(state, INDEX, &index_file::write(&self.index, &called(self.dir.path())), 0o600)?;
        }
        self.unsaved = false;
        Ok(())
    }
}

/// The names that pin a plain archive and its seal.
pub fn pins(stem: &str) -> [String; 2] {
    [format!("{stem}{KEEP}"), format!("{stem}{SEALED}{KEEP}")]
}

fn called(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn own(path: &Path) -> Result<RootedDir, FileError> {
    std::fs::create_dir_all(path).map_err(|cause| FileError::new("make directory", PathBuf::from(path), cause))?;
    Ok(RootedDir::new(path))
}

/// Makes the directory of our own files, without what a killed run left unfinished: before anybody writes there.
pub(super) fn prepare(path: &Path) -> Result<(), FileError> {
    let files = own(path)?;
    for name in files.list("")?.iter().filter(|name| name.starts_with(atomic::TEMPORARY_PREFIX)) {
        files.remove_file(name)?;
    }
    Ok(())
}
