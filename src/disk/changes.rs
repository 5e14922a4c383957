//! Says that something changed in a directory, so that nobody has to look again and again. What changed, and whether it
//! matters, the receiver finds out by looking.

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

/// A directory that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {} for changes: {source}; is it there, and are there inotify watches left (fs.inotify.max_user_watches)?", .path.display())]
pub struct ChangesError {
    pub(super) path: PathBuf,
    pub(super) source: notify::Error,
}

/// A running watch over directories; ends when dropped.
#[derive(Debug)]
pub struct Changes {
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches these directories, not what is beneath them. The receiver wakes after every change; a burst is one.
    pub fn of(directories: &[&Path]) -> Result<(Self, watch::Receiver<u64>), ChangesError> {
        let (count, changes) = watch::channel(0);
        let tell = move |event: Result<notify::Event, notify::Error>| {
            // An error is a lost event: looking once more is the remedy for both.
            if event.map_or(true, |e| !matches!(e.kind, EventKind::Access(kind) if kind != AccessKind::Any)) {
                count.send_modify(|n| *n += 1);
            }
        };
        let failed = |path: &Path, source| ChangesError { path: path.to_owned(), source };
        let mut watcher = notify::recommended_watcher(tell).map_err(|why| failed(Path::new("directories"), why))?;
        for directory in directories {
            watcher.watch(directory, RecursiveMode::NonRecursive).map_err(|why| failed(directory, why))?;
        }
        Ok((Self { _watcher: watcher }, changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_file_wakes_the_receiver_and_reading_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (_watch, mut changes) = Changes::of(&[dir.path()]).unwrap();
        let file = dir.path().join("hold");
        std::fs::write(&file, "x").unwrap();
        changes.changed().await.unwrap();
        // The write's remaining events may still come.
        while tokio::time::timeout(std::time::Duration::from_millis(200), changes.changed()).await.is_ok() {}
        std::fs::read(&file).unwrap();
        let woken = tokio::time::timeout(std::time::Duration::from_millis(200), changes.changed()).await;
        assert!(woken.is_err(), "reading is no change");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let why = Changes::of(&[Path::new("/nowhere/at/all")]).unwrap_err().to_string();
        assert!(why.contains("/nowhere/at/all"), "{why}");
    }
}
