//! Everything the deciding code may look at, as plain values. Who fills it: `observe`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::key::{Lineage, PodKey, Uid};
use super::parent::Parent;
use crate::moment::{BootInstant, Observation};
use crate::pod::runtime::{KubeletCluster, KubeletIdentity, NodePods};

/// What the API server last said, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// What the API server said.
    pub answer: Answer,
    /// Namespaces that it refused to list beside those in [`Answer::Listed`], and why: nothing is known of their pods, and
    /// that says nothing of the others.
    pub refused: BTreeMap<String, String>,
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
    /// 401 or 403 for everything: nothing is retired, and only a blind kubelet's pods are brought back.
    Refused(String),
    /// Another cluster than the one that the checkpoints are from: it says nothing of our pods.
    OtherCluster(String),
    /// Connecting failed, TLS, timeout, 429, 5xx or nonsense, everywhere.
    Unavailable(String),
}

impl Answer {
    /// The parents that it names; none where it does not say.
    pub fn parents(&self) -> Option<&BTreeMap<PodKey, Parent>> {
        match self {
            Self::Listed(parents) => Some(parents),
            Self::Refused(_) | Self::OtherCluster(_) | Self::Unavailable(_) => None,
        }
    }
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
    /// Grows with every checkpoint that the node saves, whatever its clock does: orders copies of a lineage.
    pub generation: u64,
    /// Seconds since the epoch when the parent was seen Ready and captured; orders copies of before there were generations.
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
    /// The cluster's identity, as it is kept on disk.
    pub cluster: ClusterMark,
    /// The cluster that the kubelet belonged to when the API server last answered, where it was kept.
    pub kubelet_cluster: Option<KubeletCluster>,
    /// Checkpoints of the original program (`<ns>-<name>.json`), by parent.
    pub legacy: BTreeMap<PodKey, LegacyFiles>,
}

impl OnDisk {
    /// Orders the copies of a lineage, the newest last.
    pub fn order<'a>(&self, key: &'a PodKey) -> (u64, i64, &'a PodKey) {
        (self.generation, self.captured_at, key)
    }

    /// Its owner makes another pod in its place, here: each node has one of a `DaemonSet`, and a pod of a `StatefulSet`
    /// comes back under its name; of others a successor was seen here.
    pub fn is_expected_back(&self) -> bool {
        matches!(self.lineage.kind.as_str(), "DaemonSet" | "StatefulSet") || self.successor_seen
    }
}

impl Inventory {
    /// The other copies of its lineage.
    pub fn siblings<'a>(
        &'a self,
        key: &PodKey,
        copy: &OnDisk,
    ) -> impl Iterator<Item = (&'a PodKey, &'a OnDisk)> + use<'a> {
        let (key, lineage) = (key.clone(), copy.lineage.clone());
        self.checkpoints.iter().filter(move |(k, c)| **k != key && c.lineage == lineage)
    }

    /// The lineage has another copy that is not retired, or a newer retired one.
    pub fn has_better_copy(&self, key: &PodKey, copy: &OnDisk) -> bool {
        self.siblings(key, copy).any(|(k, c)| c.retired.is_none() || c.order(k) > copy.order(key))
    }

    /// A retired copy that is not with the kubelet would be brought back all the same: the last of a lineage whose owner
    /// was to have another pod here.
    pub fn retired_comes_back(&self, key: &PodKey, copy: &OnDisk) -> bool {
        copy.is_expected_back() && !self.has_better_copy(key, copy)
    }
}

/// Which cluster the checkpoints are from: the UID of its namespace kube-system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClusterMark {
    /// Nothing was kept yet.
    #[default]
    Absent,
    /// The UID that the mark holds.
    Known(Uid),
    /// There is a mark that cannot be read, and why: clusters cannot be told apart, and nothing is written over it.
    Unreadable(String),
}

impl ClusterMark {
    /// The identity, where it is known.
    pub fn known(&self) -> Option<&Uid> {
        match self {
            Self::Known(uid) => Some(uid),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
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

    /// What it means that the agent's own namespace is none of these, with the remedy; `None` where it is.
    pub fn leaves_out(&self, namespace: &str) -> Option<String> {
        (!self.covers(namespace)).then(|| {
            format!(
                "the agent does not save itself, for its own namespace {namespace} is not among its --namespace: after a power cut \
                 without an API server nothing starts it, and it brings nobody back; add --namespace={namespace}"
            )
        })
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
    /// Where active checkpoints go: it must be the kubelet's `staticPodPath`.
    pub manifests_dir: PathBuf,
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
    /// The cluster that the kubelet belongs to, where its kubeconfig can be read.
    pub kubelet_cluster: Option<KubeletCluster>,
    /// What lies in our directories.
    pub disk: Observation<Inventory>,
    /// What works less well than it should and stops nothing (credentials that cannot be used, a directory that cannot
    /// be watched), one line each with the remedy.
    pub faults: Vec<String>,
    /// Parents that are being saved or refreshed, or wait for it.
    pub capturing: BTreeSet<PodKey>,
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
    /// How often in a row, this one counted.
    pub failures: u32,
    /// Try again not before this; `None`: not until the parent changes.
    pub retry_at: Option<BootInstant>,
}
