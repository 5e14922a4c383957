//! A node as values: snapshots for the deciding code, and the effect that its steps would have on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pod_checkpointer::moment::{BootInstant, Observation};
use pod_checkpointer::pod::key::{ContainerId, Lineage, PodKey, SandboxId, Uid};
use pod_checkpointer::pod::lifecycle::decide;
use pod_checkpointer::pod::memory::Memory;
use pod_checkpointer::pod::parent::{Parent, Standing};
use pod_checkpointer::pod::plan::{Decision, Step};
use pod_checkpointer::pod::runtime::{Container, ContainerState, KubeletIdentity, NodePods, PodSource, Sandbox};
use pod_checkpointer::pod::snapshot::{Answer, Api, Inventory, OnDisk, OwnInstance, Scope, Snapshot};
use pod_checkpointer::pod::timings::Timings;
use serde_json::json;

/// A node named `n1` that watches namespace `ns`.
pub struct World {
    pub snapshot: Snapshot,
    pub memory: Memory,
    pub timings: Timings,
    pub now: BootInstant,
    /// The runtime's last list stays as old as it is.
    pub runtime_is_quiet: bool,
    serial: i64,
}

pub fn key(name: &str) -> PodKey {
    PodKey::new("ns", name).expect("test names are valid")
}

fn uid(name: &str) -> Uid {
    Uid(format!("uid-{name}"))
}

impl World {
    /// Nothing there; the API answers, the kubelet is the one of boot `1`.
    pub fn new() -> Self {
        let now = BootInstant(1_000_000);
        let snapshot = Snapshot {
            node_name: "n1".into(),
            manifests_dir: "/etc/kubernetes/manifests".into(),
            own: None,
            scope: Scope::Only(BTreeSet::from(["ns".to_owned()])),
            api: Api { answer: Answer::Listed(BTreeMap::new()), refused: BTreeMap::new(), at: now, silent_for: None },
            cluster: None,
            faults: Vec::new(),
            scheduling: None,
            runtime: Observation::Seen(NodePods::default(), now),
            kubelet: Some(KubeletIdentity { inode: 1, ctime: 1 }),
            kubelet_cluster: None,
            disk: Observation::Seen(Inventory::default(), now),
            capturing: BTreeSet::new(),
            captures: BTreeMap::new(),
        };
        Self {
            snapshot,
            memory: Memory::default(),
            timings: Timings::default(),
            now,
            runtime_is_quiet: false,
            serial: 0,
        }
    }

    /// Its own instance, `ns/<name>`, of DaemonSet `agent`.
    pub fn agent(&mut self, name: &str, is_twin: bool) {
        self.snapshot.own = Some(OwnInstance { key: key(name), is_twin });
    }

    pub fn later(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs);
    }

    fn parents(&mut self) -> &mut BTreeMap<PodKey, Parent> {
        if !matches!(self.snapshot.api.answer, Answer::Listed(_)) {
            self.snapshot.api.answer = Answer::Listed(BTreeMap::new());
        }
        match &mut self.snapshot.api.answer {
            Answer::Listed(parents) => parents,
            Answer::Refused(_) | Answer::OtherCluster(_) | Answer::Unavailable(_) => unreachable!("set above"),
        }
    }

    /// An annotated pod in the API, of DaemonSet `owner`.
    pub fn in_api(&mut self, name: &str, owner: &str, standing: Standing) {
        let parent = Parent {
            key: key(name),
            uid: uid(name),
            lineage: Lineage { namespace: "ns".into(), kind: "DaemonSet".into(), name: owner.into() },
            standing,
            digest: "d1".into(),
            object: Arc::new(json!({"spec": {"containers": [{"name": "main"}]}})),
        };
        self.parents().insert(key(name), parent);
        self.snapshot.api.at = self.now;
    }

    pub fn gone_from_api(&mut self, name: &str) {
        self.parents().remove(&key(name));
        self.snapshot.api.at = self.now;
    }

    pub fn api_unavailable(&mut self) {
        self.snapshot.api = Api {
            answer: Answer::Unavailable("connection refused".into()),
            refused: BTreeMap::new(),
            at: self.now,
            silent_for: Some(Duration::from_secs(30)),
        };
    }

    pub fn api_refuses(&mut self) {
        let answer = Answer::Refused("401".into());
        self.snapshot.api = Api { answer, refused: BTreeMap::new(), at: self.now, silent_for: None };
    }

    /// The API confirms what it said before.
    pub fn api_confirms(&mut self) {
        self.snapshot.api.at = self.now;
    }

    pub fn disk(&mut self) -> &mut Inventory {
        match &mut self.snapshot.disk {
            Observation::Seen(disk, _) => disk,
            Observation::Unavailable(_) => unreachable!("tests that take the disk away do not touch it"),
        }
    }

    /// A saved copy of DaemonSet `owner`'s pod, kept aside.
    pub fn saved(&mut self, name: &str, owner: &str) {
        self.serial += 1;
        let copy = OnDisk {
            uid: uid(name),
            lineage: Lineage { namespace: "ns".into(), kind: "DaemonSet".into(), name: owner.into() },
            digest: "d1".into(),
            generation: u64::try_from(self.serial).expect("it only grows"),
            captured_at: self.serial,
            inactive: true,
            active: false,
            retired: None,
            containers: vec!["main".into()],
            images: vec!["image:1".into()],
            host_port: false,
            max_offline: None,
            incomplete: None,
            successor_seen: false,
            active_differs: false,
            degraded: vec![],
            assets_at: None,
        };
        self.disk().checkpoints.insert(key(name), copy);
    }

    pub fn copy(&mut self, name: &str) -> &mut OnDisk {
        self.disk().checkpoints.get_mut(&key(name)).expect("saved before")
    }

    fn node(&mut self) -> &mut NodePods {
        match &mut self.snapshot.runtime {
            Observation::Seen(node, _) => node,
            Observation::Unavailable(_) => unreachable!("tests that take the runtime away do not touch it"),
        }
    }

    fn put(&mut self, pod: PodKey, uid: Uid, source: PodSource, state: Option<ContainerState>) {
        self.serial += 1;
        let serial = self.serial;
        let container = |state| Container {
            id: ContainerId(format!("{}-{serial}", pod.name())),
            name: "main".into(),
            state,
            restarts: 0,
            created_at: serial,
        };
        let node = self.node();
        for old in node.sandboxes.iter_mut().filter(|s| s.pod == pod && s.source == source) {
            old.ready = false;
            old.containers.iter_mut().for_each(|c| c.state = ContainerState::Exited);
        }
        let sandbox = Sandbox {
            id: SandboxId(format!("box-{}-{serial}", pod.name())),
            uid,
            source,
            annotated: source == PodSource::Api,
            checkpoint_of: None,
            ready: true,
            created_at: serial,
            containers: state.map(container).into_iter().collect(),
            pod,
        };
        node.sandboxes.push(sandbox);
    }

    /// The parent gets a new sandbox with its container in this state (`None`: not created yet).
    pub fn parent_starts(&mut self, name: &str, state: Option<ContainerState>) {
        self.put(key(name), uid(name), PodSource::Api, state);
    }

    /// The parent's container of the newest sandbox changes its state.
    pub fn parent_turns(&mut self, name: &str, state: ContainerState) {
        let pod = key(name);
        let sandbox = self.node().sandboxes.iter_mut().filter(|s| s.pod == pod && s.ready).max_by_key(|s| s.created_at);
        sandbox.into_iter().flat_map(|s| &mut s.containers).for_each(|c| c.state = state);
    }

    pub fn twin_runs(&mut self, name: &str) {
        let pod = key(name).twin("n1");
        self.put(pod.clone(), uid(pod.name()), PodSource::Static, Some(ContainerState::Running));
    }

    /// Every sandbox of the pod dies and stays listed.
    pub fn dies(&mut self, pod: &PodKey) {
        for sandbox in self.node().sandboxes.iter_mut().filter(|s| s.pod == *pod) {
            sandbox.ready = false;
            sandbox.containers.iter_mut().for_each(|c| c.state = ContainerState::Exited);
        }
    }

    pub fn twin_dies(&mut self, name: &str) {
        self.dies(&key(name).twin("n1"));
    }

    /// Everything dies, `/run` is lost, another kubelet process starts and the API is away.
    pub fn power_cut_offline(&mut self) {
        let pods: Vec<PodKey> = self.node().sandboxes.iter().map(|s| s.pod.clone()).collect();
        pods.iter().for_each(|pod| self.dies(pod));
        self.memory = Memory::default();
        let boot = self.snapshot.kubelet.map_or(0, |k| k.inode) + 1;
        self.snapshot.kubelet = Some(KubeletIdentity { inode: boot, ctime: 1 });
        self.api_unavailable();
    }

    /// One decision; its effects on the disk happen, those elsewhere do not.
    pub fn pass(&mut self) -> Decision {
        if let (Observation::Seen(_, at), false) = (&mut self.snapshot.runtime, self.runtime_is_quiet) {
            *at = self.now;
        }
        let decision = decide(&self.snapshot, &self.memory, &self.timings, self.now);
        self.memory = decision.memory.clone();
        for step in decision.steps.clone() {
            self.act(step);
        }
        decision
    }

    fn act(&mut self, step: Step) {
        let disk = self.disk();
        match step {
            Step::Activate(keys) => keys.iter().for_each(|k| {
                disk.checkpoints.get_mut(k).expect("only saved copies are activated").active = true;
            }),
            Step::Deactivate(keys) => {
                keys.iter().for_each(|k| disk.checkpoints.get_mut(k).expect("only active ones").active = false);
            }
            Step::Retire(k) => disk.checkpoints.get_mut(&k).expect("only saved copies retire").retired = Some(1),
            Step::Reinstate(k) => disk.checkpoints.get_mut(&k).expect("only saved copies").retired = None,
            Step::NoteSuccessor(k) => disk.checkpoints.get_mut(&k).expect("only saved copies").successor_seen = true,
            Step::RemoveManifests(k) => {
                disk.checkpoints.remove(&k);
                disk.orphans.insert(k);
            }
            Step::RemoveLegacy(k) => {
                disk.legacy.remove(&k);
            }
            Step::RemoveAssets(k) => {
                disk.orphans.remove(&k);
            }
            Step::RemoveOwn(keys) => keys.iter().for_each(|k| {
                disk.checkpoints.remove(k);
                disk.orphans.remove(k);
            }),
            Step::Capture(k) => {
                self.saved(k.name(), "agent");
            }
            Step::RemoveSandboxes { sandboxes, .. } => {
                self.node().sandboxes.retain(|s| !sandboxes.contains(&s.id));
            }
            Step::RecordKubelet(cluster) => disk.kubelet_cluster = Some(cluster),
            Step::RecordCluster(_) | Step::Refresh(_) | Step::StepDown | Step::RecordApiRead => {}
        }
    }
}
