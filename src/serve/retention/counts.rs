//! What retention has done since it was started and what there is now, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::index::Totals;
use super::select::{LABELS, Why};

/// Shared by the sweeper, which sets, and whoever encodes metrics.
#[derive(Debug, Default)]
pub struct Counts {
    deleted: [AtomicU64; LABELS.len()],
    freed: AtomicU64,
    failed: AtomicU64,
    read: AtomicU64,
    totals: [AtomicU64; 6],
}

/// How they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Files deleted, by the reason's label.
    pub deleted: Vec<(&'static str, u64)>,
    /// Bytes that were theirs.
    pub freed_bytes: u64,
    /// Deletions that failed; each is tried again.
    pub failed: u64,
    /// Files that were opened to be read: each once, unless it changed.
    pub read: u64,
    /// What lies there.
    pub totals: Totals,
}

impl Counts {
    pub(super) fn deleted(&self, why: &Why, bytes: u64) {
        let at = LABELS.iter().position(|label| *label == why.label());
        if let Some(counter) = at.and_then(|at| self.deleted.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.freed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn there(&self, totals: Totals) {
        let Totals { archives, growing, broken, unknown, pinned, bytes } = totals;
        for (gauge, value) in self.totals.iter().zip([archives, growing, broken, unknown, pinned, bytes]) {
            gauge.store(value, Ordering::Relaxed);
        }
    }

    /// Now.
    pub fn now(&self) -> Counted {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [archives, growing, broken, unknown, pinned, bytes] = self.totals.each_ref().map(value);
        Counted {
            deleted: LABELS.into_iter().zip(self.deleted.iter().map(value)).collect(),
            freed_bytes: value(&self.freed),
            failed: value(&self.failed),
            read: value(&self.read),
            totals: Totals { archives, growing, broken, unknown, pinned, bytes },
        }
    }
}
