//! The document behind `status -o json`, the leader's `/status` and `/run/pod-checkpointer/report.json`: what the agent
//! reports about each pod, and how each of its sources stands. Values only; `cli::status` fills it with the agent away.

use serde::{Deserialize, Serialize};

use super::report::{PodReport, Report};

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
    /// What the kubelet knows: `aware` (it has seen the API server since it started), `blind`, or `unknown: …`.
    pub kubelet: String,
    /// Annotated pods and checkpoints, by namespace and name.
    pub pods: Vec<PodReport>,
    /// Facts about the node worth a line.
    pub notes: Vec<String>,
    /// Seconds since the epoch when this was true; 0 where unknown.
    pub at: i64,
}

impl StatusDoc {
    /// The agent's own view: its report, and how its sources stand.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        Self { pods: report.pods.clone(), notes: report.notes.clone(), ..Self::default() }
    }

    /// No pod would stay away after a power cut.
    pub fn all_restorable(&self) -> bool {
        self.pods.iter().all(|pod| pod.restorable)
    }
}
