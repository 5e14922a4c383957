//! Whether this kubelet process has seen the API server since it started. A *blind* one neither starts API-sourced
//! pods nor stops anything; it is told apart by its socket's identity and by what it starts, never by a clock.

use std::collections::BTreeSet;

use crate::moment::Observation;
use crate::pod::key::{ContainerId, SandboxId};
use crate::pod::memory::KubeletMemory;
use crate::pod::runtime::{ContainerState, KubeletIdentity, NodePods, PodSource};

/// What the kubelet can be expected to do without help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kubelet {
    /// It knows its API-sourced pods and restarts, starts and stops them.
    Aware,
    /// It runs static pods and nothing else.
    Blind,
}

/// Judges the kubelet and remembers what the next judgement needs. `good_read`: the API answered since the last pass;
/// `somebody_answers`: an API server does, if only to refuse us.
pub fn judge(
    memory: &KubeletMemory,
    identity: Option<KubeletIdentity>,
    runtime: &Observation<NodePods>,
    good_read: bool,
    somebody_answers: bool,
) -> (Kubelet, KubeletMemory) {
    let mut next = memory.clone();
    let seen = runtime.seen().map(api_sourced);
    if good_read {
        next.identity = identity;
        next.proven = None;
    }
    let fresh_start = match (&memory.known, &seen) {
        (Some(known), Some(seen)) => !seen.all.is_subset(known),
        // Nothing remembered means a reboot: whatever runs now was started in this boot, by a kubelet that knew it.
        (None, Some(seen)) => !seen.running.is_empty(),
        (_, None) => false,
    };
    // Only an aware kubelet ends pods of the API; what this agent ends it has taken out beforehand.
    // Where nobody answers, it can have heard of nothing: then a sandbox has died by itself.
    let ended = somebody_answers && seen.as_ref().is_some_and(|seen| !memory.ready.is_subset(&seen.ready));
    if (fresh_start || ended) && identity.is_some() && next.identity != identity {
        next.proven = identity;
    }
    if let Some(seen) = seen {
        (next.known, next.ready) = (Some(seen.all), seen.ready);
    }
    let same = |other: Option<KubeletIdentity>| identity.is_some() && other == identity;
    let kubelet = if same(next.identity) || same(next.proven) { Kubelet::Aware } else { Kubelet::Blind };
    (kubelet, next)
}

struct ApiSourced {
    all: BTreeSet<ContainerId>,
    running: BTreeSet<ContainerId>,
    ready: BTreeSet<SandboxId>,
}

fn api_sourced(node: &NodePods) -> ApiSourced {
    let sandboxes = || node.sandboxes.iter().filter(|s| s.source == PodSource::Api);
    let containers = || sandboxes().flat_map(|s| &s.containers);
    ApiSourced {
        ready: sandboxes().filter(|s| s.ready).map(|s| s.id.clone()).collect(),
        all: containers().map(|c| c.id.clone()).collect(),
        running: containers().filter(|c| c.state == ContainerState::Running).map(|c| c.id.clone()).collect(),
    }
}
