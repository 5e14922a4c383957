//! The agent's own lineage (design §6): its newest copy is always active, it gives way to the DaemonSet's instance, and
//! when the DaemonSet is gone it removes everything, itself last.

use std::collections::BTreeSet;

use super::facts::Pass;
use super::presence::{OnNode, on_node, parent_sandboxes};
use super::table::{Facts, PodView};
use super::wake::own_refresh_is_due;
use super::{StepPlan, capture};
use crate::moment::{BootInstant, Observation};
use crate::pod::key::{Lineage, PodKey};
use crate::pod::parent::{Parent, Standing};
use crate::pod::plan::Step;
use crate::pod::runtime::PodSource;
use crate::pod::snapshot::{Answer, OnDisk, Scheduling};

/// The agent among the pods: nothing, where it does not run in a pod.
#[derive(Debug, Clone, Default)]
pub struct OwnPods {
    key: Option<PodKey>,
    lineage: Option<Lineage>,
    is_twin: bool,
    members: BTreeSet<PodKey>,
}

impl OwnPods {
    /// Finds its lineage in the API, on disk or in the memory, and everything that belongs to it.
    pub fn find(pass: &Pass) -> Self {
        let Some(own) = &pass.snapshot.own else { return Self::default() };
        let in_api = pass.parents.get(&own.key).map(|p| p.lineage.clone());
        let on_disk = pass.disk.checkpoints.get(&own.key).map(|c| c.lineage.clone());
        let lineage = in_api.or(on_disk).or_else(|| pass.memory.members.get(&own.key).cloned());
        let mut members = BTreeSet::from([own.key.clone()]);
        if let Some(lineage) = &lineage {
            let copies = pass.disk.checkpoints.iter().filter(|(_, c)| c.lineage == *lineage).map(|(k, _)| k);
            let parents = pass.parents.values().filter(|p| p.lineage == *lineage).map(|p| &p.key);
            let named = pass.memory.members.iter().filter(|(_, l)| *l == lineage).map(|(k, _)| k);
            members.extend(copies.chain(parents).chain(named).cloned());
        }
        Self { key: Some(own.key.clone()), lineage, is_twin: own.is_twin, members }
    }

    /// Whether this parent belongs to the agent.
    pub fn includes(&self, key: &PodKey) -> bool {
        self.members.contains(key)
    }

    /// Whether this very process runs from that parent's copy.
    pub fn is_this_instance(&self, key: &PodKey) -> bool {
        self.key.as_ref() == Some(key)
    }

    /// Everything about itself. True: it is leaving this node, and so does every checkpoint.
    pub fn decide(&self, pass: &mut Pass, plan: &mut StepPlan) -> bool {
        if self.key.is_none() {
            return false;
        }
        if self.is_leaving(pass, plan) {
            self.leave(pass, plan);
            return true;
        }
        self.keep_newest_active(pass, plan);
        self.save_itself(pass, plan);
        self.give_way(pass, plan);
        false
    }

    fn parents<'p>(&'p self, pass: &Pass<'p>) -> impl Iterator<Item = &'p Parent> {
        pass.parents.values().filter(|p| self.includes(&p.key))
    }

    fn copies<'p>(&'p self, pass: &Pass<'p>) -> impl Iterator<Item = (&'p PodKey, &'p OnDisk)> {
        pass.disk.checkpoints.iter().filter(|(key, _)| self.includes(key))
    }

    fn keep_newest_active(&self, pass: &Pass, plan: &mut StepPlan) {
        let Some((newest, copy)) = self.copies(pass).max_by_key(|(key, c)| c.order(key)) else {
            return;
        };
        if !copy.active || copy.active_differs {
            plan.activate.push(newest.clone());
            return;
        }
        // Only a successor that is safely with the kubelet replaces the older copies; one of a parent that is here and
        // Ready would only be made again.
        let lives = |key: &PodKey| {
            pass.parents.get(key).is_some_and(|parent| parent.standing == (Standing::Here { ready: true }))
        };
        for (older, _) in self.copies(pass).filter(|(key, _)| *key != newest && !lives(key)) {
            plan.then.push(Step::RemoveManifests(older.clone()));
        }
    }

    /// Ready means: this instance leads and has finished a pass, so a broken version is never saved.
    fn save_itself(&self, pass: &Pass, plan: &mut StepPlan) {
        for parent in self.parents(pass).filter(|p| p.standing == (Standing::Here { ready: true })) {
            match pass.disk.checkpoints.get(&parent.key) {
                Some(copy) if copy.uid == parent.uid && copy.digest == parent.digest && copy.incomplete.is_none() => {
                    if own_refresh_is_due(pass) {
                        plan.refresh_own.insert(parent.key.clone());
                    }
                }
                _ => capture(pass, plan, &parent.key),
            }
        }
    }

    /// A twin steps down for the DaemonSet's instance by what the runtime shows, whatever the API says: a dead token
    /// must not keep the lock.
    fn give_way(&self, pass: &mut Pass, plan: &mut StepPlan) {
        if !self.is_twin || !self.relief_is_up(pass) {
            pass.memory.own.relief_since = None;
            return;
        }
        let since = *pass.memory.own.relief_since.get_or_insert(pass.now);
        let yielding = pass.memory.pods.values().any(|p| p.yielding.is_some());
        if !yielding || pass.now.since(since) >= pass.timings.step_down_limit {
            plan.last.push(Step::StepDown);
        }
    }

    fn relief_is_up(&self, pass: &Pass) -> bool {
        let (Some(own), Some(node)) = (&self.key, pass.snapshot.runtime.seen()) else { return false };
        let names = pass.main_names(own);
        let instances: BTreeSet<&PodKey> = node
            .sandboxes
            .iter()
            .filter(|s| s.source == PodSource::Api)
            .map(|s| &s.pod)
            .filter(|k| self.is_ours(k))
            .collect();
        instances.into_iter().any(|key| {
            let sandboxes = parent_sandboxes(node, key);
            on_node(&sandboxes, &names, &pass.memory.running_since, pass.now, pass.timings.up_after) == OnNode::Up
        })
    }

    /// By lineage where the API named it; else by the form of the names that a DaemonSet gives: its own and five
    /// characters (`k8s.io/apiserver/pkg/storage/names`).
    fn is_ours(&self, key: &PodKey) -> bool {
        let suffix = |lineage: &Lineage| {
            key.name().strip_prefix(&lineage.name).and_then(|rest| rest.strip_prefix('-')).map(str::to_owned)
        };
        self.includes(key)
            || self.lineage.as_ref().is_some_and(|lineage| {
                lineage.namespace == key.namespace()
                    && suffix(lineage).is_some_and(|s| s.len() == 5 && s.chars().all(|c| c.is_ascii_alphanumeric()))
            })
    }

    /// Its DaemonSet is gone or excludes this node for the whole grace period, with no pod of its own here.
    fn is_leaving(&self, pass: &mut Pass, plan: &mut StepPlan) -> bool {
        let scoped = self.key.as_ref().is_some_and(|key| pass.snapshot.scope.covers(key.namespace()));
        let listed = matches!(pass.snapshot.api.answer, Answer::Listed(_)) && scoped;
        let here = self.parents(pass).any(|p| matches!(p.standing, Standing::Here { .. }));
        if !listed || here || self.lineage.is_none() {
            pass.memory.own.unscheduled_since = None;
            pass.memory.own.absent_since = None;
            return false;
        }
        let absent_since = *pass.memory.own.absent_since.get_or_insert(pass.now);
        let Some(answer) = fresh_scheduling(pass) else {
            let grace_over = |since: BootInstant| pass.now.since(since) >= pass.timings.grace;
            let due = pass.memory.own.unscheduled_since.is_none_or(grace_over);
            if due && pass.snapshot.scheduling.is_none() {
                plan.ask_scheduling.clone_from(&self.lineage);
            }
            return false;
        };
        match answer {
            Scheduling::Wanted => {
                pass.memory.own.unscheduled_since = None;
                false
            }
            Scheduling::Deleted | Scheduling::Excluded(_) => {
                let since = *pass.memory.own.unscheduled_since.get_or_insert(pass.now);
                pass.now.since(since) >= pass.timings.grace && !api_must_be_asked(pass, plan)
            }
            Scheduling::NotAllowed(_) => {
                pass.now.since(absent_since) >= pass.timings.own_absent
                    && self.others_active(pass).all(|key| pass.on_node(key) == OnNode::Up)
                    && !api_must_be_asked(pass, plan)
            }
        }
    }

    fn others_active<'p>(&'p self, pass: &Pass<'p>) -> impl Iterator<Item = &'p PodKey> {
        pass.disk.checkpoints.iter().filter(|(key, c)| c.active && !self.includes(key)).map(|(key, _)| key)
    }

    /// Itself last, when nothing else of ours is left.
    fn leave(&self, pass: &Pass, plan: &mut StepPlan) {
        let others = pass.disk.checkpoints.keys().any(|key| !self.includes(key));
        let assets = pass.disk.orphans.iter().any(|key| !self.includes(key));
        if !others && !assets {
            plan.last.push(Step::RemoveOwn(self.members.clone()));
        }
    }
}

/// Leaving: a checkpoint of somebody else goes; an active twin only once its parent is up or confirmed gone.
pub fn remove_other(facts: &Facts, key: &PodKey, plan: &mut StepPlan) {
    let settled = !facts.active || facts.node == OnNode::Up || facts.view == PodView::Gone;
    if facts.phase != crate::pod::report::Phase::Watching && settled {
        plan.then.push(Step::RemoveManifests(key.clone()));
    }
}

fn api_must_be_asked(pass: &Pass, plan: &mut StepPlan) -> bool {
    plan.ask_api |= pass.api_is_stale();
    pass.api_is_stale()
}

fn fresh_scheduling<'p>(pass: &Pass<'p>) -> Option<&'p Scheduling> {
    match pass.snapshot.scheduling.as_ref()? {
        Observation::Seen(answer, at) if pass.now.since(*at) <= pass.timings.fresh => Some(answer),
        Observation::Seen(..) | Observation::Unavailable(_) => None,
    }
}
