//! What exists on the fake node: sandboxes, containers, images. The runtime shows it, the kubelet changes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;

/// Labels and annotations that the kubelet writes.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub const POD_UID: &str = "io.kubernetes.pod.uid";
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
pub const CONFIG_SOURCE: &str = "kubernetes.io/config.source";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Exited,
}

#[derive(Debug, Clone)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub state: State,
    pub restarts: u32,
    pub created_at: i64,
    /// Ports of the node that its process binds while it runs.
    pub ports: Vec<u64>,
}

#[derive(Debug, Clone)]
pub struct Sandbox {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub ready: bool,
    pub created_at: i64,
    pub containers: Vec<Container>,
}

impl Sandbox {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    pub fn uid(&self) -> &str {
        self.label(POD_UID)
    }

    pub fn namespace(&self) -> &str {
        self.label(POD_NAMESPACE)
    }

    pub fn name(&self) -> &str {
        self.label(POD_NAME)
    }

    /// `namespace/name` of its pod.
    pub fn pod(&self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }

    pub fn is_static(&self) -> bool {
        self.annotations.get(CONFIG_SOURCE).is_some_and(|source| source == "file")
    }

    pub fn runs(&self, container: &str) -> bool {
        self.containers.iter().any(|c| c.name == container && c.state == State::Running)
    }
}

/// The machine itself. Every change is announced as an event of the container or sandbox that changed.
#[derive(Debug)]
pub struct Machine {
    pub sandboxes: Vec<Sandbox>,
    /// Image references, as pods write them, to ids.
    pub images: BTreeMap<String, String>,
    events: broadcast::Sender<String>,
    made: u64,
}

/// Shared by the runtime and the kubelet.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Machine>>);

impl Default for Shared {
    fn default() -> Self {
        let (events, _) = broadcast::channel(4096);
        Self(Arc::new(Mutex::new(Machine { sandboxes: Vec::new(), images: BTreeMap::new(), events, made: 0 })))
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    pub fn events(&self) -> broadcast::Receiver<String> {
        self.events.subscribe()
    }

    /// A ready sandbox of a pod without containers; its id.
    pub fn run_sandbox(
        &mut self,
        (namespace, name, uid): (&str, &str, &str),
        source: &str,
        annotations: &BTreeMap<String, String>,
    ) -> String {
        let (id, created_at) = self.birth("sandbox");
        let labels = [(POD_NAMESPACE, namespace), (POD_NAME, name), (POD_UID, uid)];
        let mut annotations = annotations.clone();
        annotations.insert(CONFIG_SOURCE.to_owned(), source.to_owned());
        self.sandboxes.push(Sandbox {
            id: id.clone(),
            labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            annotations,
            ready: true,
            created_at,
            containers: Vec::new(),
        });
        self.announce(&id);
        id
    }

    /// Starts a container in a sandbox; its id. A container of a sandbox that is gone is nobody's.
    pub fn run_container(&mut self, sandbox: &str, name: &str, restarts: u32) -> String {
        let (id, created_at) = self.birth("container");
        let (name, state, ports) = (name.to_owned(), State::Running, Vec::new());
        let container = Container { id: id.clone(), name, state, restarts, created_at, ports };
        if let Some(sandbox) = self.sandboxes.iter_mut().find(|s| s.id == sandbox) {
            sandbox.containers.push(container);
        }
        self.announce(&id);
        id
    }

    /// The ports of the node that are taken.
    pub fn bound(&self) -> impl Iterator<Item = u64> {
        let running = self.sandboxes.iter().flat_map(|s| &s.containers).filter(|c| c.state == State::Running);
        running.flat_map(|c| c.ports.iter().copied())
    }

    /// Its process binds these ports.
    pub fn bind(&mut self, id: &str, ports: Vec<u64>) {
        let mut containers = self.sandboxes.iter_mut().flat_map(|s| &mut s.containers);
        if let Some(container) = containers.find(|c| c.id == id) {
            container.ports = ports;
        }
    }

    /// Its process ends.
    pub fn exit_container(&mut self, id: &str) {
        let mut containers = self.sandboxes.iter_mut().flat_map(|s| &mut s.containers);
        if let Some(container) = containers.find(|c| c.id == id) {
            container.state = State::Exited;
        }
        self.announce(id);
    }

    /// Ends its processes; false where there is no such sandbox.
    pub fn stop_sandbox(&mut self, id: &str) -> bool {
        let Some(sandbox) = self.sandboxes.iter_mut().find(|s| s.id == id) else { return false };
        sandbox.ready = false;
        for container in &mut sandbox.containers {
            container.state = State::Exited;
        }
        self.announce(id);
        true
    }

    /// Forgets it; false where there is no such sandbox.
    pub fn remove_sandbox(&mut self, id: &str) -> bool {
        let before = self.sandboxes.len();
        self.sandboxes.retain(|s| s.id != id);
        self.announce(id);
        self.sandboxes.len() < before
    }

    /// Every process dies; the runtime lists the sandboxes afterwards as not ready, with their old times. Nobody is left
    /// who could announce that.
    pub fn power_cut(&mut self) {
        for sandbox in &mut self.sandboxes {
            sandbox.ready = false;
            for container in &mut sandbox.containers {
                container.state = State::Exited;
            }
        }
    }

    /// The ready sandboxes of a pod, `namespace/name`.
    pub fn ready(&self, pod: &str) -> impl Iterator<Item = &Sandbox> {
        self.sandboxes.iter().filter(move |s| s.ready && s.pod() == pod)
    }

    /// A container of the pod runs now.
    pub fn runs(&self, pod: &str) -> bool {
        self.ready(pod).any(|s| s.containers.iter().any(|c| c.state == State::Running))
    }

    fn birth(&mut self, kind: &str) -> (String, i64) {
        self.made += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (format!("{kind}-{}", self.made), i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
    }

    fn announce(&self, id: &str) {
        // Nobody may be listening.
        let _ = self.events.send(id.to_owned());
    }
}
