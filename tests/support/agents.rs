//! The real agent, each instance in a thread and a runtime of its own, as its process would have them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pod_checkpointer::agent;
use pod_checkpointer::agent::config::AgentConfig;
use pod_checkpointer::agent::http::probe_socket;
use pod_checkpointer::agent::http::probe_socket::Question;
use pod_checkpointer::pod::annotation;
use pod_checkpointer::pod::key::PodKey;
use pod_checkpointer::pod::snapshot::OwnInstance;
use tokio::sync::oneshot;

use super::machine::{Sandbox, Shared, State};

/// Pods whose name begins so run the agent.
pub const AGENT: &str = "pod-checkpointer";

/// An instance that runs; dropping it kills it.
pub struct RunningAgent {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl RunningAgent {
    /// Starts one.
    pub fn start(config: AgentConfig) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(agent::run_until(config, async {
                // Dropping the sender stops it too.
                let _ = stopped.await;
            }))
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Its process is gone when this returns. Panics where it had failed or panicked.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        let outcome = thread.join();
        if !std::thread::panicking() {
            outcome.expect("the agent does not panic").expect("the agent does not give up");
        }
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.end();
    }
}

/// Containers of the node whose process is the agent: where one runs, an instance does.
pub struct AgentPods {
    config: AgentConfig,
    probes: PathBuf,
    /// By container.
    running: Mutex<BTreeMap<String, Instance>>,
}

struct Instance {
    /// `namespace/name` of its pod.
    pod: String,
    probe: PathBuf,
    /// By the last probe.
    ready: bool,
    /// Dropped with it.
    _process: RunningAgent,
}

impl AgentPods {
    /// Instances get this configuration, and their own place in it.
    pub fn new(config: AgentConfig, root: &Path) -> io::Result<Self> {
        let probes = root.join("probes");
        std::fs::create_dir(&probes)?;
        Ok(Self { config, probes, running: Mutex::default() })
    }

    /// Starts the process of every container that runs by now and ends those of containers that do not any more.
    pub fn follow(&self, machine: &Shared) {
        let wanted: BTreeMap<String, Sandbox> = {
            let machine = machine.lock();
            let sandboxes = machine.sandboxes.iter().filter(|s| s.ready && s.name().starts_with(AGENT));
            let runs = |s: &Sandbox| s.containers.iter().find(|c| c.state == State::Running).map(|c| c.id.clone());
            sandboxes.filter_map(|s| Some((runs(s)?, s.clone()))).collect()
        };
        let mut running = self.running();
        running.retain(|container, _| wanted.contains_key(container));
        for (container, sandbox) in wanted {
            running.entry(container.clone()).or_insert_with(|| self.start(&container, &sandbox));
        }
    }

    fn start(&self, container: &str, sandbox: &Sandbox) -> Instance {
        let probe = self.probes.join(container);
        // Its environment says the parent's name also in the twin.
        let name = sandbox.annotations.get(annotation::CHECKPOINT_OF).map_or(sandbox.name(), String::as_str);
        let key = PodKey::new(sandbox.namespace(), name).expect("the kubelet runs pods with proper names");
        let own = Some(OwnInstance { key, is_twin: sandbox.is_static() });
        let config = AgentConfig { own, probe_socket: Some(probe.clone()), ..self.config.clone() };
        Instance { pod: sandbox.pod(), probe, ready: false, _process: RunningAgent::start(config) }
    }

    /// The readiness probe of a pod; pods without an agent have none, and are ready.
    pub async fn is_ready(&self, pod: &str) -> bool {
        let found = self.running().iter().find(|(_, i)| i.pod == pod).map(|(id, i)| (id.clone(), i.probe.clone()));
        let Some((container, probe)) = found else { return !pod.contains(AGENT) };
        let ready = probe_socket::ask(&probe, Question::Ready).await.is_ok();
        if let Some(instance) = self.running().get_mut(&container) {
            instance.ready = ready;
        }
        ready
    }

    /// What the last probe of the instance that runs now in this pod of the API said.
    pub fn was_ready(&self, pod: &str) -> bool {
        self.running().values().any(|i| i.pod == pod && i.ready)
    }

    /// All of them die.
    pub fn kill_all(&self) {
        self.running().clear();
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
