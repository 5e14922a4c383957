//! The memory between passes, in `/run`: it outlives the agent's process and not the boot. Losing it only lengthens
//! delays, so it is replaced atomically but not synced, and a damaged one counts as lost.

use std::io;
use std::path::{Path, PathBuf};

use crate::pod::memory::Memory;

/// Where the memory is kept.
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
    /// In this directory, which is made if it is not there.
    pub fn open(dir: &Path) -> Result<Self, VolatileError> {
        std::fs::create_dir_all(dir).map_err(|source| VolatileError { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned(), last: None })
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
        RunState::open(dir.path()).unwrap().save(&memory).unwrap();
        assert_eq!(RunState::open(dir.path()).unwrap().load(), memory);
        std::fs::write(dir.path().join("memory.json"), "{\"pods\":").unwrap();
        assert_eq!(RunState::open(dir.path()).unwrap().load(), Memory::default());
    }
}
