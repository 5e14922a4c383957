//! What is to be done, as values: complete steps that `apply` carries out without choosing anything.

use std::collections::BTreeSet;

use super::key::{Lineage, PodKey, SandboxId, Uid};
use super::lifecycle::awareness::Kubelet;
use super::report::Report;
use crate::moment::BootInstant;
use crate::pod::runtime::KubeletCluster;

/// An effect that is complete in itself: whoever carries it out chooses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Take the inactive manifests into the kubelet's directory: a link each, then one fsync of the directory.
    Activate(Vec<PodKey>),
    /// Take the active manifests away, then one fsync of the directory.
    Deactivate(Vec<PodKey>),
    /// Stop and remove these sandboxes of one pod through CRI.
    RemoveSandboxes {
        /// The pod they belong to.
        pod: PodKey,
        /// The runtime's ids of them.
        sandboxes: Vec<SandboxId>,
    },
    /// Fetch what the parent needs, sanitise it, save it as the newest copy.
    Capture(PodKey),
    /// Fetch the assets of saved parents again and write what changed.
    Refresh(BTreeSet<PodKey>),
    /// Write the retirement into the inactive manifest.
    Retire(PodKey),
    /// Take the retirement out of it.
    Reinstate(PodKey),
    /// Remove active and inactive manifest; the assets stay until [`Step::RemoveAssets`].
    RemoveManifests(PodKey),
    /// Remove what no manifest names any more: assets of a parent whose twin no longer runs.
    RemoveAssets(PodKey),
    /// Remove the original program's files of a parent that we keep now.
    RemoveLegacy(PodKey),
    /// Keep the identity of the cluster that these checkpoints are from.
    RecordCluster(Uid),
    /// Keep which cluster the kubelet belongs to, now that the API answers.
    RecordKubelet(KubeletCluster),
    /// Leave a mark on disk that the API answered now: a checkpoint with a `max-offline` wants it known after a reboot.
    RecordApiRead,
    /// Note in a retired copy that its lineage has a successor on this node.
    NoteSuccessor(PodKey),
    /// Remove the agent's own manifests, assets and the cluster's identity: the last thing it does on a node.
    RemoveOwn(BTreeSet<PodKey>),
    /// Give the lock to the instance that waits for it.
    StepDown,
}

/// What to do now, what to remember, what to say, when to look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What to do, in this order.
    pub steps: Vec<Step>,
    /// For the next pass.
    pub memory: super::memory::Memory,
    /// What the kubelet was judged to be.
    pub kubelet: Kubelet,
    /// For people.
    pub report: Report,
    /// A timer runs out then, even if nothing else happens.
    pub wake_at: Option<BootInstant>,
    /// A decision hangs on a fresh answer of the API: ask once, then decide again. No steps that depend on it are in
    /// [`Decision::steps`].
    pub ask_api: bool,
    /// The same of the container runtime: its last list is too old to act on.
    pub ask_runtime: bool,
    /// Removal hangs on what the agent's own DaemonSet says: ask once, then decide again.
    pub ask_scheduling: Option<Lineage>,
}
