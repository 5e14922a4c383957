//! A kubelet for a [`Machine`]: static pods from a directory, API pods as they are handed in, and the behaviour that was
//! measured of a real one: blind until it has seen the API since its start, a back-off that counts the exits it finds.
//! It looks at the world every [`Settings::poll`], in a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};

use serde_json::Value;

use super::machine::{Shared, State};
use super::pod_sync::sync;

/// What there is to set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its node's name.
    pub node: String,
    /// `staticPodPath`.
    pub manifests: PathBuf,
    /// `--root-dir`.
    pub dir: PathBuf,
    /// Where a hostPath is looked up: the first prefix is replaced by the second.
    pub host_path: Option<(PathBuf, PathBuf)>,
    /// Between two looks at the world.
    pub poll: Duration,
    /// From a container's exit to the kubelet's noticing; about 1 s in the real one.
    pub notice: Duration,
    /// First back-off of a container that exits again; 10 s in the real one. Doubles, thirty times that at most.
    pub back_off: Duration,
    /// A sandbox of a pod that is no longer wanted is kept this long; a minute or so in the real one.
    pub garbage: Duration,
}

impl Settings {
    /// Everything under `root`, with the real delays divided by `faster`.
    pub fn under(root: &Path, node: &str, faster: u32) -> Self {
        Self {
            node: node.to_owned(),
            manifests: root.join("etc/kubernetes/manifests"),
            dir: root.join("var/lib/kubelet"),
            host_path: Some((PathBuf::from("/etc/kubernetes"), root.join("etc/kubernetes"))),
            poll: Duration::from_millis(20),
            notice: Duration::from_secs(1) / faster,
            back_off: Duration::from_secs(10) / faster,
            garbage: Duration::from_secs(60) / faster,
        }
    }
}

/// How one pod stands, for its status in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodStatus {
    /// `namespace/name`.
    pub pod: String,
    /// Its UID.
    pub uid: String,
    /// Comes from a file.
    pub is_static: bool,
    /// `Pending`, `Running` or `Failed`.
    pub phase: &'static str,
    /// Why it failed, or why nothing starts.
    pub reason: String,
    /// Every container runs.
    pub ready: bool,
    /// Of all its containers.
    pub restarts: u32,
}

/// A kubelet, on or off.
pub struct FakeKubelet {
    settings: Settings,
    machine: Shared,
    state: Arc<Mutex<Process>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is in the memory of the kubelet, and what the world around it does to it.
#[derive(Default)]
pub(super) struct Process {
    pub(super) on: bool,
    /// Last seen since it started; `None`: blind.
    pub(super) api: Option<Vec<Value>>,
    /// What the API server would say now, if it answers.
    pub(super) api_now: Option<Vec<Value>>,
    pub(super) no_registry: bool,
    pub(super) crashing: BTreeSet<String>,
    /// By UID: the host ports of the pods it runs.
    pub(super) admitted: BTreeMap<String, Vec<u64>>,
    /// By UID: refused at admission, with the reason.
    pub(super) rejected: BTreeMap<String, String>,
    /// By UID and container: the wait after its last exit.
    pub(super) back_off: BTreeMap<(String, String), Duration>,
    /// When it noticed the exit of a container, by its id.
    pub(super) exits: BTreeMap<String, Instant>,
    /// When it saw first that a sandbox is not wanted, by its id.
    pub(super) unwanted: BTreeMap<String, Instant>,
    pub(super) status: Vec<PodStatus>,
    pub(super) refused: BTreeMap<String, String>,
}

impl FakeKubelet {
    /// A node that is off, with its directories made.
    pub fn new(settings: Settings, machine: Shared) -> io::Result<Self> {
        fs::create_dir_all(&settings.manifests)?;
        fs::create_dir_all(settings.dir.join("pod-resources"))?;
        let state: Arc<Mutex<Process>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let looking = (settings.clone(), machine.clone(), Arc::clone(&state), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (settings, machine, state, stop) = looking;
            while !stop.load(Ordering::Relaxed) {
                sync(&settings, &mut lock(&state), &mut machine.lock());
                std::thread::sleep(settings.poll);
            }
        });
        Ok(Self { settings, machine, state, stop, thread: Some(thread) })
    }

    /// What it was set to.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is on the node.
    pub fn machine(&self) -> &Shared {
        &self.machine
    }

    /// The pods that the API server has for this node; `None`: it does not answer. A kubelet that has seen it since
    /// its start goes on with what it last saw.
    pub fn set_api_pods(&self, pods: Option<Vec<Value>>) {
        self.process().api_now = pods;
    }

    /// Whether missing images can be pulled.
    pub fn set_registry(&self, answers: bool) {
        self.process().no_registry = !answers;
    }

    /// From now on the containers of `namespace/name` exit as soon as they start; those that run exit now.
    pub fn set_crashing(&self, pod: &str, crashing: bool) {
        let mut process = self.process();
        if crashing {
            process.crashing.insert(pod.to_owned());
            let mut machine = self.machine.lock();
            let running = machine.ready(pod).flat_map(|s| &s.containers).filter(|c| c.state == State::Running);
            for id in running.map(|c| c.id.clone()).collect::<Vec<_>>() {
                machine.exit_container(&id);
            }
        } else {
            process.crashing.remove(pod);
        }
    }

    /// The plug is pulled: every process dies, this one too. Its socket's file stays.
    pub fn power_cut(&self) {
        let mut process = self.process();
        process.forget();
        process.on = false;
        self.machine.lock().power_cut();
    }

    /// A new kubelet process, blind until the API server answers. Containers that run go on.
    pub fn power_on(&self) -> io::Result<()> {
        let mut process = self.process();
        process.forget();
        let socket = self.settings.dir.join("pod-resources/kubelet.sock");
        // A new inode while the old one is still there, so that no filesystem gives out the same number again.
        let fresh = socket.with_extension("new");
        fs::write(&fresh, "")?;
        fs::rename(&fresh, &socket)?;
        process.on = true;
        Ok(())
    }

    /// The kubelet alone is restarted.
    pub fn restart(&self) -> io::Result<()> {
        self.power_on()
    }

    /// Has seen the API since it started.
    pub fn is_aware(&self) -> bool {
        self.process().api.is_some()
    }

    /// How every pod that it knows stands.
    pub fn statuses(&self) -> Vec<PodStatus> {
        self.process().status.clone()
    }

    /// Files that it will not run, and why.
    pub fn refused(&self) -> BTreeMap<String, String> {
        self.process().refused.clone()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        lock(&self.state)
    }
}

impl Drop for FakeKubelet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<Process>) -> MutexGuard<'_, Process> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// What does not outlive the process. The world around it does.
    fn forget(&mut self) {
        let world = std::mem::take(self);
        self.on = world.on;
        self.api_now = world.api_now;
        self.no_registry = world.no_registry;
        self.crashing = world.crashing;
    }
}
