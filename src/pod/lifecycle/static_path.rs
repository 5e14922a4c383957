//! Whether the kubelet reads static pods from the directory that checkpoints go to. Its configuration need not be visible;
//! what it does is: the agent's own copy is always active, so its twin is the probe.

use super::facts::Pass;
use super::presence::{is_alive, static_sandboxes};
use super::self_checkpoint::OwnPods;
use crate::pod::key::PodKey;
use crate::pod::memory::StaticPathMemory;

/// Judges and remembers. The last verdict stays until another one is proven: while the runtime does not answer, and while
/// the kubelet's process is younger than the time that a twin is given.
pub fn judge(pass: &mut Pass, own: &OwnPods) {
    let Some(node) = pass.snapshot.runtime.seen() else { return };
    let twin_lives = |key: &PodKey| is_alive(&static_sandboxes(node, &key.twin(&pass.snapshot.node_name)));
    let active = || pass.disk.checkpoints.iter().filter(|(_, copy)| copy.active).map(|(key, _)| key);
    let proven = active().any(twin_lives);
    let probed = active().any(|key| own.includes(key));
    let kubelet = pass.snapshot.kubelet;
    let last = pass.memory.own.static_path.clone();
    let without_twin_since = match last.without_twin_since {
        _ if proven || !probed => None,
        Some(since) if last.kubelet == kubelet => Some(since),
        _ => Some(pass.now),
    };
    let refuted = without_twin_since.is_some_and(|since| pass.now.since(since) >= pass.timings.twin_limit);
    let read = if proven || refuted { Some(proven) } else { last.read };
    pass.memory.own.static_path = StaticPathMemory { without_twin_since, kubelet, read };
}

/// Why no checkpoint on this node would start.
pub fn obstacle(pass: &Pass) -> Option<String> {
    (pass.memory.own.static_path.read == Some(false)).then(|| {
        format!(
            "the kubelet does not read static pods from {}: the agent's own checkpoint is there and was not started; see `doctor` \
             for the directory that it reads, or the kubelet's log for why it refuses the manifest",
            pass.snapshot.manifests_dir.display()
        )
    })
}

/// An agent outside a pod has no twin to tell by.
pub fn doubt(pass: &Pass) -> Option<String> {
    (pass.snapshot.own.is_none() && pass.memory.own.static_path.read.is_none()).then(|| {
        format!(
            "not proven: that the kubelet reads static pods from {}, for no checkpoint was seen running from there yet; see `doctor`",
            pass.snapshot.manifests_dir.display()
        )
    })
}
