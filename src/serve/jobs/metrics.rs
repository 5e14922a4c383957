//! Prometheus metrics of checkpoints: counts alone, no names of pods or callers, since anybody may read them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of a checkpoint that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

const ACCEPTED: Outcome = Outcome { outcome: "accepted" };
const DECLINED: Outcome = Outcome { outcome: "declined" };
const DONE: Outcome = Outcome { outcome: "done" };
const FAILED: Outcome = Outcome { outcome: "failed" };

/// Handles of what is counted. Clones count into the same.
#[derive(Debug, Clone)]
pub struct JobMetrics {
    jobs: Family<Outcome, Counter>,
    pushed: Counter,
    queue: Gauge,
    running: Gauge,
}

impl Default for JobMetrics {
    fn default() -> Self {
        let jobs: Family<Outcome, Counter> = Family::default();
        // There from the start: a rate needs the zero before the first one.
        for outcome in [ACCEPTED, DECLINED, DONE, FAILED] {
            drop(jobs.get_or_create(&outcome));
        }
        Self { jobs, pushed: Counter::default(), queue: Gauge::default(), running: Gauge::default() }
    }
}

impl JobMetrics {
    /// Adds them to what a listener encodes.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("jobs", "Checkpoints that were asked for, and what became of them", self.jobs.clone());
        registry.register("pushed_bytes", "Bytes of archives that are in a registry", self.pushed.clone());
        registry.register("queue", "Checkpoints that wait or run now", self.queue.clone());
        registry.register("running", "Checkpoints that run now", self.running.clone());
    }

    pub(super) fn accepted(&self) {
        self.jobs.get_or_create(&ACCEPTED).inc();
    }

    /// There was no room for it, or its record could not be kept.
    pub(super) fn declined(&self) {
        self.jobs.get_or_create(&DECLINED).inc();
    }

    pub(super) fn done(&self) {
        self.jobs.get_or_create(&DONE).inc();
    }

    pub(super) fn failed(&self) {
        self.jobs.get_or_create(&FAILED).inc();
    }

    pub(super) fn pushed(&self, bytes: u64) {
        self.pushed.inc_by(bytes);
    }

    /// A job waits or runs until the guard is dropped.
    pub(super) fn in_queue(&self) -> GaugeGuard {
        GaugeGuard::new(&self.queue)
    }

    /// A job runs until the guard is dropped.
    pub(super) fn runs(&self) -> GaugeGuard {
        GaugeGuard::new(&self.running)
    }
}

/// One more, as long as it lives.
#[derive(Debug)]
pub(super) struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openmetrics;

    #[test]
    fn what_was_done_can_be_read_by_prometheus() {
        let metrics = JobMetrics::default();
        let mut registry = openmetrics::registry("container_checkpoints");
        metrics.register(&mut registry);
        metrics.accepted();
        metrics.accepted();
        metrics.done();
        metrics.pushed(7);
        let _waits = metrics.in_queue();
        drop(metrics.runs());
        let text = openmetrics::text(&registry);
        for line in [
            "container_checkpoints_jobs_total{outcome=\"accepted\"} 2",
            "container_checkpoints_jobs_total{outcome=\"done\"} 1",
            "container_checkpoints_jobs_total{outcome=\"declined\"} 0",
            "container_checkpoints_pushed_bytes_total 7",
            "container_checkpoints_queue 1",
            "container_checkpoints_running 0",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }
}
