//! Everything that is counted: names, types, labels and the series that are there from the start. Alerts of others use them.

use pod_checkpointer::agent::metrics::Metrics;
use pod_checkpointer::cluster::request_metrics::RequestMetrics;
use pod_checkpointer::pod::report::{Phase, PodReport, Report};
use pod_checkpointer::serve::jobs::metrics::JobMetrics;
use pod_checkpointer::serve::retention::metrics::RetentionMetrics;
use pod_checkpointer::{agent, openmetrics, serve};

fn pod() -> PodReport {
    PodReport {
        namespace: "ns".to_owned(),
        name: "p".to_owned(),
        uid: None,
        lineage: None,
        phase: Phase::Active,
        restorable: true,
        reasons: Vec::new(),
        decision: String::new(),
        image_present: None,
        assets_at: Some(1),
    }
}

/// What the agent answers when one of everything has happened.
pub fn of_agent() -> String {
    let metrics = Metrics::default();
    metrics.update(&Report { pods: vec![pod()], notes: Vec::new() });
    metrics.transition(Phase::Standby, Phase::Active);
    metrics.step_failed("capture");
    openmetrics::text(&agent::registry(&metrics, &RequestMetrics::default()))
}

/// What `serve` answers before anything has happened.
pub fn of_serve() -> String {
    let registry = serve::registry(&RequestMetrics::default(), &JobMetrics::default(), &RetentionMetrics::default());
    openmetrics::text(&registry)
}

/// The order of a family's series is chance, the version is not a name.
fn sorted(text: &str) -> String {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_by_key(|line| line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").to_owned());
    lines.join("\n")
}

#[test]
fn the_metrics_of_the_agent_keep_their_names() {
    insta::assert_snapshot!(sorted(&of_agent()));
}

#[test]
fn the_metrics_of_serve_keep_their_names() {
    insta::assert_snapshot!(sorted(&of_serve()));
}
