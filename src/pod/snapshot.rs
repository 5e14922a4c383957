//! Everything the deciding code may look at, as plain values. Who fills it: `observe`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::key::{Lineage, PodKey, Uid};
use super::parent::Parent;
use crate::moment::{BootInstant, Observation};
use crate::pod::runtime::{KubeletIdentity, NodePods};

/// What the API server last said, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// What the API server said.
    pub answer: Answer,
    /// When that was. A watch that went quiet does not move it.
    pub at: BootInstant,
    /// Wall-clock time since the last good read, where it is known.
    pub silent_for: Option<Duration>,
}

/// The kinds of answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A complete list of this node's pods in the watched namespaces, kept current by a watch.
    Listed(BTreeMap<PodKey, Parent>),
    /// 401, 403, or another cluster behind the address: delays as if it answered, nothing retired.
    Refused(String),
    /// Connecting failed, TLS, timeout, 429, 5xx or nonsense, everywhere.
    Unavailable(String),
}

/// A checkpoint as it stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent observations, not a state machine
pub struct OnDisk {
    /// UID of the parent it was made from.
    pub uid: Uid,
    /// Lineage of that parent.
    pub lineage: Lineage,
    /// [`Parent::digest`] of what it was made from.
    pub digest: String,
    /// Seconds since the epoch when the parent was seen Ready and captured; orders copies of a lineage.
    pub captured_at: i64,
    /// A manifest is in the inactive directory.
    pub inactive: bool,
    /// A manifest is in the kubelet's directory.
    pub active: bool,
    /// Seconds since the epoch when it was retired, if it was.
    pub retired: Option<i64>,
    /// Main containers' names.
    pub containers: Vec<String>,
    /// Images of all its containers.
    pub images: Vec<String>,
    /// Uses a hostPort without hostNetwork.
    pub host_port: bool,
    /// The parent's `max-offline`.
    pub max_offline: Option<Duration>,
    /// Why this copy cannot start as it is (assets missing), if it cannot.
    pub incomplete: Option<String>,
    /// A retired copy whose lineage had a successor on this node.
    pub successor_seen: bool,
    /// The manifest in the kubelet's directory is ours but not the one kept aside.
    pub active_differs: bool,
    /// What the running twin will lack, though it starts.
    pub degraded: Vec<String>,
    /// Modification time of the oldest asset, seconds since the epoch, where there are assets.
    pub assets_at: Option<i64>,
}

/// What the directories hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Our checkpoints by parent.
    pub checkpoints: BTreeMap<PodKey, OnDisk>,
    /// Parents that an operator holds.
    pub held: BTreeSet<PodKey>,
    /// Parents of which there are assets that no manifest names.
    pub orphans: BTreeSet<PodKey>,
    /// Files that look like ours and cannot be used, with the reason; they are kept.
    pub unreadable: BTreeMap<String, String>,
    /// The cluster's identity (UID of namespace kube-system), once known.
    pub cluster: Option<Uid>,
    /// Checkpoints of the original program (`<ns>-<name>.json`), by parent.
    pub legacy: BTreeMap<PodKey, LegacyFiles>,
}

/// Where the original program's manifest of a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LegacyFiles {
    /// In the kubelet's directory: it runs.
    pub active: bool,
    /// In the inactive directory.
    pub inactive: bool,
}

/// Which namespaces' parents the agent keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `--all-namespaces`
    All,
    /// `--namespace`
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether a complete list may speak about pods of this namespace.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }
}

/// Whether the agent's own DaemonSet wants it on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheduling {
    /// It exists and its selector and affinity admit this node.
    Wanted,
    /// It exists and excludes this node, and how.
    Excluded(String),
    /// 404.
    Deleted,
    /// The right to ask is missing.
    NotAllowed(String),
}

/// The agent itself among the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnInstance {
    /// Parent key of this instance: `POD_NAMESPACE`/`POD_NAME` (a twin's is its parent's).
    pub key: PodKey,
    /// The agent runs as the twin.
    pub is_twin: bool,
}

/// One look at the world.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The name by which the API server knows this node.
    pub node_name: String,
    /// The agent itself, where it runs in a pod.
    pub own: Option<OwnInstance>,
    /// Which namespaces [`Answer::Listed`] is complete for.
    pub scope: Scope,
    /// The API server's last answer.
    pub api: Api,
    /// The identity of the cluster that answers, where it is known.
    pub cluster: Option<Uid>,
    /// The agent's own DaemonSet, asked only when [`super::plan::Decision::ask_scheduling`] said so.
    pub scheduling: Option<Observation<Scheduling>>,
    /// The pods that the container runtime has.
    pub runtime: Observation<NodePods>,
    /// The kubelet process, where its socket can be seen.
    pub kubelet: Option<KubeletIdentity>,
    /// What lies in our directories.
    pub disk: Observation<Inventory>,
    /// Why a parent's last capture failed, by parent; with the UID and digest it was tried for.
    pub captures: BTreeMap<PodKey, CaptureFailure>,
}

/// The outcome of a capture that left no (new) checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureFailure {
    /// UID of the parent that was to be saved.
    pub uid: Uid,
    /// Digest of what was to be saved of it.
    pub digest: String,
    /// Why, one line each, with the remedy.
    pub reasons: Vec<String>,
    /// The copy on disk would start all the same: only news for it could not be had.
    pub copy_is_good: bool,
    /// Try again not before this; `None`: not until the parent changes.
    pub retry_at: Option<BootInstant>,
}
