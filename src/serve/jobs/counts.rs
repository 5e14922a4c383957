//! What `serve` has done since it was started, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only go up.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    declined: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    pushed_bytes: AtomicU64,
}

/// How they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Jobs taken.
    pub accepted: u64,
    /// Jobs that there was no room for, or whose record could not be kept.
    pub declined: u64,
    /// Jobs that came to their end.
    pub done: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Bytes of archives that went to a registry.
    pub pushed_bytes: u64,
}

impl Counts {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn declined(&self) {
        self.declined.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn pushed(&self, bytes: u64) {
        self.pushed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Now.
    pub fn now(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            accepted: read(&self.accepted),
            declined: read(&self.declined),
            done: read(&self.done),
            failed: read(&self.failed),
            pushed_bytes: read(&self.pushed_bytes),
        }
    }
}
