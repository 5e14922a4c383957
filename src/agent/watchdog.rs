//! Ends a process whose pass does not end: a disk or a socket that hangs must not keep the node's lock. A thread of its
//! own, since what hangs may be the one that everything else runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;

use crate::clock;
use crate::moment::BootInstant;

/// Shared with the reconciler, which says when it works.
#[derive(Debug, Clone)]
pub(super) struct Watchdog {
    /// Milliseconds since boot at which the pass in progress began; 0 when idle.
    busy_since: Arc<AtomicU64>,
}

impl Watchdog {
    /// Starts watching; a pass longer than `limit` ends the process. It watches as long as a clone of this lives.
    pub(super) fn start(limit: Duration) -> anyhow::Result<Self> {
        let watchdog = Self { busy_since: Arc::default() };
        let watched = Arc::downgrade(&watchdog.busy_since);
        let watch = move || {
            loop {
                std::thread::sleep(limit / 4);
                // An agent that was dropped in the middle of a pass does not hang.
                let Some(busy_since) = watched.upgrade() else { return };
                if let Some(since) = (Self { busy_since }).overdue(clock::now(), limit) {
                    tracing::error!("the pass that began {} s ago has not ended; starting anew", since.as_secs());
                    std::process::exit(1);
                }
            }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).context("cannot start the watchdog")?;
        Ok(watchdog)
    }

    /// A pass begins.
    pub(super) fn busy(&self, since: BootInstant) {
        self.busy_since.store(since.0.max(1), Ordering::Relaxed);
    }

    /// It has ended.
    pub(super) fn idle(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    fn overdue(&self, now: BootInstant, limit: Duration) -> Option<Duration> {
        let since = BootInstant(self.busy_since.load(Ordering::Relaxed));
        let busy = now.since(since);
        (since.0 != 0 && busy > limit).then_some(busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pass_that_does_not_end_is_overdue() {
        let dog = Watchdog { busy_since: Arc::default() };
        let (begin, limit) = (BootInstant(1000), Duration::from_secs(60));
        assert_eq!(dog.overdue(begin + limit * 100, limit), None, "idle for hours");
        dog.busy(begin);
        assert_eq!(dog.overdue(begin + limit, limit), None);
        assert!(dog.overdue(begin + limit * 2, limit).is_some());
        dog.idle();
        assert_eq!(dog.overdue(begin + limit * 2, limit), None);
    }
}
