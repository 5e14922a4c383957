//! The composition root of `run`: makes the parts, waits for the node's lock, leads until there is a reason not to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::agent::config::AgentConfig;
use crate::agent::http::health::Health;
use crate::agent::http::{View, probe_socket, server};
use crate::agent::metrics::Metrics;
use crate::agent::reconcile::apply::Executor;
use crate::agent::reconcile::capture::{CaptureTerms, Capturer};
use crate::agent::reconcile::capture_queue::CaptureQueue;
use crate::agent::reconcile::observe::Observer;
use crate::agent::reconcile::reconciler::{LoopEnd, Reconciler};
use crate::agent::reconcile::run_state::RunState;
use crate::agent::store::{Layout, Store};
use crate::cluster::client::ApiClient;
use crate::cluster::config::{ClientConfig, SERVICE_ACCOUNT_DIR};
use crate::cluster::pods::{PodReader, ReaderConfig};
use crate::cluster::request_metrics::RequestMetrics;
use crate::disk::changes::Changes;
use crate::disk::lock::NodeLock;
use crate::node::cri::Cri;
use crate::node::cri_socket;
use crate::node::kubelet::KubeletDir;
use crate::node::runtime_watch::{self, RuntimeWatch};
use crate::openmetrics;
use crate::signals;

pub mod config;
pub mod http;
pub mod metrics;
pub mod reconcile;
mod reporter;
pub mod store;
mod watchdog;

use reporter::Reporter;
use watchdog::Watchdog;

/// After stepping down, so that the instance that waits for the lock gets it.
const BEFORE_WAITING_AGAIN: Duration = Duration::from_secs(5);

/// Runs the agent until a signal tells the process to stop.
///
/// # Errors
/// What cannot work on this node, with what to do; everything that can come back (API, runtime, disk) is waited for.
pub async fn run(config: AgentConfig) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let stop = async move { tracing::info!("{}", stop.await) };
    run_until(config, stop).await
}

/// Runs the agent until `stop` is over, then drops it where it stands: nothing is brought to an end, so that stopping
/// is no gentler than a power cut.
///
/// # Errors
/// As [`run`].
pub async fn run_until(config: AgentConfig, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    for line in &config.ignored {
        tracing::info!("{line}");
    }
    if let Some(why) = config.own.as_ref().and_then(|own| config.scope.leaves_out(own.key.namespace())) {
        tracing::error!("{why}");
    }
    let agent = Agent::assemble(config).await?;
    let probes = agent.serve_probes();
    tokio::select! {
        ended = agent.terms() => ended,
        never = probes => match never {},
        () = stop => Ok(()),
    }
}

/// Everything that the agent counts, for its listener to encode.
pub fn registry(metrics: &Metrics, requests: &RequestMetrics) -> Registry {
    let mut registry = openmetrics::registry("pod_checkpointer");
    metrics.register(&mut registry);
    requests.register(&mut registry);
    registry
}

/// What lives as long as this run.
struct Agent {
    config: AgentConfig,
    store: Arc<Store>,
    client: ApiClient,
    cri: Cri,
    kubelet: KubeletDir,
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    view: watch::Sender<Arc<View>>,
    watchdog: Watchdog,
}

impl Agent {
    async fn assemble(config: AgentConfig) -> anyhow::Result<Self> {
        let layout = Layout { etc: config.node.etc_dir.clone(), manifests: config.node.manifests_dir.clone() };
        let store = Arc::new(Store::open(&layout).unwrap_or_else(|why| {
            tracing::error!("{why}; what is saved is kept and brought back, nothing new is saved until that is mended");
            Store::at(&layout)
        }));
        let kubelet = KubeletDir::new(&config.node.kubelet_dir);
        let client = ApiClient::lenient(&client_config(&config, &kubelet)).await;
        for why in client.faults() {
            tracing::warn!("{why}; what is saved is brought back all the same");
        }
        let cri = runtime(&config, &kubelet).await?;
        let health = Health { is_twin: is_twin(&config), stuck_after: config.timings.stuck, ..Health::default() };
        let (view, _) = watch::channel(Arc::new(View { health, ..View::default() }));
        let watchdog = Watchdog::start(config.timings.stuck)?;
        let metrics = Arc::new(Metrics::default());
        let registry = Arc::new(registry(&metrics, client.requests()));
        Ok(Self { config, store, client, cri, kubelet, metrics, registry, view, watchdog })
    }

    fn serve_probes(&self) -> impl Future<Output = std::convert::Infallible> + use<> {
        let listener = self.config.probe_socket.as_deref().and_then(|path| {
            let bound = probe_socket::bind(path);
            bound.inspect_err(|why| tracing::error!("{why:#}; probes fail, everything else goes on")).ok()
        });
        let view = self.view.subscribe();
        async move {
            match listener {
                Some(listener) => probe_socket::serve(listener, view).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Leads, again and again.
    async fn terms(&self) -> anyhow::Result<()> {
        loop {
            tracing::info!(lock = %self.config.node.lock_file.display(), twin = is_twin(&self.config), "waiting for the node's lock");
            let lock = NodeLock::acquire(&self.config.node.lock_file).await?;
            let ended = self.lead().await?;
            self.metrics.leading(false);
            self.view.send_modify(|view| {
                let health = &mut Arc::make_mut(view).health;
                (health.leads, health.reconciled, health.busy_since) = (false, false, None);
            });
            drop(lock);
            match ended {
                LoopEnd::SteppedDown => {
                    tracing::info!("stepped down for the DaemonSet's instance");
                    tokio::time::sleep(BEFORE_WAITING_AGAIN).await;
                }
                LoopEnd::Left => {
                    tracing::info!("nothing of ours is left on this node; waiting to be stopped");
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    async fn lead(&self) -> anyhow::Result<LoopEnd> {
        tracing::info!("leading on this node");
        self.metrics.leading(true);
        self.view.send_modify(|view| Arc::make_mut(view).health.leads = true);
        for why in self.store.sweep() {
            tracing::warn!("cannot clean up after the last run: {why}");
        }
        let runtime = RuntimeWatch::spawn(self.cri.clone(), runtime_watch::RuntimeWatchTimings::default());
        let pods = runtime.subscribe();
        // Both are asked before the first pass: "not asked yet" decides nothing and would cost one.
        let (reader, _) = tokio::join!(PodReader::start(self.client.clone(), self.reader_config()), runtime.refresh());
        let reader = reader?;
        let mut faults = Vec::new();
        let (_disk_watch, disk_changes) = self.watch_disk(&mut faults);
        let (_kubelet_watch, kubelet_changes) = self.watch_kubelet(&mut faults);
        let run_state = RunState::at(&self.config.node.run_dir);
        let capturer = Capturer::new(
            self.client.clone(),
            self.cri.clone(),
            self.kubelet.clone(),
            Arc::clone(&self.store),
            reader.subscribe(),
            self.capture_terms(),
        );
        let reconciler = Reconciler {
            observer: Observer {
                node_name: self.config.node_name.clone(),
                manifests_dir: self.config.node.manifests_dir.clone(),
                own: self.config.own.clone(),
                scope: self.config.scope.clone(),
                reader,
                client: self.client.clone(),
                runtime,
                kubelet: self.kubelet.clone(),
                kubelet_kubeconfig: self.config.node.kubelet_kubeconfig.clone(),
                store: Arc::clone(&self.store),
                pods,
                inventory: None,
                faults,
                capturing: std::collections::BTreeSet::new(),
                captures: std::collections::BTreeMap::new(),
                scheduling: None,
            },
            executor: Executor { store: Arc::clone(&self.store), cri: self.cri.clone() },
            captures: CaptureQueue::new(capturer),
            ended: Vec::new(),
            pass_observer: Reporter {
                view: self.view.clone(),
                metrics: Arc::clone(&self.metrics),
                reports: RunState::at(&self.config.node.run_dir),
                watchdog: self.watchdog.clone(),
            },
            run_state,
            timings: self.config.timings.clone(),
            disk_changes,
            kubelet_changes,
        };
        tokio::select! {
            ended = reconciler.run() => Ok(ended),
            never = self.serve_people() => match never {},
        }
    }

    async fn serve_people(&self) -> std::convert::Infallible {
        let sources = server::Sources { view: self.view.subscribe(), registry: Arc::clone(&self.registry) };
        match self.config.listen {
            Some(address) => server::serve(address, sources).await,
            None => std::future::pending().await,
        }
    }

    fn reader_config(&self) -> ReaderConfig {
        let pace = crate::cluster::pods::PodWatchTimings {
            limit: self.config.timings.api_limit,
            boot_patience: self.config.boot_patience,
            ..crate::cluster::pods::PodWatchTimings::default()
        };
        ReaderConfig {
            node: self.config.node_name.clone(),
            scope: self.config.scope.clone(),
            expected: self.store.cluster().known().cloned(),
            keep_annotations: self.config.keep_annotations.clone(),
            pace,
        }
    }

    fn capture_terms(&self) -> CaptureTerms {
        CaptureTerms {
            node_name: self.config.node_name.clone(),
            service: self.config.api.service.as_ref().map(|s| (s.host.clone(), s.port.clone())),
            etc_dir: self.config.node.etc_dir.clone(),
            keep_annotations: self.config.keep_annotations.clone(),
            token_ttl: self.config.token_ttl,
        }
    }

    fn watch_disk(&self, faults: &mut Vec<String>) -> (Changes, watch::Receiver<u64>) {
        let inactive = self.config.node.etc_dir.join("inactive-manifests");
        watch_or_look(&[&self.config.node.manifests_dir, &inactive], faults)
    }

    /// The kubelet makes its socket anew when it starts.
    fn watch_kubelet(&self, faults: &mut Vec<String>) -> (Changes, watch::Receiver<u64>) {
        let sockets = self.kubelet.path().join("pod-resources");
        let directory: PathBuf = if sockets.is_dir() { sockets } else { self.kubelet.path().to_owned() };
        watch_or_look(&[&directory], faults)
    }
}

/// Where a directory cannot be watched, decisions are only later.
fn watch_or_look(directories: &[&Path], faults: &mut Vec<String>) -> (Changes, watch::Receiver<u64>) {
    let (changes, receiver, fault) = Changes::of_or_looking(directories);
    if let Some(why) = fault {
        tracing::warn!("{why}");
        faults.push(format!("{why} (looked at every 5s meanwhile)"));
    }
    (changes, receiver)
}

fn is_twin(config: &AgentConfig) -> bool {
    config.own.as_ref().is_some_and(|own| own.is_twin)
}

/// The operator's address, the kubelet's and the Service IP, all with the agent's own credentials.
fn client_config(config: &AgentConfig, kubelet: &KubeletDir) -> ClientConfig {
    let mut servers = config.api.servers.clone();
    match kubelet.api_server(config.node.kubelet_kubeconfig.as_deref()) {
        Ok(server) => servers.push(server),
        Err(why) => tracing::info!("{why}"),
    }
    servers.extend(config.api.service.as_ref().map(crate::config::ServiceEndpoint::url));
    ClientConfig::in_pod(servers, Path::new(SERVICE_ACCOUNT_DIR), config.api.kubeconfig.clone())
}

async fn runtime(config: &AgentConfig, kubelet: &KubeletDir) -> anyhow::Result<Cri> {
    let given = config.node.runtime_socket.as_ref().map(|path| path.to_string_lossy().into_owned());
    let kubelets = kubelet.config().ok().flatten().and_then(|c| c.container_runtime_endpoint);
    let sockets = cri_socket::candidates(given.as_deref(), kubelets.as_deref())?;
    if let Some(why) = &sockets.doubt {
        tracing::warn!("{why}");
    }
    let (cri, why) = Cri::first_that_answers(&sockets.paths).await?;
    if let Some(why) = why {
        tracing::warn!("{why}; nothing is decided until it answers");
    }
    Ok(cri)
}
