//! The memory between passes, in `/run`: it outlives the agent's process and not the boot. Losing it only lengthens
//! delays, so it is replaced atomically but not synced, and a damaged one counts as lost.

use std::io;
use std::path::{Path, PathBuf};

use crate::pod::memory::Memory;

/// Where the memory is kept. Does without a directory that cannot be made: its loss only lengthens delays.
#[derive(Debug)]
pub struct RunState {
    dir: PathBuf,
    last: Option<Vec<u8>>,
}

/// A file of `/run/pod-checkpointer` that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; is the run directory mounted and writable?", .path.display())]
pub struct VolatileError {
    path: PathBuf,
    source: io::Error,
}

impl RunState {
    /// In this directory, which is made when something is kept there.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), last: None }
    }

    /// What was remembered in this boot, or nothing.
    pub fn load(&self) -> Memory {
        let path = self.dir.join("memory.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|why| {
                tracing::warn!(path = %path.display(), %why, "starting with an empty memory: delays begin anew");
                Memory::default()
            }),
            Err(_) => Memory::default(),
        }
    }

    /// Remembers; writes only what changed.
    pub fn save(&mut self, memory: &Memory) -> Result<(), VolatileError> {
        let bytes = serde_json::to_vec(memory).map_err(|why| self.failed("memory.json", why.into()))?;
        if self.last.as_ref() == Some(&bytes) {
            return Ok(());
        }
        self.replace("memory.json", &bytes)?;
        self.last = Some(bytes);
        Ok(())
    }

    /// Replaces another file of the directory, for `status` to read when no agent runs.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), VolatileError> {
        let temporary = self.dir.join(format!(".{name}.new"));
        let write = || {
            std::fs::create_dir_all(&self.dir)?;
            std::fs::write(&temporary, bytes)?;
            std::fs::rename(&temporary, self.dir.join(name))
        };
        write().map_err(|source| self.failed(name, source))
    }

    fn failed(&self, name: &str, source: io::Error) -> VolatileError {
        VolatileError { path: self.dir.join(name), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::BootInstant;
    use crate::pod::key::PodKey;
    use crate::pod::memory::PodMemory;

    #[test]
    fn a_memory_comes_back_and_a_damaged_one_counts_as_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Memory::default();
        let pod = PodMemory { down_since: Some(BootInstant(7)), ..PodMemory::default() };
        memory.pods.insert(PodKey::new("ns", "web").unwrap(), pod);
        RunState::at(dir.path()).save(&memory).unwrap();
        assert_eq!(RunState::at(dir.path()).load(), memory);
        std::fs::write(dir.path().join("memory.json"), "{\"pods\":").unwrap();
        assert_eq!(RunState::at(dir.path()).load(), Memory::default());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_of_saving_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let mut state = RunState::at(&dir.path().join("file/run"));
        assert_eq!(state.load(), Memory::default());
        let why = state.save(&Memory::default()).unwrap_err().to_string();
        assert!(why.contains("file/run/memory.json"), "{why}");
    }
}
