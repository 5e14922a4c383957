//! Prometheus metrics of retention: counts alone, no names of pods, since anybody may read them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::serve::retention::counts::Counted;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// Adds them, as things stand, to a registry that is encoded once.
pub fn register(registry: &mut Registry, counted: &Counted) {
    let deleted: Family<Reason, Counter> = Family::default();
    for (reason, count) in &counted.deleted {
        deleted.get_or_create(&Reason { reason }).inc_by(*count);
    }
    registry.register("archives_deleted", "Archives that retention deleted, by the rule that demanded it", deleted);
    let total = |count: u64| {
        let total: Counter = Counter::default();
        total.inc_by(count);
        total
    };
    registry.register("archives_deleted_bytes", "Bytes of the archives that were deleted", total(counted.freed_bytes));
    let help = "Deletions that failed; each is tried again";
    registry.register("archives_deletions_failed", help, total(counted.failed));
    let help = "Archives that were opened to learn whose they are: each once, unless it changes";
    registry.register("archives_read", help, total(counted.read));
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let totals = counted.totals;
    let archives: Family<State, Gauge> = Family::default();
    let states = [
        ("whole", totals.archives),
        ("growing", totals.growing),
        ("broken", totals.broken),
        ("unknown", totals.unknown),
        ("pinned", totals.pinned),
    ];
    for (state, count) in states {
        archives.get_or_create(&State { state }).set(gauge(count));
    }
    registry.register("archives", "Archives on this node; pinned ones are counted by their state too", archives);
    let bytes: Gauge = Gauge::default();
    bytes.set(gauge(totals.bytes));
    registry.register("archives_bytes", "Bytes of the archives on this node", bytes);
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::serve::retention::counts::Counts;

    #[test]
    fn what_was_deleted_and_what_is_there_can_be_read_by_prometheus() {
        let mut counted = Counts::default().now();
        counted.totals.archives = 3;
        counted.totals.bytes = 70;
        counted.deleted[0].1 = 2;
        let mut registry = Registry::with_prefix("container_checkpoints");
        register(&mut registry, &counted);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "container_checkpoints_archives_deleted_total{reason=\"orphan\"} 2",
            "container_checkpoints_archives_deleted_total{reason=\"room\"} 0",
            "container_checkpoints_archives{state=\"whole\"} 3",
            "container_checkpoints_archives_bytes 70",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }
}
