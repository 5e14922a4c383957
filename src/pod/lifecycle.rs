//! Decide: from what was seen and remembered to what is to be done. Pure: no async, no clock, no environment, no file,
//! no client in this folder; a test holds that.

pub mod awareness;
mod dead_sandboxes;
mod displace;
pub mod facts;
pub mod presence;
mod report;
mod self_checkpoint;
mod static_path;
pub mod table;
mod wake;

use std::collections::BTreeSet;

use facts::Pass;
use presence::OnNode;
use table::{Facts, PodView, RowAction, row};

use super::key::{Lineage, PodKey, Uid};
use super::memory::{Activation, Memory, Yield};
use super::parent::Standing;
use super::plan::{Decision, Step};
use super::report::{Phase, Report};
use super::snapshot::{ClusterMark, OnDisk, Snapshot};
use super::timings::Timings;
use crate::moment::{BootInstant, Observation};

/// One decision about everything. See design §5 and §6.
pub fn decide(snapshot: &Snapshot, memory: &Memory, timings: &Timings, now: BootInstant) -> Decision {
    let disk = match &snapshot.disk {
        Observation::Seen(disk, _) => disk,
        Observation::Unavailable(why) => {
            let report = Report { pods: vec![], notes: vec![format!("nothing is decided: {why}")] };
            let wake_at = Some(now + timings.capture_retry);
            return Decision {
                steps: vec![],
                memory: memory.clone(),
                kubelet: awareness::Kubelet::Blind,
                report,
                wake_at,
                ask_api: false,
                ask_runtime: false,
                ask_scheduling: None,
            };
        }
    };
    let mut pass = Pass::begin(snapshot, disk, memory, timings, now);
    let mut plan = StepPlan::default();
    let own = self_checkpoint::OwnPods::find(&pass);
    let leaving = own.decide(&mut pass, &mut plan);
    let displaced = displace::displaced(&pass);
    let keys: BTreeSet<PodKey> = disk.checkpoints.keys().chain(pass.parents.keys()).cloned().collect();
    let mut rows = Vec::new();
    for key in keys.into_iter().filter(|k| !own.includes(k)) {
        let (phase, node, view) = (pass.phase(&key), pass.on_node(&key), pass.view(&key));
        pass.remember(&key, phase, node, view);
        let claimant = displaced.get(&key);
        let facts = pass.facts(&key, phase, node, view, claimant.is_some());
        let matched = row(&facts, timings);
        rows.push((key.clone(), facts, matched.name));
        if leaving {
            self_checkpoint::remove_other(&facts, &key, &mut plan);
        } else if hangs_on_stale_api(&pass, &facts, matched.then) {
            plan.ask_api = true;
        } else if matched.then.hangs_on_runtime() && pass.runtime_is_stale() {
            plan.ask_runtime = true;
        } else {
            carry(&mut pass, &mut plan, &key, &facts, matched.then, claimant);
        }
    }
    if !leaving {
        plan.then.extend(dead_sandboxes::removals(&pass, &rows));
    }
    forget_the_absent(&mut pass);
    remove_orphans(&pass, &own, &mut plan);
    replace_legacy(&pass, &mut plan);
    if let (ClusterMark::Absent, Some(seen), false) = (&disk.cluster, &snapshot.cluster, leaving) {
        plan.last.push(Step::RecordCluster(seen.clone()));
    }
    mark_api_read(&mut pass, &mut plan);
    mark_kubelet(&pass, &mut plan, leaving);
    let refresh = plan.take_refresh(&mut pass);
    static_path::judge(&mut pass, &own);
    let report = report::report(&pass, &own, &rows);
    // A yield that ended changed nothing on disk that would wake anybody.
    let wake_at = if plan.look_again { Some(now) } else { wake::wake_at(&pass, &rows) };
    let steps = plan.in_order(refresh);
    expect_ends(&mut pass.memory, &steps);
    Decision {
        steps,
        kubelet: pass.kubelet,
        memory: pass.memory,
        report,
        wake_at,
        ask_api: plan.ask_api,
        ask_runtime: plan.ask_runtime,
        ask_scheduling: plan.ask_scheduling,
    }
}

/// A verdict that stands only on a fresh answer, or that would be another one if the API turned out to be away.
fn hangs_on_stale_api(pass: &Pass, facts: &Facts, verdict: RowAction) -> bool {
    if !pass.api_is_stale() {
        return false;
    }
    // What is none of ours is so whatever the API says.
    let view = if facts.view == PodView::OutOfScope { facts.view } else { PodView::Unavailable };
    let offline = Facts { view, ..*facts };
    verdict.hangs_on_api() || row(&offline, pass.timings).then.hangs_on_api()
}

/// What is to be done, sorted by kind, so that one pass gives one batch of each.
#[derive(Default)]
struct StepPlan {
    first: Vec<Step>,
    deactivate: Vec<PodKey>,
    activate: Vec<PodKey>,
    then: Vec<Step>,
    refresh: BTreeSet<PodKey>,
    refresh_own: BTreeSet<PodKey>,
    last: Vec<Step>,
    ask_api: bool,
    ask_runtime: bool,
    ask_scheduling: Option<Lineage>,
    look_again: bool,
}

impl StepPlan {
    /// Making room and starting come first: people wait for those. Talking to the API comes last.
    fn in_order(&mut self, refresh: BTreeSet<PodKey>) -> Vec<Step> {
        let mut steps = std::mem::take(&mut self.first);
        if !self.deactivate.is_empty() {
            steps.push(Step::Deactivate(std::mem::take(&mut self.deactivate)));
        }
        if !self.activate.is_empty() {
            steps.push(Step::Activate(std::mem::take(&mut self.activate)));
        }
        steps.append(&mut self.then);
        if !refresh.is_empty() {
            steps.push(Step::Refresh(refresh));
        }
        steps.append(&mut self.last);
        steps
    }

    /// One round of refreshing for the whole node, so that each object is asked for once.
    fn take_refresh(&mut self, pass: &mut Pass) -> BTreeSet<PodKey> {
        let mut round = BTreeSet::new();
        if !self.refresh.is_empty() && wake::refresh_is_due(pass) {
            pass.memory.refreshed_at = Some(pass.now);
            round.append(&mut self.refresh);
        }
        if !self.refresh_own.is_empty() && wake::own_refresh_is_due(pass) {
            pass.memory.own.refreshed_at = Some(pass.now);
            round.append(&mut self.refresh_own);
        }
        round
    }
}

fn carry(
    pass: &mut Pass,
    plan: &mut StepPlan,
    key: &PodKey,
    facts: &Facts,
    verdict: RowAction,
    claimant: Option<&displace::Claimant>,
) {
    match verdict {
        RowAction::Stay if facts.phase == Phase::Active => refresh_active(pass, plan, key, facts),
        RowAction::Stay | RowAction::Report => {}
        RowAction::Upkeep => upkeep(pass, plan, key, facts),
        // A member of the lineage that was good retires for this one: it must be more than Ready for a second.
        RowAction::Capture if facts.node == OnNode::Starting && has_good_sibling(pass, key) => {}
        RowAction::Capture => capture(pass, plan, key),
        RowAction::Activate => activate(pass, plan, key),
        RowAction::StopParentAndActivate => {
            let sandboxes = pass.sandboxes(key).iter().map(|s| s.id.clone()).collect();
            plan.first.push(Step::RemoveSandboxes { pod: key.clone(), sandboxes });
            activate(pass, plan, key);
        }
        RowAction::ActivateOverTried => {
            activate(pass, plan, key);
            if let Some(uid) = presence::ready_sandbox(&pass.sandboxes(key)).map(|s| s.uid.clone()) {
                tried(pass, key, uid);
            }
        }
        RowAction::StandDown => {
            plan.deactivate.push(key.clone());
            pass.memory.pods.entry(key.clone()).or_default().activation = None;
        }
        RowAction::Yield => {
            plan.deactivate.push(key.clone());
            if let Some(claimant) = claimant {
                let memory = pass.memory.pods.entry(key.clone()).or_default();
                memory.activation = None;
                memory.yielding = Some(Yield {
                    since: pass.now,
                    to: claimant.pod.clone(),
                    uid: claimant.uid.clone(),
                    twin_dead_at: None,
                    sandbox_removed: false,
                });
            }
        }
        RowAction::EndYield => {
            end_yield(pass, key);
            plan.look_again = true;
        }
        RowAction::RemoveParentSandbox => remove_parent_sandbox(pass, plan, key),
        RowAction::ReturnToActive => {
            let uid = pass.memory.pods.get(key).and_then(|m| m.yielding.as_ref()).map(|y| y.uid.clone());
            activate(pass, plan, key);
            if let Some(uid) = uid {
                tried(pass, key, uid);
            }
        }
        RowAction::Retire => {
            pass.memory.pods.entry(key.clone()).or_default().yielding = None;
            plan.then.push(Step::Retire(key.clone()));
        }
        RowAction::Reinstate => plan.then.push(Step::Reinstate(key.clone())),
        RowAction::KeepAside => {
            if facts.active {
                plan.deactivate.push(key.clone());
            }
        }
        RowAction::Remove => {
            pass.memory.pods.remove(key);
            plan.then.push(Step::RemoveManifests(key.clone()));
        }
    }
    if facts.phase == Phase::Retiring && verdict != RowAction::Remove {
        note_successor(pass, plan, key);
    }
}

fn activate(pass: &mut Pass, plan: &mut StepPlan, key: &PodKey) {
    let containers = pass.containers(key);
    let memory = pass.memory.pods.entry(key.clone()).or_default();
    memory.yielding = None;
    memory.activation = Some(Activation { at: pass.now, containers });
    plan.activate.push(key.clone());
}

fn tried(pass: &mut Pass, key: &PodKey, uid: Uid) {
    let times = pass.memory.pods.entry(key.clone()).or_default().tried.entry(uid).or_default();
    *times = times.saturating_add(1);
}

fn end_yield(pass: &mut Pass, key: &PodKey) {
    let memory = pass.memory.pods.entry(key.clone()).or_default();
    if let Some(yielding) = memory.yielding.take() {
        memory.tried.remove(&yielding.uid);
    }
}

fn remove_parent_sandbox(pass: &mut Pass, plan: &mut StepPlan, key: &PodKey) {
    let Some(to) = pass.memory.pods.get(key).and_then(|m| m.yielding.as_ref()).map(|y| y.to.clone()) else { return };
    let sandboxes = pass.sandboxes(&to).iter().map(|s| s.id.clone()).collect();
    plan.then.push(Step::RemoveSandboxes { pod: to, sandboxes });
    if let Some(yielding) = pass.memory.pods.get_mut(key).and_then(|m| m.yielding.as_mut()) {
        yielding.sandbox_removed = true;
    }
}

/// A saved parent that runs: save it again when it changed, fetch its assets again in the node's next round.
fn upkeep(pass: &Pass, plan: &mut StepPlan, key: &PodKey, facts: &Facts) {
    let (PodView::Here { ready: true }, OnNode::Up | OnNode::Starting) = (facts.view, facts.node) else { return };
    let (Some(parent), Some(copy)) = (pass.parents.get(key), pass.disk.checkpoints.get(key)) else { return };
    let same = parent.digest == copy.digest && parent.uid == copy.uid;
    if !same && facts.node == OnNode::Starting && copy.incomplete.is_none() {
        // Ready for a second proves less than the last good copy does.
        return;
    }
    if !same || copy.incomplete.is_some() {
        capture(pass, plan, key);
    } else if !pass.snapshot.capturing.contains(key) {
        plan.refresh.insert(key.clone());
    }
}

/// The API answers and the twin runs all the same: what it reads is kept as fresh as its parent's would be.
fn refresh_active(pass: &Pass, plan: &mut StepPlan, key: &PodKey, facts: &Facts) {
    let (PodView::Here { .. }, Some(parent)) = (facts.view, pass.parents.get(key)) else { return };
    let same = pass.disk.checkpoints.get(key).is_some_and(|c| c.uid == parent.uid && c.digest == parent.digest);
    if same && !pass.snapshot.capturing.contains(key) {
        plan.refresh.insert(key.clone());
    }
}

/// Another member of the parent's lineage has a copy that can start.
fn has_good_sibling(pass: &Pass, key: &PodKey) -> bool {
    let lineage = pass.parents.get(key).map(|parent| &parent.lineage);
    let good = |(k, c): (&PodKey, &OnDisk)| k != key && Some(&c.lineage) == lineage && c.incomplete.is_none();
    pass.disk.checkpoints.iter().any(good)
}

/// Saves a parent, unless the same content failed and its time has not come yet.
fn capture(pass: &Pass, plan: &mut StepPlan, key: &PodKey) {
    let Some(parent) = pass.parents.get(key).filter(|_| !pass.snapshot.capturing.contains(key)) else { return };
    let blocked = pass.snapshot.captures.get(key).is_some_and(|failure| {
        failure.uid == parent.uid
            && failure.digest == parent.digest
            && failure.retry_at.is_none_or(|retry_at| pass.now < retry_at)
    });
    if !blocked {
        plan.last.push(Step::Capture(key.clone()));
    }
}

/// A retired copy remembers that it was replaced: after a reboot nothing else would tell.
fn note_successor(pass: &Pass, plan: &mut StepPlan, key: &PodKey) {
    let Some(copy) = pass.disk.checkpoints.get(key) else { return };
    let here = |standing: &Standing| matches!(standing, Standing::Here { .. });
    let replaced = pass.parents.values().any(|p| p.lineage == copy.lineage && p.key != *key && here(&p.standing));
    if replaced && !copy.successor_seen {
        plan.then.push(Step::NoteSuccessor(key.clone()));
    }
}

/// Memory of pods that are neither on disk nor in the API ends; without an answer nothing ends.
fn forget_the_absent(pass: &mut Pass) {
    if let super::snapshot::Answer::Listed(parents) = &pass.snapshot.api.answer {
        let disk = pass.disk;
        pass.memory.pods.retain(|key, _| disk.checkpoints.contains_key(key) || parents.contains_key(key));
    }
}

/// A `max-offline` counts from the last good read, also after a reboot: so it is marked on disk, but only as often as
/// the shortest limit needs, and not at all where no pod has one.
fn mark_api_read(pass: &mut Pass, plan: &mut StepPlan) {
    let Some(every) = wake::mark_interval(pass) else { return };
    let due = pass.memory.marked_api_read.is_none_or(|marked| pass.now >= marked + every);
    let read_since = pass.memory.last_api_read > pass.memory.marked_api_read;
    if due && read_since && matches!(pass.snapshot.api.answer, super::snapshot::Answer::Listed(_)) {
        pass.memory.marked_api_read = pass.memory.last_api_read;
        plan.last.push(Step::RecordApiRead);
    }
}

/// Which cluster the kubelet belongs to is kept while the API server answers: only that proves it is ours.
fn mark_kubelet(pass: &Pass, plan: &mut StepPlan, leaving: bool) {
    if let (false, super::snapshot::Answer::Listed(_), Some(seen)) =
        (leaving, &pass.snapshot.api.answer, &pass.snapshot.kubelet_cluster)
        && pass.disk.kubelet_cluster.as_ref() != Some(seen)
        && !pass.api_is_stale()
    {
        plan.last.push(Step::RecordKubelet(seen.clone()));
    }
}

/// A sandbox that this agent ends proves nothing of the kubelet.
fn expect_ends(memory: &mut Memory, steps: &[Step]) {
    for step in steps {
        if let Step::RemoveSandboxes { sandboxes, .. } = step {
            memory.kubelet.ready.retain(|sandbox| !sandboxes.contains(sandbox));
        }
    }
}

/// The original program's files go one by one, each when we keep its parent, that parent is up and the kubelet would
/// notice: a twin of theirs ends then, and nothing is lost.
fn replace_legacy(pass: &Pass, plan: &mut StepPlan) {
    for key in pass.disk.legacy.keys() {
        let kept = pass.disk.checkpoints.get(key).is_some_and(|c| c.incomplete.is_none());
        if kept && pass.kubelet == awareness::Kubelet::Aware && pass.on_node(key) == OnNode::Up {
            plan.then.push(Step::RemoveLegacy(key.clone()));
        }
    }
}

/// Assets go only when no twin runs from them.
fn remove_orphans(pass: &Pass, own: &self_checkpoint::OwnPods, plan: &mut StepPlan) {
    for key in &pass.disk.orphans {
        if pass.twin_alive(key) == Some(false) && !own.is_this_instance(key) {
            plan.then.push(Step::RemoveAssets(key.clone()));
        }
    }
}
