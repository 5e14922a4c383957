//! What the agent has to say about each pod: the same value feeds `status`, `/status`, metrics and logs.

use serde::{Deserialize, Serialize};

use super::key::{Lineage, PodKey, Uid};

/// Where a pod stands in the lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Annotated, no checkpoint yet.
    Watching,
    /// A checkpoint is kept aside.
    Standby,
    /// The checkpoint is in the kubelet's directory.
    Active,
    /// The twin makes room for the parent.
    Yielding,
    /// The parent is gone; the checkpoint goes after the grace period.
    Retiring,
}

/// Said of a retired copy that nothing would bring back.
pub const NOT_BROUGHT_BACK: &str = "retired: its parent is gone, and it is not brought back";

/// Kept for the next boot or not, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodReport {
    /// Namespace of the parent.
    pub namespace: String,
    /// Name of the parent.
    pub name: String,
    /// UID of the parent, where known.
    pub uid: Option<Uid>,
    /// The lineage that it belongs to, where it has one.
    pub lineage: Option<Lineage>,
    /// What its copy is at the moment.
    pub phase: Phase,
    /// It would come back after a power cut with no API server, as far as this node can know.
    pub restorable: bool,
    /// Why it is not restorable, or what a twin will lack, each with what to do.
    pub reasons: Vec<String>,
    /// What the last pass decided and on what evidence, one line; changes are logged.
    pub decision: String,
    /// Images of the pod on this node: `None` where the runtime did not say.
    pub image_present: Option<bool>,
    /// Modification time of its oldest asset, seconds since the epoch.
    pub assets_at: Option<i64>,
}

/// Everything the agent knows that a person would ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Report {
    /// Annotated pods and checkpoints, by namespace and name.
    pub pods: Vec<PodReport>,
    /// Facts about the node worth a line: another cluster behind the address, unreadable files.
    pub notes: Vec<String>,
}

impl PodReport {
    /// The parent's key; `None` only for a report read from a damaged file.
    pub fn key(&self) -> Option<PodKey> {
        PodKey::new(&self.namespace, &self.name).ok()
    }
}
