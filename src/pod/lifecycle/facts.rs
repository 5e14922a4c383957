//! From a snapshot and a memory to the facts that the table looks at. Moves every timer; decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::awareness::{Kubelet, judge};
use super::presence::{OnNode, is_alive, main_containers, on_node, parent_sandboxes, ready_sandbox, static_sandboxes};
use super::table::{Facts, PodView};
use crate::moment::{BootInstant, Observation};
use crate::pod::key::{ContainerId, PodKey, Uid};
use crate::pod::memory::{Activation, CrashMemory, Gone, Memory, PodMemory};
use crate::pod::parent::{Parent, Standing};
use crate::pod::report::Phase;
use crate::pod::runtime::{ContainerState, NodePods, Sandbox};
use crate::pod::snapshot::{Answer, Inventory, OnDisk, Snapshot};
use crate::pod::timings::Timings;

/// One pass: the snapshot, the memory as it becomes, and what both say of the whole node.
pub struct Pass<'a> {
    /// The look at the world.
    pub snapshot: &'a Snapshot,
    /// Our files, as the inventory has them.
    pub disk: &'a Inventory,
    /// The delays that hold.
    pub timings: &'a Timings,
    /// The moment at which it is decided.
    pub now: BootInstant,
    /// What the next pass is to know, changed as facts are made.
    pub memory: Memory,
    /// What the kubelet can be expected to do without help.
    pub kubelet: Kubelet,
    /// Parents by key, where the API answered.
    pub parents: &'a BTreeMap<PodKey, Parent>,
}

/// For a pass without an answer.
static NO_PARENTS: BTreeMap<PodKey, Parent> = BTreeMap::new();

impl<'a> Pass<'a> {
    /// Takes the snapshot into the memory.
    pub fn begin(
        snapshot: &'a Snapshot,
        disk: &'a Inventory,
        memory: &Memory,
        timings: &'a Timings,
        now: BootInstant,
    ) -> Self {
        let mut memory = memory.clone();
        let parents = snapshot.api.answer.parents().unwrap_or(&NO_PARENTS);
        let good_read = matches!(snapshot.api.answer, Answer::Listed(_))
            && memory.last_api_read.is_none_or(|last| snapshot.api.at > last);
        if good_read {
            memory.last_api_read = Some(snapshot.api.at);
            memory.members.retain(|key, _| snapshot.api.refused.contains_key(key.namespace()));
            memory.members.extend(parents.values().map(|p| (p.key.clone(), p.lineage.clone())));
        }
        let (kubelet, kubelet_memory) = judge(
            &memory.kubelet,
            snapshot.kubelet,
            &snapshot.runtime,
            good_read,
            !matches!(snapshot.api.answer, Answer::Unavailable(_)),
        );
        memory.kubelet = kubelet_memory;
        if let Some(node) = snapshot.runtime.seen() {
            memory.running_since = running_since(node, &memory.running_since, now);
        }
        Self { snapshot, disk, timings, now, memory, kubelet, parents }
    }

    /// The API said something, but too long ago for a decision to hang on it.
    pub fn api_is_stale(&self) -> bool {
        let limit = match self.snapshot.api.answer {
            Answer::Listed(_) => self.timings.fresh,
            // The reader goes on trying by itself, every few seconds: no need to ask each time.
            Answer::Refused(_) | Answer::OtherCluster(_) | Answer::Unavailable(_) => self.timings.fresh * 5,
        };
        self.snapshot.api.at == BootInstant(0) || self.now.since(self.snapshot.api.at) > limit
    }

    /// The runtime's last list is too old for a decision to hang on it.
    pub fn runtime_is_stale(&self) -> bool {
        match &self.snapshot.runtime {
            Observation::Seen(_, at) => self.now.since(*at) > self.timings.fresh,
            Observation::Unavailable(_) => false,
        }
    }

    /// How the API sees this parent.
    pub fn view(&self, key: &PodKey) -> PodView {
        match &self.snapshot.api.answer {
            _ if !self.snapshot.scope.covers(key.namespace()) => PodView::OutOfScope,
            Answer::Unavailable(_) => PodView::Unavailable,
            Answer::Refused(_) => PodView::Refused,
            Answer::OtherCluster(_) => PodView::OtherCluster,
            Answer::Listed(_) if self.snapshot.api.refused.contains_key(key.namespace()) => PodView::Refused,
            Answer::Listed(parents) => match parents.get(key).map(|p| &p.standing) {
                Some(Standing::Here { ready }) => PodView::Here { ready: *ready },
                Some(Standing::Rejected { .. }) => PodView::Rejected,
                Some(Standing::ShutDown) => PodView::ShutDown,
                Some(Standing::Gone { .. }) | None => PodView::Gone,
            },
        }
    }

    /// Where this parent stands, by what is on disk and remembered.
    pub fn phase(&self, key: &PodKey) -> Phase {
        let Some(copy) = self.disk.checkpoints.get(key) else { return Phase::Watching };
        let yielding = self.memory.pods.get(key).is_some_and(|p| p.yielding.is_some());
        match (copy.retired, copy.active) {
            (Some(_), _) => Phase::Retiring,
            (None, true) => Phase::Active,
            (None, false) if yielding => Phase::Yielding,
            (None, false) => Phase::Standby,
        }
    }

    /// Names of the main containers of this pod, from the API or the copy on disk.
    pub fn main_names(&self, key: &PodKey) -> Vec<String> {
        let copy = self.disk.checkpoints.get(key).map(|c| c.containers.clone());
        self.parents.get(key).map(Parent::main_containers).or(copy).unwrap_or_default()
    }

    /// How this parent stands on the node.
    pub fn on_node(&self, key: &PodKey) -> OnNode {
        let Observation::Seen(node, _) = &self.snapshot.runtime else { return OnNode::Unknown };
        let sandboxes = parent_sandboxes(node, key);
        on_node(&sandboxes, &self.main_names(key), &self.memory.running_since, self.now, self.timings.up_after)
    }

    /// Sandboxes of this parent, ready or not.
    pub fn sandboxes(&self, key: &PodKey) -> Vec<&'a Sandbox> {
        self.snapshot.runtime.seen().map(|node| parent_sandboxes(node, key)).unwrap_or_default()
    }

    /// Whether the twin of this parent has anything running; `None` where the runtime does not say.
    pub fn twin_alive(&self, key: &PodKey) -> Option<bool> {
        let node = self.snapshot.runtime.seen()?;
        Some(is_alive(&static_sandboxes(node, &key.twin(&self.snapshot.node_name))))
    }

    /// Every main container of the twin is running.
    pub fn twin_runs(&self, key: &PodKey) -> bool {
        let Some(node) = self.snapshot.runtime.seen() else { return false };
        let sandboxes = static_sandboxes(node, &key.twin(&self.snapshot.node_name));
        let names = self.main_names(key);
        let newest = ready_sandbox(&sandboxes).map(|s| main_containers(s, &names)).unwrap_or_default();
        newest.len() == names.len() && newest.iter().all(|c| c.state == ContainerState::Running)
    }

    /// Containers of this parent, all of them.
    pub fn containers(&self, key: &PodKey) -> BTreeSet<ContainerId> {
        self.sandboxes(key).iter().flat_map(|s| &s.containers).map(|c| c.id.clone()).collect()
    }

    /// Moves the timers of one parent and returns its memory.
    pub fn remember(&mut self, key: &PodKey, phase: Phase, node: OnNode, view: PodView) {
        let now = self.now;
        let restarts = self.restarts(key);
        let (twin_alive, exited) = (self.twin_alive(key), self.exited_containers(key));
        let unstarted = node == OnNode::Starting && !self.has_main_container(key);
        let active = self.disk.checkpoints.get(key).is_some_and(|copy| copy.active);
        let api_answers = matches!(self.snapshot.api.answer, Answer::Listed(_));
        let memory = self.memory.pods.entry(key.clone()).or_default();
        keep(&mut memory.down_since, node == OnNode::Down, now);
        keep(&mut memory.degraded_since, node == OnNode::Degraded, now);
        keep(&mut memory.unstarted_since, unstarted, now);
        match node {
            OnNode::Up | OnNode::Down | OnNode::Unknown => memory.crash = None,
            OnNode::Starting | OnNode::Degraded | OnNode::Crashed => {
                memory.crash.get_or_insert(CrashMemory { since: now, restarts });
            }
        }
        if active && memory.activation.is_none() {
            // Activated before the memory was lost: what runs now counts as new, what lies dead does not.
            memory.activation = Some(Activation { at: now, containers: exited });
        }
        if let Some(yielding) = &mut memory.yielding
            && twin_alive == Some(false)
        {
            yielding.twin_dead_at.get_or_insert(now);
        }
        match (phase, view) {
            (Phase::Retiring, PodView::Gone | PodView::ShutDown) => count_grace(memory, now),
            (Phase::Retiring, PodView::OutOfScope) if api_answers => count_grace(memory, now),
            // An outage neither counts nor starts the count anew.
            (
                Phase::Retiring,
                PodView::Unavailable | PodView::Refused | PodView::OtherCluster | PodView::OutOfScope,
            ) => {
                memory.gone.iter_mut().for_each(|g| g.counted_to = None);
            }
            _ => memory.gone = None,
        }
    }

    fn restarts(&self, key: &PodKey) -> u32 {
        let names = self.main_names(key);
        let sandboxes = self.sandboxes(key);
        ready_sandbox(&sandboxes).map_or(0, |s| {
            // The runtime's word, which may be anything.
            main_containers(s, &names).iter().fold(0, |sum, c| c.restarts.saturating_add(sum))
        })
    }

    fn exited_containers(&self, key: &PodKey) -> BTreeSet<ContainerId> {
        let containers = self.sandboxes(key).into_iter().flat_map(|s| &s.containers);
        containers.filter(|c| c.state == ContainerState::Exited).map(|c| c.id.clone()).collect()
    }

    /// The facts of one parent, after [`Self::remember`].
    pub fn facts(&self, key: &PodKey, phase: Phase, node: OnNode, view: PodView, displaced: bool) -> Facts {
        let nothing = PodMemory::default();
        let memory = self.memory.pods.get(key).unwrap_or(&nothing);
        let copy = self.disk.checkpoints.get(key);
        let for_how_long = |since: Option<BootInstant>| since.map_or(Duration::ZERO, |s| self.now.since(s));
        Facts {
            phase,
            held: self.disk.held.contains(key),
            node,
            view,
            kubelet: self.kubelet,
            down_for: for_how_long(memory.down_since),
            degraded_for: for_how_long(memory.degraded_since),
            unstarted_for: for_how_long(memory.unstarted_since),
            rejoined: self.rejoined(),
            replaced: copy.is_some_and(|c| self.is_replaced(key, c)),
            crash_looping: memory.crash.as_ref().is_some_and(|c| {
                self.now.since(c.since) >= self.timings.crash_window
                    && self.restarts(key).saturating_sub(c.restarts) >= self.timings.crash_restarts
            }),
            copy_is_older: copy.is_some_and(|c| self.running_uid(key).is_some_and(|uid| uid != c.uid)),
            may_activate: copy.is_some_and(|c| self.obstacle(c).is_none()),
            host_port: copy.is_some_and(|c| c.host_port),
            displaced,
            successor_unready: copy.is_some_and(|c| self.has_unready_successor(key, c)),
            twin_dead_for: memory.yielding.as_ref().and_then(|y| y.twin_dead_at).map(|at| self.now.since(at)),
            parent_exited: memory.yielding.as_ref().is_some_and(|y| !y.sandbox_removed && self.has_exited(&y.to)),
            active: copy.is_some_and(|c| c.active),
            better_copy: copy.is_some_and(|c| self.has_better_copy(key, c)),
            lineage_down: copy.is_some_and(|c| self.lineage_is_down(c)),
            expected_back: copy.is_some_and(OnDisk::is_expected_back),
            grace_passed: memory
                .gone
                .as_ref()
                .is_some_and(|g| Duration::from_millis(g.answered_ms) >= self.timings.grace),
            newest_copy: copy.is_some_and(|c| self.is_newest(key, c)),
        }
    }

    /// Why this copy cannot or must not start now.
    pub fn obstacle(&self, copy: &OnDisk) -> Option<String> {
        if let Some(why) = &copy.incomplete {
            return Some(why.clone());
        }
        let limit = copy.max_offline?;
        if !matches!(self.snapshot.api.answer, Answer::Unavailable(_)) {
            return None;
        }
        match self.snapshot.api.silent_for {
            Some(silent) if silent <= limit => None,
            Some(silent) => Some(format!("offline for {}s, longer than its max-offline", silent.as_secs())),
            None => Some("it has a max-offline, and when the API last answered is not known".to_owned()),
        }
    }

    /// The kubelet belongs to another cluster than when the API server last answered. What cannot be read changes nothing.
    fn rejoined(&self) -> bool {
        match (&self.snapshot.kubelet_cluster, &self.disk.kubelet_cluster) {
            (Some(now), Some(then)) => !now.is_same(then),
            _ => false,
        }
    }

    /// A later member of the lineage runs here, Ready and saved: this one's owner has what it wanted.
    fn is_replaced(&self, key: &PodKey, copy: &OnDisk) -> bool {
        self.siblings(key, copy).any(|(k, c)| {
            let ready = Standing::Here { ready: true };
            c.order(k) > copy.order(key) && self.parents.get(k).is_some_and(|p| p.standing == ready && p.uid == c.uid)
        })
    }

    fn has_main_container(&self, key: &PodKey) -> bool {
        let names = self.main_names(key);
        ready_sandbox(&self.sandboxes(key)).is_some_and(|s| !main_containers(s, &names).is_empty())
    }

    fn running_uid(&self, key: &PodKey) -> Option<Uid> {
        ready_sandbox(&self.sandboxes(key)).map(|s| s.uid.clone())
    }

    /// A main container of this pod lies exited in its ready sandbox: the kubelet will wait before it starts it again.
    fn has_exited(&self, key: &PodKey) -> bool {
        let names = self.main_names(key);
        ready_sandbox(&self.sandboxes(key))
            .is_some_and(|s| main_containers(s, &names).iter().any(|c| c.state == ContainerState::Exited))
    }

    fn has_unready_successor(&self, key: &PodKey, copy: &OnDisk) -> bool {
        self.parents.values().any(|p| {
            p.lineage == copy.lineage
                && (p.key != *key || p.uid != copy.uid)
                && p.standing == (Standing::Here { ready: false })
                && self.disk.checkpoints.get(&p.key).is_none_or(|c| c.uid != p.uid)
        })
    }

    fn has_better_copy(&self, key: &PodKey, copy: &OnDisk) -> bool {
        self.disk.has_better_copy(key, copy)
    }

    fn is_newest(&self, key: &PodKey, copy: &OnDisk) -> bool {
        !self.siblings(key, copy).any(|(k, c)| c.order(k) > copy.order(key))
    }

    fn siblings(&self, key: &PodKey, copy: &OnDisk) -> impl Iterator<Item = (&'a PodKey, &'a OnDisk)> {
        self.disk.siblings(key, copy)
    }

    fn lineage_is_down(&self, copy: &OnDisk) -> bool {
        let Some(node) = self.snapshot.runtime.seen() else { return false };
        let on_disk = self.disk.checkpoints.iter().filter(|(_, c)| c.lineage == copy.lineage).map(|(k, _)| k);
        let named = self.memory.members.iter().filter(|(_, l)| **l == copy.lineage).map(|(k, _)| k);
        on_disk.chain(named).all(|k| ready_sandbox(&parent_sandboxes(node, k)).is_none())
    }
}

fn keep(since: &mut Option<BootInstant>, holds: bool, now: BootInstant) {
    if holds {
        since.get_or_insert(now);
    } else {
        *since = None;
    }
}

fn count_grace(memory: &mut PodMemory, now: BootInstant) {
    let gone = memory.gone.get_or_insert(Gone { answered_ms: 0, counted_to: None });
    if let Some(last) = gone.counted_to {
        let more = u64::try_from(now.since(last).as_millis()).unwrap_or(u64::MAX);
        gone.answered_ms = gone.answered_ms.saturating_add(more);
    }
    gone.counted_to = Some(now);
}

fn running_since(
    node: &NodePods,
    before: &BTreeMap<ContainerId, BootInstant>,
    now: BootInstant,
) -> BTreeMap<ContainerId, BootInstant> {
    node.sandboxes
        .iter()
        .flat_map(|s| &s.containers)
        .filter(|c| c.state == ContainerState::Running)
        .map(|c| (c.id.clone(), before.get(&c.id).copied().unwrap_or(now)))
        .collect()
}
