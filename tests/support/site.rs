//! One node and its API server in a temporary directory, tied together as a cluster ties them: the kubelet hears of its
//! pods while the API server answers, and tells it how they stand.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pod_checkpointer::agent::config::{AgentConfig, NodeConfig};
use pod_checkpointer::config::{ApiConfig, LogFormat, Logs};
use pod_checkpointer::pod::snapshot::Scope;
use pod_checkpointer::pod::status::{PodStatus, StatusDoc};
use pod_checkpointer::pod::timings::Timings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::agents::{AGENT, AgentPods, RunningAgent};
use super::api::{FakeApi, Mode};
use super::cri::FakeRuntime;
use super::kubelet::{FakeKubelet, Settings};
use super::machine::Shared;
use super::pods::{NAMESPACE, NODE, PodSpec, agent_pod};

/// The kubelet's delays are the real ones divided by this.
pub const FASTER: u32 = 20;
/// Everything that is waited for happens sooner than this, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// The agent's delays, shortened still more; but questions to the API keep enough time for a busy machine.
pub fn timings() -> Timings {
    let second = Duration::from_secs(1);
    let (activation_delay, grace) = (second * 2, second * 6 / 5);
    Timings {
        fresh: second / 2,
        api_limit: second,
        activation_delay,
        grace,
        ..Timings::default().shortened(2 * FASTER)
    }
}

/// Everything.
pub struct Site {
    /// The agent's process, if it runs. First, so that it ends first.
    agent: Option<RunningAgent>,
    /// Agents in pods.
    agents: Arc<AgentPods>,
    /// The API server.
    pub api: FakeApi,
    /// The container runtime.
    pub runtime: FakeRuntime,
    /// The kubelet.
    pub kubelet: Arc<FakeKubelet>,
    /// What the agent is started with.
    pub config: AgentConfig,
    ties: JoinHandle<()>,
    dir: TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ties.abort();
    }
}

impl Site {
    /// A node that was just installed: everything is on, nothing runs, no agent.
    pub async fn new() -> io::Result<Self> {
        Self::with(|_| {}).await
    }

    /// The same, with other delays of the agent.
    pub async fn with(change: impl FnOnce(&mut Timings)) -> io::Result<Self> {
        Self::with_kubelet(FASTER, change).await
    }

    /// The same, with a kubelet that takes this fraction of a real one's time.
    pub async fn with_kubelet(faster: u32, change: impl FnOnce(&mut Timings)) -> io::Result<Self> {
        log_if_asked();
        let dir = tempfile::tempdir()?;
        let root = dir.path();
        let api = FakeApi::start().await;
        let machine = Shared::default();
        make_run(root)?;
        let runtime = FakeRuntime::start(root, machine.clone())?;
        let kubelet = Arc::new(FakeKubelet::new(Settings::under(root, NODE, faster), machine)?);
        kubelet.power_on()?;
        std::fs::write(root.join("kubelet.conf"), kubeconfig(&api.url(), &json!({})))?;
        let mut config = config(root, &kubelet);
        change(&mut config.timings);
        let agents = Arc::new(AgentPods::new(config.clone(), root)?);
        let ties = tokio::spawn(tie(api.clone(), Arc::clone(&kubelet), Arc::clone(&agents)));
        Ok(Self { agent: None, agents, api, runtime, kubelet, config, ties, dir })
    }

    /// The directory that stands for `/`.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A file or directory of `/etc/kubernetes`.
    pub fn etc(&self, path: &str) -> PathBuf {
        self.config.node.etc_dir.join(path)
    }

    /// The pod is created in the API, bound to the node.
    pub fn add(&self, pod: PodSpec) -> &Self {
        self.api.add_pod(pod.object());
        self
    }

    /// The agent is installed as a DaemonSet, whose pod on this node is this one.
    pub fn install_agent(&self, name: &str) -> &Self {
        self.api.add_node(NODE, &json!({})).add_daemonset(NAMESPACE, AGENT, &json!({}));
        self.add(agent_pod(name))
    }

    /// The agent's process starts, in no pod.
    pub fn start_agent(&mut self) -> &mut Self {
        self.kill_agent();
        self.agent = Some(RunningAgent::start(self.config.clone()));
        self
    }

    /// The agent's process is killed; the rest of the node goes on.
    pub fn kill_agent(&mut self) -> &mut Self {
        if let Some(agent) = self.agent.take() {
            agent.kill();
        }
        self
    }

    /// The plug is pulled: every process of the node is gone, and `/run` with them.
    pub fn power_cut(&mut self) -> io::Result<()> {
        self.kubelet.power_cut();
        self.runtime.kill();
        self.kill_agent();
        self.agents.kill_all();
        std::fs::remove_dir_all(self.root().join("run"))?;
        make_run(self.root())
    }

    /// The runtime and the kubelet come up. An agent that is no pod is for the caller to start.
    pub fn power_on(&mut self) -> io::Result<()> {
        self.runtime.restart()?;
        // What it is told of the API it is told from now on.
        self.kubelet.set_api_pods(None);
        self.kubelet.power_on()
    }

    /// Power is cut and comes back, agent included.
    pub fn reboot(&mut self) -> io::Result<()> {
        self.power_cut()?;
        self.power_on()?;
        self.start_agent();
        Ok(())
    }

    /// A container of the API's pod runs.
    pub fn parent_runs(&self, name: &str) -> bool {
        let machine = self.kubelet.machine().lock();
        machine.sandboxes.iter().any(|s| s.ready && s.pod() == of_namespace(name) && !s.is_static() && s.runs("main"))
    }

    /// The agent in this pod of the API is Ready: it leads.
    pub fn agent_leads(&self, name: &str) -> bool {
        self.agents.was_ready(&of_namespace(name))
    }

    /// A container of the checkpoint runs.
    pub fn twin_runs(&self, name: &str) -> bool {
        self.kubelet.machine().lock().runs(&format!("{NAMESPACE}/{name}-{NODE}"))
    }

    /// Its checkpoint is kept aside.
    pub fn is_saved(&self, name: &str) -> bool {
        self.etc(&format!("inactive-manifests/{NAMESPACE}_{name}.yaml")).is_file()
    }

    /// Its checkpoint is in the kubelet's directory.
    pub fn is_active(&self, name: &str) -> bool {
        self.config.node.manifests_dir.join(format!("{NAMESPACE}_{name}.yaml")).is_file()
    }

    /// Nothing of its checkpoint is on disk.
    pub fn is_removed(&self, name: &str) -> bool {
        let trees = ["checkpoint-secrets", "checkpoint-configmaps", "checkpoint-volumes"];
        let assets = trees.iter().any(|tree| self.etc(&format!("{tree}/{NAMESPACE}/{name}")).exists());
        !self.is_saved(name) && !self.is_active(name) && !assets
    }

    /// The runtime lists nothing more of the API's pod, dead sandboxes neither.
    pub fn is_forgotten(&self, name: &str) -> bool {
        let machine = self.kubelet.machine().lock();
        !machine.sandboxes.iter().any(|s| !s.is_static() && s.pod() == of_namespace(name))
    }

    /// What the agent last said of itself.
    pub fn status(&self) -> StatusDoc {
        let text = std::fs::read(self.config.node.report_file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// What the agent last said of this pod.
    pub fn status_of(&self, name: &str) -> Option<PodStatus> {
        self.status().pods.into_iter().find(|p| p.report.name == name)
    }

    /// Waits until it is so; `Err` says what never was, and how things stand instead.
    pub async fn wait(&self, what: &str, limit: Duration, so: impl Fn(&Self) -> bool) -> Result<Duration, String> {
        let start = Instant::now();
        while !so(self) {
            if start.elapsed() > limit {
                let files = super::tree::lines(&self.config.node.etc_dir).join("\n");
                let (status, kubelet) = (self.status(), self.kubelet.statuses());
                return Err(format!("never: {what}\n{files}\nagent: {status:#?}\nkubelet: {kubelet:#?}"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(start.elapsed())
    }

    /// [`Self::wait`] for tests.
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) -> Duration {
        self.wait(what, PATIENCE, so).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Fails if it is not so, at any look during this time.
    pub async fn throughout(&self, what: &str, time: Duration, so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while start.elapsed() < time {
            assert!(so(self), "not so after {:?}: {what}; agent: {:#?}", start.elapsed(), self.status());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The agent has done only what it has any business to.
    pub fn assert_no_unexpected(&self) {
        assert!(!self.ties.is_finished(), "what ties the node to its cluster has panicked: see above");
        self.api.assert_no_unexpected();
        let unexpected = &self.runtime.calls().unexpected;
        assert!(unexpected.is_empty(), "unexpected calls: {unexpected:#?}");
        let refused = self.kubelet.refused();
        assert!(refused.is_empty(), "the kubelet refuses manifests: {refused:#?}");
    }
}

fn of_namespace(name: &str) -> String {
    format!("{NAMESPACE}/{name}")
}

/// With `AGENT_LOG` set, every agent of this process logs to stderr.
fn log_if_asked() {
    if std::env::var_os("AGENT_LOG").is_some() {
        // Every test of the process asks for it; the first one gets it.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(io::stderr).try_init();
    }
}

fn make_run(root: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root.join("run/lock"))
}

/// Names the server and holds no credentials: the agent has its own.
/// One user of one server, who shows these credentials.
pub fn kubeconfig(server: &str, credentials: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "node",
        "clusters": [{"name": "site", "cluster": {"server": server}}],
        "contexts": [{"name": "node", "context": {"cluster": "site", "user": "node"}}],
        "users": [{"name": "node", "user": credentials}],
    })
    .to_string()
}

fn config(root: &Path, kubelet: &FakeKubelet) -> AgentConfig {
    AgentConfig {
        node_name: NODE.to_owned(),
        node: NodeConfig {
            manifests_dir: kubelet.settings().manifests.clone(),
            etc_dir: root.join("etc/kubernetes"),
            kubelet_dir: kubelet.settings().dir.clone(),
            kubelet_kubeconfig: Some(root.join("kubelet.conf")),
            runtime_socket: Some(root.join("containerd.sock")),
            run_dir: root.join("run/pod-checkpointer"),
            lock_file: root.join("run/lock/pod-checkpointer.lock"),
        },
        api: ApiConfig::default(),
        scope: Scope::Only(BTreeSet::from([NAMESPACE.to_owned()])),
        own: None,
        listen: None,
        probe_socket: None,
        keep_annotations: Vec::new(),
        token_ttl: Duration::from_secs(8760 * 3600),
        boot_patience: Duration::from_millis(250),
        timings: timings(),
        logs: Logs { format: LogFormat::Text, level: "info".to_owned() },
        ignored: Vec::new(),
    }
}

/// What a cluster does between its API server and the node, and the node with its containers.
async fn tie(api: FakeApi, kubelet: Arc<FakeKubelet>, agents: Arc<AgentPods>) {
    loop {
        agents.follow(kubelet.machine());
        let answers = matches!(api.mode(), Mode::Up | Mode::Slow(_));
        kubelet.set_api_pods(answers.then(|| api.pods_of(NODE)));
        if answers && kubelet.is_aware() {
            for status in kubelet.statuses().into_iter().filter(|s| !s.is_static) {
                let Some((namespace, name)) = status.pod.split_once('/') else { continue };
                let ready = status.ready && agents.is_ready(&status.pod).await;
                let ready = if ready { "True" } else { "False" };
                let mut shown = json!({"phase": status.phase, "conditions": [{"type": "Ready", "status": ready}]});
                if status.phase == "Failed" {
                    shown["reason"] = json!(status.reason);
                }
                api.report_status(namespace, name, &status.uid, shown);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
