//! Prometheus metrics of retention: counts alone, no names of pods, since anybody may read them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::index::Totals;
use super::select::{LABELS, Why};

/// The rule that demanded a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// Handles of what is counted: the sweeper and its directory set them. Clones count into the same.
#[derive(Debug, Clone)]
pub struct RetentionMetrics {
    deleted: Family<Reason, Counter>,
    freed: Counter,
    failed: Counter,
    read: Counter,
    archives: Family<State, Gauge>,
    bytes: Gauge,
}

impl Default for RetentionMetrics {
    fn default() -> Self {
        let metrics = Self {
            deleted: Family::default(),
            freed: Counter::default(),
            failed: Counter::default(),
            read: Counter::default(),
            archives: Family::default(),
            bytes: Gauge::default(),
        };
        // There from the start: a rate needs the zero before the first one.
        for reason in LABELS {
            drop(metrics.deleted.get_or_create(&Reason { reason }));
        }
        metrics.there(Totals::default());
        metrics
    }
}

impl RetentionMetrics {
    /// Adds them to what a listener encodes.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Archives that retention deleted, by the rule that demanded it";
        registry.register("archives_deleted", help, self.deleted.clone());
        registry.register("archives_deleted_bytes", "Bytes of the archives that were deleted", self.freed.clone());
        let help = "Deletions that failed; each is tried again";
        registry.register("archives_deletions_failed", help, self.failed.clone());
        let help = "Archives that were opened to learn whose they are: each once, unless it changes";
        registry.register("archives_read", help, self.read.clone());
        let help = "Archives on this node; pinned ones are counted by their state too";
        registry.register("archives", help, self.archives.clone());
        registry.register("archives_bytes", "Bytes of the archives on this node", self.bytes.clone());
    }

    pub(super) fn deleted(&self, why: &Why, bytes: u64) {
        self.deleted.get_or_create(&Reason { reason: why.label() }).inc();
        self.freed.inc_by(bytes);
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    pub(super) fn read(&self) {
        self.read.inc();
    }

    pub(super) fn there(&self, totals: Totals) {
        let Totals { archives, growing, broken, unknown, pinned, bytes } = totals;
        let value = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let states =
            [("whole", archives), ("growing", growing), ("broken", broken), ("unknown", unknown), ("pinned", pinned)];
        for (state, count) in states {
            self.archives.get_or_create(&State { state }).set(value(count));
        }
        self.bytes.set(value(bytes));
    }

    /// Files deleted so far for a reason, one of [`LABELS`].
    pub fn deletions(&self, reason: &'static str) -> u64 {
        self.deleted.get_or_create(&Reason { reason }).get()
    }

    /// Files opened so far to be read: each once, unless it changed.
    pub fn reads(&self) -> u64 {
        self.read.get()
    }

    /// Archives in this state at the last look.
    pub fn archives(&self, state: &'static str) -> i64 {
        self.archives.get_or_create(&State { state }).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openmetrics;

    #[test]
    fn deletions_and_what_is_there_can_be_read() {
        let metrics = RetentionMetrics::default();
        let mut registry = openmetrics::registry("container_checkpoints");
        metrics.register(&mut registry);
        metrics.there(Totals { archives: 3, bytes: 70, ..Totals::default() });
        metrics.deleted(&Why::Size { limit: 1 }, 4);
        metrics.deleted(&Why::Size { limit: 1 }, 5);
        let text = openmetrics::text(&registry);
        for line in [
            "container_checkpoints_archives_deleted_total{reason=\"size\"} 2",
            "container_checkpoints_archives_deleted_total{reason=\"room\"} 0",
            "container_checkpoints_archives_deleted_bytes_total 9",
            "container_checkpoints_archives{state=\"whole\"} 3",
            "container_checkpoints_archives_bytes 70",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }
}
