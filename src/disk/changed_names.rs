//! Names in one directory that came, went, or were written to the end. While a file is being written nothing is said of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::changes::ChangesError;

/// More names than this are not remembered one by one: whoever asks looks at everything.
const MOST: usize = 4096;

/// What changed since the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These names.
    Names(BTreeSet<String>),
    /// Events were lost: perhaps everything.
    Everything,
}

#[derive(Debug, Default)]
struct Heard {
    names: Mutex<(BTreeSet<String>, bool)>,
    wake: Notify,
}

impl Heard {
    fn names(&self) -> MutexGuard<'_, (BTreeSet<String>, bool)> {
        // A set of names is whole after every statement.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: Result<notify::Event, notify::Error>) {
        let mut heard = self.names();
        match event {
            Ok(event) if event.need_rescan() => heard.1 = true,
            Ok(event) if matters(event.kind) => {
                let names = event.paths.iter().filter_map(|path| path.file_name()?.to_str());
                heard.0.extend(names.map(str::to_owned));
            }
            Ok(_) => return,
            Err(_) => heard.1 = true,
        }
        if heard.0.len() > MOST {
            heard.1 = true;
            heard.0.clear();
        }
        drop(heard);
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
pub struct ChangedNames {
    _watcher: RecommendedWatcher,
    heard: Arc<Heard>,
}

impl ChangedNames {
    /// Watches this directory, not what is beneath it.
    pub fn of(directory: &Path) -> Result<Self, ChangesError> {
        let heard = Arc::new(Heard::default());
        let listener = Arc::clone(&heard);
        let failed = |source| ChangesError { path: directory.to_owned(), source };
        let mut watcher = notify::recommended_watcher(move |event| listener.hear(event)).map_err(failed)?;
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed)?;
        Ok(Self { _watcher: watcher, heard })
    }

    /// Until there is something to take.
    pub async fn changed(&self) {
        self.heard.wake.notified().await;
    }

    /// What changed since it was last taken.
    pub fn take(&self) -> Changed {
        let (names, lost) = std::mem::take(&mut *self.heard.names());
        if lost { Changed::Everything } else { Changed::Names(names) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_name_is_told_when_its_file_was_written_and_not_while_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let watch = ChangedNames::of(dir.path()).unwrap();
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
        let heard = Heard::default();
        heard.hear(Err(notify::Error::generic("lost")));
        assert!(heard.names().1);
        let heard = Heard::default();
        for n in 0..=MOST {
            let event = notify::Event::new(EventKind::Create(notify::event::CreateKind::File));
            heard.hear(Ok(event.add_path(format!("/d/{n}").into())));
        }
        assert!(heard.names().1);
    }
}
