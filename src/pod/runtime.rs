//! What the node itself shows without the API server: the pods of its container runtime, its images, its kubelet's process.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{ContainerId, PodKey, SandboxId, Uid};

/// Everything one list of the runtime showed: every sandbox, ready or not, with its containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodePods {
    /// One entry a sandbox (a pod that was restarted has several).
    pub sandboxes: Vec<Sandbox>,
}

/// Where the kubelet got a pod from: annotation `kubernetes.io/config.source` that it puts on every sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSource {
    /// `api`
    Api,
    /// `file` or `http`: a static pod.
    Static,
}

/// A pod sandbox and its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: SandboxId,
    /// Namespace and name of the pod as the kubelet knows it (a twin's ends in `-<node>`).
    pub pod: PodKey,
    /// Label `io.kubernetes.pod.uid`.
    pub uid: Uid,
    /// Where the kubelet got the pod from.
    pub source: PodSource,
    /// Has the parent's annotation `checkpointer.alpha.coreos.com/checkpoint: "true"`.
    pub annotated: bool,
    /// Value of `checkpointer.alpha.coreos.com/checkpoint-of`, where there is one.
    pub checkpoint_of: Option<String>,
    /// `SANDBOX_READY`.
    pub ready: bool,
    /// Nanoseconds since the epoch, by the runtime's clock; only for ordering sandboxes of one pod.
    pub created_at: i64,
    /// In no particular order.
    pub containers: Vec<Container>,
}

/// A container of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id.
    pub id: ContainerId,
    /// Its name in the pod.
    pub name: String,
    /// What the runtime says it is doing.
    pub state: ContainerState,
    /// Annotation `io.kubernetes.container.restartCount`.
    pub restarts: u32,
    /// Nanoseconds since the epoch, by the runtime's clock; only for ordering containers of one name.
    pub created_at: i64,
}

/// CRI container states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, not started.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

/// Inode and change time (nanoseconds since the epoch) of the kubelet's `pod-resources/kubelet.sock`, which every
/// kubelet process makes anew: two equal identities are one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KubeletIdentity {
    /// Inode number.
    pub inode: u64,
    /// `st_ctime` in nanoseconds.
    pub ctime: i64,
}

/// The cluster that the kubelet belongs to, by its kubeconfig: a node that is joined to another one has other values.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KubeletCluster {
    /// The `server:` of its current context.
    pub server: String,
    /// SHA-256 of the public keys of the CAs that it believes, in hex: a renewed certificate of one CA keeps its key.
    pub authorities: BTreeSet<String>,
}

impl KubeletCluster {
    /// The same server, and at least one CA in common where both name any.
    pub fn is_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.authorities, &other.authorities);
        self.server == other.server && (ours.is_empty() || theirs.is_empty() || !ours.is_disjoint(theirs))
    }
}

/// Whether an image can be started without a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagePresence {
    /// The runtime has it.
    Present,
    /// The runtime has it, but the kubelet's records say it was pulled with a pull secret that a static pod cannot
    /// name, so today's kubelet would pull it again (KEP-2535).
    PulledWithSecret,
    /// The runtime says it does not have it.
    Absent,
    /// The runtime did not answer.
    Unknown(String),
}

/// Image references as written in pod specs, and whether each is on the node.
pub type Images = BTreeMap<String, ImagePresence>;

/// Names in a set, for readers that want "all the images of this pod".
pub type ImageRefs = BTreeSet<String>;
