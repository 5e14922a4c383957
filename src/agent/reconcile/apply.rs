//! Act: carries out complete steps and chooses nothing. A step that fails does not stop the others, except those that stand
//! on it: where a parent's sandbox could not be removed, its twin is not started beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::capture::CaptureError;
use crate::agent::store::Store;
use crate::clock;
use crate::error_chain::chain;
use crate::node::cri::Cri;
use crate::pod::key::PodKey;
use crate::pod::parent::Parent;
use crate::pod::plan::Step;

/// A step that failed, to be reported and tried again.
#[derive(Debug, thiserror::Error)]
#[error("{step} {on}: {why}")]
pub struct StepFailed {
    /// Name of the step, for metrics.
    pub step: &'static str,
    /// The pod it was for.
    pub on: String,
    /// Why it failed, with the whole chain of causes.
    pub why: String,
}

/// What became of a batch of steps.
#[derive(Debug, Default)]
pub struct StepsOutcome {
    /// Steps to try again.
    pub failed: Vec<StepFailed>,
    /// Parents to be saved or refreshed, beside the passes.
    pub wanted: Vec<Parent>,
    /// Captures that ended since the pass before, by parent: saved, or why not.
    pub captures: BTreeMap<PodKey, Result<(), CaptureError>>,
    /// The disk is not what it was.
    pub disk_changed: bool,
    /// [`Step::StepDown`] was there.
    pub step_down: bool,
    /// [`Step::RemoveOwn`] was carried out: nothing is left to do on this node.
    pub left: bool,
}

/// Everything that steps act on.
pub struct Executor {
    /// The node's directories with our files, which steps change.
    pub store: Arc<Store>,
    /// The container runtime, for removing dead sandboxes.
    pub cri: Cri,
}

impl Executor {
    /// Carries out every step. `parents` are those of the snapshot that the steps were decided on.
    pub async fn carry_out(&mut self, steps: Vec<Step>, parents: &BTreeMap<PodKey, Parent>) -> StepsOutcome {
        let mut outcome = StepsOutcome::default();
        let mut occupied = BTreeSet::new();
        for step in steps {
            let (pod, failures) = (removed_from(&step), outcome.failed.len());
            let step = match step {
                Step::Activate(keys) => Step::Activate(outcome.free(keys, &occupied)),
                other => other,
            };
            self.one(step, parents, &mut outcome).await;
            occupied.extend(pod.filter(|_| outcome.failed.len() > failures));
        }
        outcome
    }

    async fn one(&mut self, step: Step, parents: &BTreeMap<PodKey, Parent>, outcome: &mut StepsOutcome) {
        match step {
            Step::Activate(keys) => outcome.each("activate", self.store.activate(&keys)),
            Step::Deactivate(keys) => outcome.each("deactivate", self.store.deactivate(&keys)),
            Step::Retire(key) => {
                let done = self.store.retire(&key, clock::epoch_seconds());
                outcome.disk("retire", &key, done);
            }
            Step::Reinstate(key) => outcome.disk("reinstate", &key, self.store.reinstate(&key)),
            Step::NoteSuccessor(key) => outcome.disk("note-successor", &key, self.store.note_successor(&key)),
            Step::RemoveManifests(key) => outcome.disk("remove", &key, self.store.remove_manifests(&key)),
            Step::RemoveLegacy(key) => outcome.disk("remove-legacy", &key, self.store.remove_legacy(&key)),
            Step::RemoveAssets(key) => outcome.disk("remove-assets", &key, self.store.remove_assets(&key)),
            Step::RecordCluster(uid) => {
                outcome.disk_of_node("record-cluster", self.store.record_cluster(&uid).map(drop));
            }
            Step::RecordKubelet(cluster) => {
                outcome.disk_of_node("record-kubelet", self.store.record_kubelet(&cluster).map(drop));
            }
            Step::RecordApiRead => {
                if let Err(why) = self.store.record_api_read(clock::epoch_seconds()) {
                    outcome.fail("record-api-read", "this node", &why);
                }
            }
            Step::RemoveSandboxes { pod, sandboxes } => {
                for sandbox in sandboxes {
                    if let Err(why) = self.cri.remove_sandbox(&sandbox).await {
                        outcome.fail("remove-sandbox", &pod.to_string(), &why);
                    }
                }
            }
            // Those wait for the API, and nobody waits for them.
            Step::Capture(key) => outcome.wanted.extend(parents.get(&key).cloned()),
            Step::Refresh(keys) => outcome.wanted.extend(keys.iter().filter_map(|key| parents.get(key).cloned())),
            Step::RemoveOwn(keys) => {
                // First, since the kubelet ends this process when its manifest is gone.
                outcome.disk_of_node("remove-cluster", self.store.forget_cluster());
                for key in &keys {
                    outcome.disk("remove", key, self.store.remove_manifests(key));
                }
                for key in &keys {
                    outcome.disk("remove-assets", key, self.store.remove_assets(key));
                }
                outcome.left = outcome.failed.is_empty();
            }
            Step::StepDown => outcome.step_down = true,
        }
    }
}

/// The pod whose sandboxes a step removes.
fn removed_from(step: &Step) -> Option<PodKey> {
    match step {
        Step::RemoveSandboxes { pod, .. } => Some(pod.clone()),
        _ => None,
    }
}

impl StepsOutcome {
    /// Those of which nothing else runs, as far as the steps before went well; the others are tried again.
    fn free(&mut self, keys: Vec<PodKey>, occupied: &BTreeSet<PodKey>) -> Vec<PodKey> {
        let (occupied, free): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| occupied.contains(key));
        for key in occupied {
            let why = "waits until its parent's sandbox is removed: two of it would run".to_owned();
            self.failed.push(StepFailed { step: "activate", on: key.to_string(), why });
        }
        free
    }

    fn fail(&mut self, step: &'static str, on: &str, why: &(dyn std::error::Error + 'static)) {
        self.failed.push(StepFailed { step, on: on.to_owned(), why: chain(why) });
    }

    fn disk<E: std::error::Error + 'static>(&mut self, step: &'static str, key: &PodKey, done: Result<(), E>) {
        self.disk_changed = true;
        if let Err(why) = done {
            self.fail(step, &key.to_string(), &why);
        }
    }

    fn disk_of_node<E: std::error::Error + 'static>(&mut self, step: &'static str, done: Result<(), E>) {
        self.disk_changed = true;
        if let Err(why) = done {
            self.fail(step, "this node", &why);
        }
    }

    fn each<E: std::error::Error + 'static>(&mut self, step: &'static str, done: Vec<(PodKey, Result<(), E>)>) {
        for (key, done) in done {
            self.disk(step, &key, done);
        }
    }
}
