//! Which twins make room, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::Pass;
use super::presence::{OnNode, main_containers, ready_sandbox};
use crate::backoff;
use crate::moment::BootInstant;
use crate::pod::key::{Lineage, PodKey, Uid};
use crate::pod::memory::PodMemory;
use crate::pod::snapshot::OnDisk;
use crate::pod::timings::Timings;

/// A pod that wants a twin's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Namespace and name of the pod that makes room.
    pub pod: PodKey,
    /// UID that it must have, or it is another pod of that name.
    pub uid: Uid,
}

/// Twins by their parent's key, and who displaces each: its own parent with a new main container or up; then members
/// of the lineage that have no copy of their own, one twin each, the oldest twin first.
pub fn displaced(pass: &Pass) -> BTreeMap<PodKey, Claimant> {
    let mut displaced: BTreeMap<PodKey, Claimant> = active(pass)
        .filter_map(|(key, _)| claims(pass, key, key).map(|uid| (key.clone(), Claimant { pod: key.clone(), uid })))
        .collect();
    for (newcomer, lineage) in newcomers(pass) {
        let oldest = active(pass)
            .filter(|(key, _)| !displaced.contains_key(*key) && pass.disk.checkpoints[*key].lineage == *lineage)
            .min_by_key(|(key, copy)| copy.order(key));
        if let Some((key, _)) = oldest
            && let Some(uid) = claims(pass, key, newcomer)
        {
            displaced.insert(key.clone(), Claimant { pod: newcomer.clone(), uid });
        }
    }
    displaced
}

fn active<'p>(pass: &'p Pass) -> impl Iterator<Item = (&'p PodKey, &'p OnDisk)> {
    pass.disk.checkpoints.iter().filter(|(_, c)| c.active)
}

/// Members of a lineage with an active twin here, without a copy of their own.
fn newcomers<'p>(pass: &'p Pass) -> impl Iterator<Item = (&'p PodKey, &'p Lineage)> {
    let lineages: BTreeSet<&Lineage> = active(pass).map(|(k, _)| &pass.disk.checkpoints[k].lineage).collect();
    let has_copy = |key: &PodKey| pass.disk.checkpoints.contains_key(key);
    pass.memory.members.iter().filter(move |(key, lineage)| lineages.contains(lineage) && !has_copy(key))
}

/// The UID of `pod` if it may displace the twin of `twin_of` now.
fn claims(pass: &Pass, twin_of: &PodKey, pod: &PodKey) -> Option<Uid> {
    let sandboxes = pass.sandboxes(pod);
    let sandbox = ready_sandbox(&sandboxes)?;
    let memory = pass.memory.pods.get(twin_of);
    // Before the first pass over an activation nothing is known to be new.
    let activation = memory.and_then(|m| m.activation.as_ref())?;
    let names = if twin_of == pod { pass.main_names(pod) } else { pass.main_names(twin_of) };
    let new = main_containers(sandbox, &names).iter().any(|c| !activation.containers.contains(&c.id));
    let may = memory.is_none_or(|m| may_try(m, &sandbox.uid, activation.at, pass));
    ((new || pass.on_node(pod) == OnNode::Up) && may).then(|| sandbox.uid.clone())
}

/// A parent that failed n times may try again after 1, 2, 4, 4 … times `retry_yield` of the twin being active.
pub(super) fn before_try(failures: u32, timings: &Timings) -> Duration {
    backoff::after(failures, timings.retry_yield, timings.retry_yield * 4)
}

fn may_try(memory: &PodMemory, uid: &Uid, active_since: BootInstant, pass: &Pass) -> bool {
    memory.tried.get(uid).is_none_or(|failures| pass.now.since(active_since) >= before_try(*failures, pass.timings))
}
