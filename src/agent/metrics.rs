//! Prometheus metrics. What there is to count is decided elsewhere; pods that go away leave no series behind.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::pod::report::{Phase, Report};

const PHASES: [Phase; 5] = [Phase::Watching, Phase::Standby, Phase::Active, Phase::Yielding, Phase::Retiring];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct PodLabels {
    namespace: String,
    pod: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    namespace: String,
    pod: String,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    from: &'static str,
    to: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: String,
}

/// Handles of what the agent counts; all at zero at first.
#[derive(Debug, Default)]
pub struct Metrics {
    restorable: Family<PodLabels, Gauge>,
    phase: Family<PhaseLabels, Gauge>,
    assets: Family<PodLabels, Gauge>,
    transitions: Family<TransitionLabels, Counter>,
    failures: Family<StepLabels, Counter>,
    api_read: Gauge,
    leader: Gauge,
    known: Mutex<BTreeSet<PodLabels>>,
}

impl Metrics {
    /// Adds them to what a listener encodes.
    pub fn register(&self, registry: &mut Registry) {
        let help = "1 if the pod would come back after a power cut with no API server, as far as this node can know";
        registry.register("pod_restorable", help, self.restorable.clone());
        let help = "1 for the phase that the pod is in, 0 for the others";
        registry.register("pod_phase", help, self.phase.clone());
        let help = "Modification time of the oldest Secret or ConfigMap kept for the pod, seconds since the epoch";
        registry.register("pod_oldest_asset_timestamp_seconds", help, self.assets.clone());
        registry.register("transitions", "Pods that went from one phase to another", self.transitions.clone());
        registry.register("step_failures", "Steps that failed; each is tried again", self.failures.clone());
        let help = "When the API server last answered completely, seconds since the epoch; 0 if it never has";
        registry.register("last_api_read_timestamp_seconds", help, self.api_read.clone());
        registry.register("leader", "1 if this instance leads on its node", self.leader.clone());
    }

    /// Takes over what the last pass said about each pod, and forgets pods that it no longer names.
    pub fn update(&self, report: &Report) {
        let mut now = BTreeSet::new();
        for pod in &report.pods {
            let labels = PodLabels { namespace: pod.namespace.clone(), pod: pod.name.clone() };
            self.restorable.get_or_create(&labels).set(i64::from(pod.restorable));
            for phase in PHASES {
                self.phase.get_or_create(&labels.in_phase(phase)).set(i64::from(phase == pod.phase));
            }
            match pod.assets_at {
                Some(at) => drop(self.assets.get_or_create(&labels).set(at)),
                None => drop(self.assets.remove(&labels)),
            }
            now.insert(labels);
        }
        // A poisoned lock still holds a set of names that were once exported: good enough to forget them.
        let mut known = self.known.lock();
        for gone in known.difference(&now) {
            self.restorable.remove(gone);
            self.assets.remove(gone);
            for phase in PHASES {
                self.phase.remove(&gone.in_phase(phase));
            }
        }
        *known = now;
    }

    /// A pod went from one phase to another.
    pub fn transition(&self, from: Phase, to: Phase) {
        self.transitions.get_or_create(&TransitionLabels { from: name(from), to: name(to) }).inc();
    }

    /// A step failed; `step` is its kind (`activate`, `capture`, …), never a pod's name.
    pub fn step_failed(&self, step: &str) {
        self.failures.get_or_create(&StepLabels { step: step.to_owned() }).inc();
    }

    /// The API server answered completely, seconds since the epoch.
    pub fn api_read(&self, epoch_seconds: i64) {
        self.api_read.set(epoch_seconds);
    }

    /// This instance leads, or no longer does.
    pub fn leading(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}

impl PodLabels {
    fn in_phase(&self, phase: Phase) -> PhaseLabels {
        PhaseLabels { namespace: self.namespace.clone(), pod: self.pod.clone(), phase: name(phase) }
    }
}

/// The phase as the reports write it.
pub fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Watching => "watching",
        Phase::Standby => "standby",
        Phase::Active => "active",
        Phase::Yielding => "yielding",
        Phase::Retiring => "retiring",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openmetrics;
    use crate::pod::report::PodReport;

    fn registered() -> (Metrics, Registry) {
        let (metrics, mut registry) = (Metrics::default(), openmetrics::registry("pod_checkpointer"));
        metrics.register(&mut registry);
        (metrics, registry)
    }

    fn pod(name: &str, phase: Phase, assets_at: Option<i64>) -> PodReport {
        PodReport {
            namespace: "ns".to_owned(),
            name: name.to_owned(),
            uid: None,
            lineage: None,
            phase,
            restorable: true,
            reasons: Vec::new(),
            decision: String::new(),
            image_present: None,
            assets_at,
        }
    }

    fn report(pods: Vec<PodReport>) -> Report {
        Report { pods, notes: Vec::new() }
    }

    #[test]
    fn a_pod_is_in_one_phase_at_a_time() {
        let (metrics, registry) = registered();
        metrics.update(&report(vec![pod("a", Phase::Standby, Some(7))]));
        metrics.update(&report(vec![pod("a", Phase::Active, Some(7))]));
        let text = openmetrics::text(&registry);
        assert!(text.contains(r#"pod_checkpointer_pod_phase{namespace="ns",pod="a",phase="active"} 1"#), "{text}");
        assert!(text.contains(r#"pod_checkpointer_pod_phase{namespace="ns",pod="a",phase="standby"} 0"#), "{text}");
        assert!(text.contains(r#"pod_checkpointer_pod_restorable{namespace="ns",pod="a"} 1"#), "{text}");
    }

    #[test]
    fn a_pod_that_goes_away_leaves_no_series_behind() {
        let (metrics, registry) = registered();
        metrics.update(&report(vec![pod("a", Phase::Standby, Some(7)), pod("b", Phase::Standby, None)]));
        metrics.update(&report(vec![pod("b", Phase::Standby, None)]));
        let text = openmetrics::text(&registry);
        assert!(!text.contains(r#"pod="a""#), "{text}");
        assert!(text.contains(r#"pod="b""#), "{text}");
    }

    #[test]
    fn counters_have_the_names_that_alerts_use() {
        let (metrics, registry) = registered();
        metrics.transition(Phase::Standby, Phase::Active);
        metrics.step_failed("activate");
        metrics.api_read(1_700_000_000);
        metrics.leading(true);
        let text = openmetrics::text(&registry);
        for line in [
            r#"pod_checkpointer_transitions_total{from="standby",to="active"} 1"#,
            r#"pod_checkpointer_step_failures_total{step="activate"} 1"#,
            "pod_checkpointer_last_api_read_timestamp_seconds 1700000000",
            "pod_checkpointer_leader 1",
            "pod_checkpointer_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }
}
