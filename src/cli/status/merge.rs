//! From what disk, runtime and the agent's last report say, each by itself perhaps missing, to one document. Pure.
//!
//! While an agent leads, its report is what counts about reasons; without one, the disk and the runtime are, and the
//! report only explains why a pod has no checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::pod::key::PodKey;
use crate::pod::report::{NOT_BROUGHT_BACK, Phase, PodReport};
use crate::pod::runtime::{ImagePresence, Images, NodePods, Sandbox, Source};
use crate::pod::snapshot::{Inventory, OnDisk};
use crate::pod::status::{PodStatus, StatusDoc, running};

/// What was found on the node, each source by itself.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Name of the node.
    pub node: String,
    /// Somebody holds the lock; `None` where that cannot be seen.
    pub leader: Option<bool>,
    /// Our directories, or why they cannot be read.
    pub disk: Result<Inventory, String>,
    /// The runtime's list, or why there is none.
    pub runtime: Result<NodePods, String>,
    /// Images of the checkpoints.
    pub images: Images,
    /// The agent's last report, perhaps of an agent that is gone.
    pub agent: Option<StatusDoc>,
    /// What twins will lack on this node.
    pub offline: Vec<String>,
    /// Seconds since the epoch.
    pub now: i64,
}

/// One document from all of it.
pub fn merge(evidence: &Evidence) -> StatusDoc {
    let pods = keys(evidence).iter().map(|key| of_pod(evidence, key)).collect();
    let live = evidence.live_agent();
    let unknown = |last: &str| match &evidence.agent {
        None if evidence.leader == Some(true) => "unknown: the agent has not reported yet".to_owned(),
        Some(agent) if !last.is_empty() => {
            format!("unknown: no agent runs; its last word, at {}: {last}", utc(agent.at))
        }
        _ => "unknown: no agent runs that could say".to_owned(),
    };
    let said = evidence.agent.clone().unwrap_or_default();
    StatusDoc {
        node: evidence.node.clone(),
        leader: evidence.leader,
        api: if live.is_some() { said.api.clone() } else { unknown(&said.api) },
        runtime: evidence.runtime.as_ref().map_or_else(|why| format!("unavailable: {why}"), |_| "ok".to_owned()),
        disk: evidence.disk.as_ref().map_or_else(|why| format!("unavailable: {why}"), |_| "ok".to_owned()),
        kubelet: if live.is_some() { said.kubelet.clone() } else { unknown(&said.kubelet) },
        pods,
        notes: notes(evidence),
        offline: evidence.offline.clone(),
        at: evidence.now,
    }
}

impl Evidence {
    /// The report of an agent that leads now.
    fn live_agent(&self) -> Option<&StatusDoc> {
        self.agent.as_ref().filter(|_| self.leader == Some(true))
    }

    /// What could not be seen: with any of it, nobody can say that every pod would come back.
    pub fn unseen(&self) -> Vec<String> {
        let mut unseen = Vec::new();
        match self.leader {
            Some(true) if self.agent.is_none() => {
                unseen.push(
                    "the agent that leads has not reported yet; ask again, or name its directory with --run-dir"
                        .to_owned(),
                );
            }
            Some(true) => {}
            Some(false) => {
                unseen.push("no agent leads on this node; start one (kubectl apply -f rbac/ -f manifests/)".to_owned());
            }
            None => unseen.push(
                "the lock cannot be read that says whether an agent leads; run it as root, with --lock-file".to_owned(),
            ),
        }
        if let Err(why) = &self.disk {
            unseen.push(format!("the checkpoints cannot be read: {why}"));
        }
        if let Err(why) = &self.runtime {
            unseen.push(format!("the container runtime does not answer: {why}"));
        }
        unseen.extend(self.images.iter().filter_map(|(image, presence)| match presence {
            ImagePresence::Unknown(why) => Some(format!("whether image {image} is on this node: {why}")),
            ImagePresence::Present | ImagePresence::PulledWithSecret | ImagePresence::Absent => None,
        }));
        unseen
    }

    fn reported(&self, key: &PodKey) -> Option<&PodReport> {
        let pods = &self.agent.as_ref()?.pods;
        pods.iter().map(|pod| &pod.report).find(|pod| pod.key().as_ref() == Some(key))
    }
}

/// Every pod that anything speaks of: a checkpoint on disk, an annotated pod in the runtime, a live agent's report; the
/// report of an agent that is gone only where the disk cannot be read.
fn keys(evidence: &Evidence) -> BTreeSet<PodKey> {
    let mut keys = BTreeSet::new();
    if let Ok(disk) = &evidence.disk {
        keys.extend(disk.checkpoints.keys().cloned());
    }
    if let Ok(node) = &evidence.runtime {
        keys.extend(node.sandboxes.iter().filter(|s| s.ready && is_parent(s)).map(|s| s.pod.clone()));
    }
    let report = evidence.agent.as_ref().filter(|_| evidence.leader == Some(true) || evidence.disk.is_err());
    keys.extend(report.into_iter().flat_map(|doc| doc.pods.iter().filter_map(|pod| pod.report.key())));
    keys
}

fn is_parent(sandbox: &Sandbox) -> bool {
    sandbox.annotated && sandbox.source == Source::Api && sandbox.checkpoint_of.is_none()
}

fn of_pod(evidence: &Evidence, key: &PodKey) -> PodStatus {
    let node = evidence.runtime.as_ref().ok();
    let copy = evidence.disk.as_ref().ok().and_then(|disk| disk.checkpoints.get(key));
    let said = evidence.reported(key);
    let trusted = said.filter(|_| evidence.live_agent().is_some());
    let obstacles = obstacles(evidence, key, copy);
    let mut reasons = obstacles.clone();
    match (trusted, copy) {
        (Some(said), _) => add(&mut reasons, &said.reasons),
        (None, Some(copy)) => add(&mut reasons, &lacks(copy)),
        (None, None) => add(&mut reasons, &why_none(evidence, key, said)),
    }
    let seen_uid = || node?.sandboxes.iter().find(|s| s.ready && s.pod == *key).map(|s| s.uid.clone());
    let report = PodReport {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        uid: trusted.and_then(|said| said.uid.clone()).or_else(|| copy.map(|c| c.uid.clone())).or_else(seen_uid),
        lineage: copy.map(|c| c.lineage.clone()).or_else(|| said.and_then(|said| said.lineage.clone())),
        phase: phase(evidence, copy, trusted),
        restorable: copy.is_some() && obstacles.is_empty() && trusted.is_none_or(|said| said.restorable),
        reasons,
        decision: said.map(|said| said.decision.clone()).unwrap_or_default(),
        image_present: copy.and_then(|copy| image_present(copy, &evidence.images)),
        assets_at: copy.and_then(|c| c.assets_at),
    };
    PodStatus { report, running: node.map(|node| running(node, key)) }
}

/// The disk knows every phase but Yielding, and Active before the twin's manifest went.
fn phase(evidence: &Evidence, copy: Option<&OnDisk>, trusted: Option<&PodReport>) -> Phase {
    match copy {
        None if evidence.disk.is_err() => trusted.map_or(Phase::Watching, |said| said.phase),
        None => Phase::Watching,
        Some(copy) if copy.retired.is_some() => Phase::Retiring,
        Some(copy) if copy.active => Phase::Active,
        Some(_) => trusted.map(|said| said.phase).filter(|p| *p == Phase::Yielding).unwrap_or(Phase::Standby),
    }
}

/// What keeps it from coming back, as far as disk and runtime show it.
fn obstacles(evidence: &Evidence, key: &PodKey, copy: Option<&OnDisk>) -> Vec<String> {
    let mut obstacles = Vec::new();
    if let Err(why) = &evidence.disk {
        obstacles.push(format!("its checkpoint cannot be looked at: {why}"));
    }
    if evidence.disk.as_ref().is_ok_and(|disk| disk.held.contains(key)) && copy.is_some_and(|c| !c.active) {
        obstacles.push(format!(
            "an operator holds it back; remove inactive-manifests/{}.hold to have it brought back",
            key.file_stem()
        ));
    }
    let (Ok(disk), Some(copy)) = (&evidence.disk, copy) else { return obstacles };
    if copy.retired.is_some() && !copy.active && !disk.retired_comes_back(key, copy) {
        obstacles.push(NOT_BROUGHT_BACK.to_owned());
    }
    obstacles.extend(copy.incomplete.clone());
    for image in &copy.images {
        match evidence.images.get(image) {
            Some(ImagePresence::Absent) => {
                obstacles.push(format!("image {image} is not on this node; pull it with `crictl pull`"));
            }
            Some(ImagePresence::PulledWithSecret) => obstacles.push(format!(
                "image {image} was pulled with a pull secret, which a static pod cannot name, so the kubelet would ask \
                 the registry again; exempt it in the kubelet's configuration (imagePullCredentialsVerificationPolicy: \
                 NeverVerifyAllowlistedImages) or pull it once without a secret"
            )),
            Some(ImagePresence::Present | ImagePresence::Unknown(_)) | None => {}
        }
    }
    obstacles
}

/// What it will lack although it comes back.
fn lacks(copy: &OnDisk) -> Vec<String> {
    let mut lacks = copy.degraded.clone();
    if copy.lineage.kind == "ReplicaSet" {
        lacks.push("may run twice: while this node is cut off its Deployment starts it elsewhere".to_owned());
    }
    if let Some(limit) = copy.max_offline {
        lacks.push(format!(
            "not started later than {} after the API server last answered (max-offline)",
            crate::duration::display(limit)
        ));
    }
    lacks
}

fn why_none(evidence: &Evidence, key: &PodKey, said: Option<&PodReport>) -> Vec<String> {
    match said {
        Some(said) if !said.reasons.is_empty() => said.reasons.clone(),
        _ if evidence.disk.is_err() => Vec::new(),
        _ => vec![format!(
            "annotated, and no checkpoint was made: does an agent run here, with namespace {} among its --namespace?",
            key.namespace()
        )],
    }
}

fn image_present(copy: &OnDisk, images: &Images) -> Option<bool> {
    let states: Option<Vec<&ImagePresence>> = copy.images.iter().map(|image| images.get(image)).collect();
    let states = states?;
    if states.iter().any(|state| **state == ImagePresence::Absent) {
        return Some(false);
    }
    if states.iter().any(|state| matches!(state, ImagePresence::Unknown(_))) { None } else { Some(true) }
}

fn notes(evidence: &Evidence) -> Vec<String> {
    let mut notes = Vec::new();
    if evidence.leader == Some(false) {
        notes
            .push("no agent runs on this node: nothing is saved, brought back or taken back until one does".to_owned());
    }
    if let Ok(disk) = &evidence.disk {
        notes.extend(unreadable(&disk.unreadable));
    }
    if let Some(agent) = evidence.live_agent() {
        add(&mut notes, &agent.notes);
    }
    notes
}

fn unreadable(files: &BTreeMap<String, String>) -> Vec<String> {
    files.iter().map(|(file, why)| format!("{file} is kept but cannot be used: {why}")).collect()
}

/// Adds what is not said yet.
fn add(to: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !to.contains(text) {
            to.push(text.clone());
        }
    }
}

fn utc(epoch_seconds: i64) -> String {
    jiff::Timestamp::from_second(epoch_seconds).map_or_else(|_| "an unknown time".to_owned(), |t| t.to_string())
}

#[cfg(test)]
mod tests;
