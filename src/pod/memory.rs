//! What the deciding code remembers between passes. Kept in `/run`: losing it only lengthens delays.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::key::{ContainerId, Lineage, PodKey, SandboxId, Uid};
use crate::moment::BootInstant;
use crate::pod::runtime::KubeletIdentity;

/// Timers, Yield state, and what was known at the last good read of the API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// By parent.
    pub pods: BTreeMap<PodKey, PodMemory>,
    /// Since when each container was seen running.
    pub running_since: BTreeMap<ContainerId, BootInstant>,
    /// What tells an aware kubelet from a blind one.
    pub kubelet: KubeletMemory,
    /// The last time the API answered properly.
    pub last_api_read: Option<BootInstant>,
    /// The last of them that was marked on disk, for checkpoints with a `max-offline`.
    pub marked_api_read: Option<BootInstant>,
    /// Lineages of the parents that the API named on this node, for when it does not answer.
    pub members: BTreeMap<PodKey, Lineage>,
    /// When the assets of this node's checkpoints were last fetched.
    pub refreshed_at: Option<BootInstant>,
    /// The agent's own affairs.
    pub own: OwnMemory,
}

/// The kubelet process at the last good API read, and the API-sourced containers known since then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KubeletMemory {
    /// Its identity at that read.
    pub identity: Option<KubeletIdentity>,
    /// Containers of API-sourced pods seen so far by this agent; `None` before the first look.
    pub known: Option<BTreeSet<ContainerId>>,
    /// Identity of a later kubelet process that proved aware by starting or ending an API-sourced pod.
    pub proven: Option<KubeletIdentity>,
    /// Ready sandboxes of API-sourced pods at the last look, less those that this agent ends itself.
    #[serde(default)]
    pub ready: BTreeSet<SandboxId>,
}

/// What is remembered of one parent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodMemory {
    /// No ready sandbox since.
    pub down_since: Option<BootInstant>,
    /// Partly running since.
    pub degraded_since: Option<BootInstant>,
    /// A ready sandbox without a main container since.
    #[serde(default)]
    pub unstarted_since: Option<BootInstant>,
    /// Not up since, with the restart count at that time.
    pub crash: Option<CrashMemory>,
    /// The activation in force.
    pub activation: Option<Activation>,
    /// The yield in progress.
    pub yielding: Option<Yield>,
    /// Parents that were given room and did not come up, and how often.
    pub tried: BTreeMap<Uid, u32>,
    /// How long the API has answered since the parent was gone, milliseconds, and the last time it did.
    pub gone: Option<Gone>,
}

/// See [`PodMemory::crash`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashMemory {
    /// Since when the twin has not been up.
    pub since: BootInstant,
    /// Sum of restart counts when that began.
    pub restarts: u32,
}

/// What was so when the manifest went to the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// When the manifest went to the kubelet.
    pub at: BootInstant,
    /// The parent's containers of that time: one that is not among them is new.
    pub containers: BTreeSet<ContainerId>,
}

/// The twin makes room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yield {
    /// Since when it makes room.
    pub since: BootInstant,
    /// For which pod: its own parent, or a member of the lineage without a copy of its own.
    pub to: PodKey,
    /// That pod's UID.
    pub uid: Uid,
    /// When the twin was first seen dead.
    pub twin_dead_at: Option<BootInstant>,
    /// The parent's sandbox was removed once.
    pub sandbox_removed: bool,
}

/// A grace period, counted only while the API answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Milliseconds of the API answering so far.
    pub answered_ms: u64,
    /// End of the span counted last; `None` while the API does not answer.
    pub counted_to: Option<BootInstant>,
}

/// The agent's own affairs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnMemory {
    /// Its DaemonSet is not to be found, or excludes this node, since.
    pub unscheduled_since: Option<BootInstant>,
    /// No pod of its own in the API since.
    pub absent_since: Option<BootInstant>,
    /// The DaemonSet's instance is up beside this twin since.
    pub relief_since: Option<BootInstant>,
    /// When its own assets were last fetched.
    pub refreshed_at: Option<BootInstant>,
    /// Whether the kubelet reads static pods where checkpoints go.
    #[serde(default)]
    pub static_path: StaticPathMemory,
}

/// Whether the kubelet reads static pods where checkpoints go, by what it started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StaticPathMemory {
    /// The agent's own copy is active and no twin was seen, under this kubelet process, since.
    pub without_twin_since: Option<BootInstant>,
    /// The kubelet process at the last look, where its socket was seen.
    pub kubelet: Option<KubeletIdentity>,
    /// The last verdict; `None`: not proven either way.
    pub read: Option<bool>,
}
