//! What one pass has to say to people.

use super::awareness::Kubelet;
use super::facts::Pass;
use super::self_checkpoint::OwnPods;
use super::table::{Facts, PodView, Rows};
use crate::pod::key::{PodKey, Uid};
use crate::pod::parent::Standing;
use crate::pod::report::{NOT_BROUGHT_BACK, Phase, PodReport, Report};
use crate::pod::snapshot::Answer;

/// Every annotated pod and every checkpoint, the agent's own among them.
pub fn report(pass: &Pass, own: &OwnPods, rows: &Rows) -> Report {
    let mut pods: Vec<PodReport> = rows
        .iter()
        .filter(|(_, facts, _)| {
            facts.phase != Phase::Watching || matches!(facts.view, PodView::Here { .. } | PodView::Rejected)
        })
        .map(|(key, facts, row)| of_pod(pass, key, facts.phase, evidence(pass, facts, row), Some(facts)))
        .collect();
    let copies = pass.disk.checkpoints.keys().filter(|k| own.includes(k));
    let parents = pass.parents.values().filter(|p| own.includes(&p.key)).map(|p| &p.key);
    let mut itself: Vec<&PodKey> = copies.chain(parents).collect();
    itself.sort();
    itself.dedup();
    pods.extend(itself.into_iter().map(|key| {
        let phase = pass.phase(key);
        of_pod(pass, key, phase, "the agent itself".to_owned(), None)
    }));
    // While the API is away nobody names the pods that could not be saved; they are what people must know of most.
    let silent = pass.snapshot.captures.keys().filter(|k| !pods.iter().any(|p| p.key().as_ref() == Some(*k)));
    let unsaved: Vec<&PodKey> = silent.filter(|_| pass.parents.is_empty()).collect();
    pods.extend(
        unsaved.into_iter().map(|key| {
            of_pod(pass, key, Phase::Watching, "not saved when the API server last answered".to_owned(), None)
        }),
    );
    pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Report { pods, notes: notes(pass) }
}

fn of_pod(pass: &Pass, key: &PodKey, phase: Phase, decision: String, facts: Option<&Facts>) -> PodReport {
    let copy = pass.disk.checkpoints.get(key);
    let parent = pass.parents.get(key);
    let mut reasons = Vec::new();
    if let Some(failure) = pass.snapshot.captures.get(key) {
        reasons.extend(failure.reasons.iter().cloned());
    } else if copy.is_none() {
        reasons.push(waiting_for(parent.map(|p| &p.standing)));
    }
    if let Some(copy) = copy {
        reasons.extend(pass.obstacle(copy));
        reasons.extend(copy.degraded.iter().cloned());
        if copy.lineage.kind == "ReplicaSet" {
            reasons.push("may run twice: while this node is cut off its Deployment starts it elsewhere".to_owned());
        }
    }
    let comes_back = copy.is_some_and(|c| phase != Phase::Retiring || c.active || pass.disk.retired_comes_back(key, c));
    if copy.is_some() && !comes_back {
        reasons.push(NOT_BROUGHT_BACK.to_owned());
    }
    let unread = super::static_path::obstacle(pass);
    if let (Some(why), Some(_)) = (&unread, copy) {
        reasons.push(why.clone());
    } else {
        reasons.extend(facts.and_then(|f| twin_trouble(pass, key, f)));
    }
    PodReport {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        uid: parent.map(|p| p.uid.clone()).or_else(|| copy.map(|c| c.uid.clone())),
        lineage: parent.map(|p| p.lineage.clone()).or_else(|| copy.map(|c| c.lineage.clone())),
        phase,
        restorable: copy.is_some_and(|c| pass.obstacle(c).is_none())
            && comes_back
            && unread.is_none()
            && !refused_as_it_is(pass, key, parent.map(|p| &p.uid)),
        reasons,
        decision,
        image_present: None,
        assets_at: copy.and_then(|c| c.assets_at),
    }
}

/// The parent that runs now cannot be saved as it is, so what would come back is at best an older one.
fn refused_as_it_is(pass: &Pass, key: &PodKey, uid: Option<&Uid>) -> bool {
    pass.snapshot.captures.get(key).is_some_and(|f| Some(&f.uid) == uid && !f.copy_is_good)
}

fn waiting_for(standing: Option<&Standing>) -> String {
    match standing {
        Some(Standing::Here { ready: true }) => "not saved yet: being saved now".to_owned(),
        Some(Standing::Here { ready: false }) => "not saved yet: it was never Ready on this node".to_owned(),
        Some(Standing::Rejected { reason }) => format!("not saved: the kubelet rejected it ({reason})"),
        Some(Standing::ShutDown) => "not saved: it was shut down with the node".to_owned(),
        Some(Standing::Gone { why }) => format!("not saved: {why}"),
        None => "not saved".to_owned(),
    }
}

fn twin_trouble(pass: &Pass, key: &PodKey, facts: &Facts) -> Option<String> {
    let memory = pass.memory.pods.get(key)?;
    if let Some(since) = memory.yielding.as_ref().filter(|y| y.twin_dead_at.is_none()).map(|y| y.since)
        && pass.now.since(since) >= pass.timings.yield_limit
    {
        let twin = key.twin(&pass.snapshot.node_name);
        return Some(format!(
            "its twin {twin} still runs {}s after its manifest was taken away to make room: see the kubelet's log for why \
             it does not stop it (a blind kubelet stops nothing before it sees the API server)",
            pass.now.since(since).as_secs()
        ));
    }
    let activation = memory.activation.as_ref()?;
    if facts.phase != Phase::Active || pass.now.since(activation.at) < pass.timings.twin_limit {
        return None;
    }
    let node = pass.snapshot.runtime.seen()?;
    let sandboxes = super::presence::static_sandboxes(node, &key.twin(&pass.snapshot.node_name));
    match super::presence::ready_sandbox(&sandboxes) {
        None => Some("its twin has no sandbox: see the kubelet's log for why it refuses the manifest".to_owned()),
        Some(s) if s.containers.is_empty() => {
            Some("its twin has a sandbox but no container: is its image still on the node?".to_owned())
        }
        Some(_) => None,
    }
}

fn evidence(pass: &Pass, facts: &Facts, row: &str) -> String {
    let api = match facts.view {
        PodView::Here { ready: true } => "here, ready",
        PodView::Here { ready: false } => "here, not ready",
        PodView::Rejected => "rejected",
        PodView::ShutDown => "shut down with the node",
        PodView::Gone => "gone",
        PodView::OutOfScope => "not asked about",
        PodView::Refused => "API refuses us",
        PodView::OtherCluster => "another cluster answers",
        PodView::Unavailable => "API unavailable",
    };
    let kubelet = if pass.kubelet == Kubelet::Aware { "aware" } else { "blind" };
    format!("{row} (API: {api}; node: {:?}; kubelet: {kubelet})", facts.node)
}

fn notes(pass: &Pass) -> Vec<String> {
    let mut notes: Vec<String> =
        pass.disk.unreadable.iter().map(|(file, why)| format!("{file} is kept but cannot be used: {why}")).collect();
    notes.extend(pass.snapshot.own.as_ref().and_then(|own| pass.snapshot.scope.leaves_out(own.key.namespace())));
    notes.extend(super::static_path::doubt(pass));
    notes.extend(pass.snapshot.faults.iter().cloned());
    match &pass.snapshot.api.answer {
        Answer::Refused(why) => {
            notes.push(format!("the API server refuses this agent, so nothing is retired: {why}"));
        }
        Answer::OtherCluster(why) => notes.push(format!("nothing is brought back or retired: {why}")),
        Answer::Listed(_) | Answer::Unavailable(_) => {}
    }
    let refused = pass.snapshot.api.refused.iter();
    notes.extend(refused.map(|(namespace, why)| {
        format!("namespace {namespace} is refused to this agent, so nothing in it is saved or retired: {why}")
    }));
    notes
}
