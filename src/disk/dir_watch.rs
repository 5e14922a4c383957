//! Names in one directory that came, went, or were written to the end. While a file is being written nothing is said of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::changes::ChangesError;

/// More names than this are not remembered one by one: whoever asks looks at everything.
const MOST: usize = 4096;

/// What changed since the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Something happened to these names.
    Names(BTreeSet<String>),
    /// Events were lost: perhaps everything.
    Everything,
}

#[derive(Debug, Default)]
struct PendingNames {
    names: Mutex<(BTreeSet<String>, bool)>,
    wake: Notify,
}

impl PendingNames {
    fn names(&self) -> MutexGuard<'_, (BTreeSet<String>, bool)> {
        // A set of names is whole after every statement.
        self.names.lock()
    }

    fn hear(&self, event: Result<notify::Event, notify::Error>) {
        let mut pending = self.names();
        match event {
            Ok(event) if event.need_rescan() => pending.1 = true,
            Ok(event) if matters(event.kind) => {
                let names = event.paths.iter().filter_map(|path| path.file_name()?.to_str());
                pending.0.extend(names.map(str::to_owned));
            }
            Ok(_) => return,
            Err(_) => pending.1 = true,
        }
        if pending.0.len() > MOST {
            pending.1 = true;
            pending.0.clear();
        }
        drop(pending);
        self.wake.notify_one();
    }
}

fn matters(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Access(AccessKind::Close(AccessMode::Write))
    )
}

/// A running watch; ends when dropped.
#[derive(Debug)]
pub struct DirWatch {
    _watcher: RecommendedWatcher,
    pending: Arc<PendingNames>,
}

impl DirWatch {
    /// Watches this directory, not what is beneath it.
    pub fn of(directory: &Path) -> Result<Self, ChangesError> {
        let pending = Arc::new(PendingNames::default());
        let listener = Arc::clone(&pending);
        let failed = |source| ChangesError { path: directory.to_owned(), source };
        let mut watcher = notify::recommended_watcher(move |event| listener.hear(event)).map_err(failed)?;
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed)?;
        Ok(Self { _watcher: watcher, pending })
    }

    /// Until there is something to take.
    pub async fn changed(&self) {
        self.pending.wake.notified().await;
    }

    /// What changed since it was last taken.
    pub fn take(&self) -> Changed {
        let (names, lost) = std::mem::take(&mut *self.pending.names());
        if lost { Changed::Everything } else { Changed::Names(names) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_name_is_told_when_its_file_is_written_not_while_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let watch = DirWatch::of(dir.path()).unwrap();
        let mut file = std::fs::File::create(dir.path().join("a")).unwrap();
        watch.changed().await;
        assert_eq!(watch.take(), Changed::Names(["a".to_owned()].into()), "it came");
        file.write_all(b"x").unwrap();
        let told = tokio::time::timeout(Duration::from_millis(200), watch.changed()).await;
        assert!(told.is_err(), "it grows");
        drop(file);
        watch.changed().await;
        assert_eq!(watch.take(), Changed::Names(["a".to_owned()].into()), "it was written to its end");
    }

    #[test]
    fn lost_events_and_too_many_names_mean_everything() {
        let pending = PendingNames::default();
        pending.hear(Err(notify::Error::generic("lost")));
        assert!(pending.names().1);
        let pending = PendingNames::default();
        for n in 0..=MOST {
            let event = notify::Event::new(EventKind::Create(notify::event::CreateKind::File));
            pending.hear(Ok(event.add_path(format!("/d/{n}").into())));
        }
        assert!(pending.names().1);
    }
}
