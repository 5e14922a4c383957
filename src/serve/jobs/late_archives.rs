//! Looks for archives that nobody wants any more, of kubelet calls that were given up, and removes them: plain ones would stay
//! where a sealed one was asked for. One task for all of them, and one look at the directory at a time.

use std::convert::Infallible;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::archives::{ArchiveOwner, Archives, among};
use super::job::Late;
use super::limits;
use crate::archive::name::ArchiveName;
use crate::backoff::Backoff;
use crate::clock;

/// The archives that may still come and that nobody wants.
pub struct LateArchives {
    archives: Archives,
    unwanted: Mutex<Vec<Unwanted>>,
    wake: Notify,
}

#[derive(Clone)]
struct Unwanted {
    owner: ArchiveOwner,
    late: Late,
    /// When it is looked for again, and how long after that.
    next: Instant,
    pause: Backoff,
}

impl LateArchives {
    /// Of that directory; looks for nothing yet.
    pub fn new(archives: Archives) -> Self {
        Self { archives, unwanted: Mutex::default(), wake: Notify::new() }
    }

    fn unwanted(&self) -> MutexGuard<'_, Vec<Unwanted>> {
        // Entries are added and removed whole.
        self.unwanted.lock()
    }

    /// Has the archive of a call looked for. Of more than there may be jobs, the one that was given up first is let go.
    pub fn add(&self, owner: ArchiveOwner, late: Late) {
        let mut unwanted = self.unwanted();
        if unwanted.len() >= limits::MOST_JOBS {
            unwanted.remove(0);
        }
        let pause = Backoff::new(limits::LOOK_FOR_ARCHIVE, limits::LOOK_FOR_ABANDONED);
        unwanted.push(Unwanted { owner, late, next: Instant::now(), pause });
        self.wake.notify_one();
    }

    /// Looks, until dropped.
    pub async fn run(&self) -> Infallible {
        loop {
            let next = self.unwanted().iter().map(|unwanted| unwanted.next).min();
            match next {
                None => self.wake.notified().await,
                Some(next) => {
                    tokio::select! {
                        () = sleep_until(next) => {}
                        () = self.wake.notified() => {}
                    }
                    let due = self.due(Instant::now());
                    self.look(due).await;
                }
            }
        }
    }

    /// Takes out what is to be looked for now; what has been looked for long enough is not.
    fn due(&self, now: Instant) -> Vec<Unwanted> {
        let end = clock::epoch_seconds().saturating_sub(limits::ABANDONED_ARCHIVE.as_secs().cast_signed());
        let mut unwanted = self.unwanted();
        unwanted.retain(|unwanted| unwanted.late.until > end);
        unwanted.extract_if(.., |unwanted| unwanted.next <= now).collect()
    }

    async fn look(&self, due: Vec<Unwanted>) {
        if due.is_empty() {
            return;
        }
        let (archives, looked_for) = (self.archives.clone(), due.clone());
        // What was not found, or by a look that broke off, is looked for again.
        let left = spawn_blocking(move || remove(&archives, looked_for)).await.unwrap_or(due);
        let now = Instant::now();
        let again = left.into_iter().map(|mut unwanted| Unwanted { next: now + unwanted.pause.wait(), ..unwanted });
        self.unwanted().extend(again);
    }
}

/// Removes those that are there, and returns the others. It blocks.
fn remove(archives: &Archives, mut due: Vec<Unwanted>) -> Vec<Unwanted> {
    if let Ok(plain) = archives.plain() {
        due.retain(|unwanted| !is_removed(archives, &plain, unwanted));
    }
    due
}

/// Where two might be it, both stay: one is somebody else's.
fn is_removed(archives: &Archives, plain: &[(ArchiveName, String)], unwanted: &Unwanted) -> bool {
    let Unwanted { owner, late, .. } = unwanted;
    let found = among(plain, owner, late.since, late.until);
    let [file] = found.as_slice() else { return false };
    if archives.take(file, owner).is_err() {
        return false;
    }
    match archives.remove(file) {
        Ok(()) => {
            tracing::info!(%file, "removed an archive that came after its job had failed");
            true
        }
        Err(why) => {
            tracing::warn!("an archive that nobody wants stays: {why}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn late_archives(dir: &std::path::Path) -> LateArchives {
        LateArchives::new(Archives::new(dir))
    }

    fn of(pod: &str, until: i64) -> (ArchiveOwner, Late) {
        let own = str::to_owned;
        let owner = ArchiveOwner { namespace: own("ns"), pod: own(pod), uid: own("u"), container: own("c") };
        (owner, Late { container: own("c"), since: until - 10, until })
    }

    #[tokio::test]
    async fn there_are_never_more_than_jobs_and_the_first_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let late_archives = late_archives(dir.path());
        for n in 0..=limits::MOST_JOBS {
            let (owner, late) = of(&n.to_string(), clock::epoch_seconds());
            late_archives.add(owner, late);
        }
        let unwanted = late_archives.unwanted();
        assert_eq!((unwanted.len(), unwanted[0].owner.pod.as_str()), (limits::MOST_JOBS, "1"));
    }

    #[tokio::test]
    async fn what_does_not_come_is_looked_for_ever_less_and_then_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let late_archives = late_archives(dir.path());
        let (owner, late) = of("p", clock::epoch_seconds());
        late_archives.add(owner, late);
        for _ in 0..10 {
            let due = late_archives.due(Instant::now() + Duration::from_secs(60));
            assert_eq!(due.len(), 1);
            late_archives.look(due).await;
        }
        assert_eq!(late_archives.unwanted()[0].pause.wait(), limits::LOOK_FOR_ABANDONED);
        assert!(late_archives.due(Instant::now()).is_empty(), "not yet again");
        let (owner, late) = of("q", clock::epoch_seconds() - limits::ABANDONED_ARCHIVE.as_secs().cast_signed());
        late_archives.add(owner, late);
        assert!(late_archives.due(Instant::now()).is_empty(), "its time is over");
        assert_eq!(late_archives.unwanted().len(), 1);
    }
}
