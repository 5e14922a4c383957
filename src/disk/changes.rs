//! Says that something changed in a directory, so that nobody has to look again and again. What changed, and whether it
//! matters, the receiver finds out by looking.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A directory that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {} for changes: {source}; is it there, and are there inotify watches left (fs.inotify.max_user_watches)?", .path.display())]
pub struct ChangesError {
    pub(super) path: PathBuf,
    pub(super) source: notify::Error,
}

/// How often a receiver looks where nothing can be watched.
const LOOK: Duration = Duration::from_secs(5);

/// A running watch over directories; ends when dropped.
#[derive(Debug)]
pub struct Changes {
    _watcher: Source,
}

#[derive(Debug)]
enum Source {
    /// The kernel says.
    Kernel { _watcher: RecommendedWatcher },
    /// A clock says, in its stead.
    Clock(JoinHandle<()>),
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Self::Clock(task) = self {
            task.abort();
        }
    }
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
        Ok((Self { _watcher: Source::Kernel { _watcher: watcher } }, changes))
    }

    /// The same, or where nothing can be watched (no inotify instance or watch is left, say) a receiver that wakes
    /// every five seconds, and why. Needs a running tokio runtime.
    pub fn of_or_looking(directories: &[&Path]) -> (Self, watch::Receiver<u64>, Option<ChangesError>) {
        match Self::of(directories) {
            Ok((changes, receiver)) => (changes, receiver, None),
            Err(why) => {
                let (count, receiver) = watch::channel(0);
                let look = async move {
                    loop {
                        tokio::time::sleep(LOOK).await;
                        count.send_modify(|n| *n += 1);
                    }
                };
                (Self { _watcher: Source::Clock(tokio::spawn(look)) }, receiver, Some(why))
            }
        }
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

    #[tokio::test(start_paused = true)]
    async fn where_nothing_can_be_watched_the_receiver_looks_by_itself() {
        let (_watch, mut changes, why) = Changes::of_or_looking(&[Path::new("/nowhere/at/all")]);
        assert!(why.unwrap().to_string().contains("/nowhere/at/all"));
        for _ in 0..3 {
            tokio::time::timeout(LOOK * 2, changes.changed()).await.unwrap().unwrap();
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let why = Changes::of(&[Path::new("/nowhere/at/all")]).unwrap_err().to_string();
        assert!(why.contains("/nowhere/at/all"), "{why}");
    }
}
