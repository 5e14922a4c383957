//! Prometheus metrics of `serve`: counts alone, no names of pods or callers, since anybody may read them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode as write;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::retention::metrics;
use crate::serve::jobs::counts::Counted;
use crate::serve::retention;

/// How things stand when somebody asks.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// What was done.
    pub counted: Counted,
    /// Jobs that wait or run.
    pub busy: usize,
    /// Jobs that run.
    pub running: usize,
    /// Requests sent to the API server.
    pub api_requests: [(&'static str, u64); 4],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    kind: &'static str,
}

/// In the OpenMetrics text format.
pub fn encode(standing: &Standing, retained: &retention::counts::Counted) -> String {
    let mut registry = Registry::with_prefix("container_checkpoints");
    let Counted { accepted, declined, done, failed, pushed_bytes } = standing.counted;
    let jobs: Family<Outcome, Counter> = Family::default();
    for (outcome, count) in [("accepted", accepted), ("declined", declined), ("done", done), ("failed", failed)] {
        jobs.get_or_create(&Outcome { outcome }).inc_by(count);
    }
    registry.register("jobs", "Checkpoints that were asked for, and what became of them", jobs);
    let pushed: Counter = Counter::default();
    pushed.inc_by(pushed_bytes);
    registry.register("pushed_bytes", "Bytes of archives that are in a registry", pushed);
    let gauge = |count: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        gauge
    };
    registry.register("queue", "Checkpoints that wait or run now", gauge(standing.busy));
    registry.register("running", "Checkpoints that run now", gauge(standing.running));
    let requests: Family<OutcomeLabel, Counter> = Family::default();
    for (kind, count) in standing.api_requests {
        requests.get_or_create(&OutcomeLabel { kind }).inc_by(count);
    }
    registry.register("api_requests", "Requests sent to the API server", requests);
    metrics::register(&mut registry, retained);
    registry.register("build", "The program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_can_be_read_by_prometheus() {
        let counted = Counted { accepted: 3, done: 2, failed: 1, pushed_bytes: 7, ..Counted::default() };
        let api_requests = [("get", 1), ("list", 0), ("watch", 0), ("write", 2)];
        let text = encode(
            &Standing { counted, busy: 4, running: 1, api_requests },
            &retention::counts::Counts::default().now(),
        );
        for line in [
            "container_checkpoints_jobs_total{outcome=\"done\"} 2",
            "container_checkpoints_jobs_total{outcome=\"declined\"} 0",
            "container_checkpoints_pushed_bytes_total 7",
            "container_checkpoints_queue 4",
            "container_checkpoints_api_requests_total{kind=\"write\"} 2",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
