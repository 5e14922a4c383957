//! The document behind `status -o json`, the leader's `/status` and `/run/pod-checkpointer/report.json`: what the agent
//! reports about each pod, and how each of its sources stands. Values only; `cli::status` fills it with the agent away.

use serde::{Deserialize, Serialize};

use super::key::PodKey;
use super::report::{PodReport, Report};
use crate::pod::runtime::{ContainerState, NodePods, PodSource, Sandbox};

/// One node's status. Every field may be missing when read, so that a bare [`Report`] can be read too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct StatusDoc {
    /// Name of the node.
    pub node: String,
    /// An agent leads on this node; `null` where that cannot be seen.
    pub leader: Option<bool>,
    /// How the API server stands: `ok`, or `unavailable: …`, `refused: …`, `unknown: …` with the reason.
    pub api: String,
    /// How the container runtime stands: `ok` or `unavailable: …`.
    pub runtime: String,
    /// How our directories stand: `ok` or `unavailable: …`.
    pub disk: String,
    /// What the kubelet knows: `aware` (it has seen the API server since it started), `blind`, or `unknown: …`.
    pub kubelet: String,
    /// Annotated pods and checkpoints, by namespace and name.
    pub pods: Vec<PodStatus>,
    /// Facts about the node worth a line.
    pub notes: Vec<String>,
    /// What pods brought back without an API server will lack on this node.
    pub offline: Vec<String>,
    /// Seconds since the epoch when this was true; 0 where unknown.
    pub at: i64,
}

/// What `status` says of one pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodStatus {
    /// What the agent decided about it, and why.
    #[serde(flatten)]
    pub report: PodReport,
    /// What of it runs; `null` where the runtime does not say.
    #[serde(default)]
    pub running: Option<Running>,
}

/// What of a pod runs on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Running {
    /// The pod itself.
    Parent,
    /// Its checkpoint, as a static pod.
    Twin,
    /// Both at once: one makes room for the other.
    Both,
    /// Neither the pod nor its checkpoint runs.
    Nothing,
}

impl StatusDoc {
    /// The agent's own view of the pods; how its sources stand is for the caller to fill in.
    #[must_use]
    pub fn of(report: &Report, node: Option<&NodePods>) -> Self {
        let of_pod = |pod: &PodReport| {
            let running = node.and_then(|node| Some(running(node, &pod.key()?)));
            PodStatus { report: pod.clone(), running }
        };
        Self { pods: report.pods.iter().map(of_pod).collect(), notes: report.notes.clone(), ..Self::default() }
    }

    /// Every pod would come back after a power cut.
    pub fn all_restorable(&self) -> bool {
        self.pods.iter().all(|pod| pod.report.restorable)
    }
}

/// What of the parent `key` runs, by its containers; a sandbox alone does not count.
pub fn running(node: &NodePods, key: &PodKey) -> Running {
    let runs = |s: &&Sandbox| s.ready && s.containers.iter().any(|c| c.state == ContainerState::Running);
    let is_twin = |s: &Sandbox| {
        s.source == PodSource::Static
            && s.pod.namespace() == key.namespace()
            && s.checkpoint_of.as_deref() == Some(key.name())
    };
    let parent = node.sandboxes.iter().filter(runs).any(|s| s.source == PodSource::Api && s.pod == *key);
    let twin = node.sandboxes.iter().filter(runs).any(is_twin);
    match (parent, twin) {
        (true, true) => Running::Both,
        (true, false) => Running::Parent,
        (false, true) => Running::Twin,
        (false, false) => Running::Nothing,
    }
}
