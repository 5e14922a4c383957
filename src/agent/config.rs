//! One validated configuration of `run`, made once from the command line. Only here is the environment read (by clap).
//! Everything wrong with it comes out as one error that says what to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::checker::{Checker, given};
use crate::config::{ApiConfig, ConfigError, Logs};
use crate::dns_name::check_name;
use crate::pod::key::PodKey;
use crate::pod::snapshot::{OwnInstance, Scope};
use crate::pod::timings::Timings;

mod args;
mod validate;

pub use args::{NodeArgs, RunArgs, ScopeArgs};

/// Everything `run` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// The name by which the API server knows this node.
    pub node_name: String,
    /// Where things are on it.
    pub node: NodeConfig,
    /// How the API server is reached.
    pub api: ApiConfig,
    /// Whose pods are kept.
    pub scope: Scope,
    /// The agent itself, where it runs in a pod.
    pub own: Option<OwnInstance>,
    /// Address of the leader's HTTP server, if wanted.
    pub listen: Option<SocketAddr>,
    /// Socket for `probe`. `None` outside a pod where its directory does not exist.
    pub probe_socket: Option<PathBuf>,
    /// Prefixes of annotation keys that stay in checkpoints.
    pub keep_annotations: Vec<String>,
    /// Life of tokens to ask for.
    pub token_ttl: Duration,
    /// Wait for a first route after boot.
    pub boot_patience: Duration,
    /// Every other delay.
    pub timings: Timings,
    /// Level and form of the log.
    pub logs: Logs,
    /// What was understood and ignored, one line each, to be logged once.
    pub ignored: Vec<String>,
}

/// Directories, sockets and files of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The kubelet's static pod path.
    pub manifests_dir: PathBuf,
    /// `/etc/kubernetes`
    pub etc_dir: PathBuf,
    /// The kubelet's root directory.
    pub kubelet_dir: PathBuf,
    /// The kubelet's kubeconfig, where given; else the well-known places are tried.
    pub kubelet_kubeconfig: Option<PathBuf>,
    /// Absolute path of the runtime's socket, where given; else the well-known places are tried.
    pub runtime_socket: Option<PathBuf>,
    /// `/run/pod-checkpointer`
    pub run_dir: PathBuf,
    /// Path of the file whose lock the leading instance holds.
    pub lock_file: PathBuf,
}

impl NodeConfig {
    /// Where the agent leaves its last [`crate::pod::status::StatusDoc`] for `status`.
    pub fn report_file(&self) -> PathBuf {
        self.run_dir.join("report.json")
    }
}

impl AgentConfig {
    /// Checks the arguments of `run` against one another and against what is on this node.
    ///
    /// # Errors
    /// One error with everything that is wrong.
    pub fn from_args(args: RunArgs) -> Result<Self, ConfigError> {
        let mut check = Checker::default();
        let RunArgs { node, api, scope, own, timing, log } = args;
        let node_name = check.node_name(given(node.node_name.clone()));
        let listen = check.listen(&own.listen);
        let own_pod =
            check.own(given(own.pod_name), given(scope.pod_namespace.clone()), given(own.config_source).as_deref());
        check.log_level(&log.log_level);
        check.at_least("--token-ttl", own.token_ttl, Duration::from_secs(600), "the API server grants no less");
        check.at_least("--grace-period", timing.grace_period, Duration::from_secs(1), "0 would remove at a glance");
        check.at_least("--refresh-interval", timing.refresh_interval, Duration::from_secs(10), "it costs API requests");
        let node = check.node(node);
        check.layout(&node);
        let config = Self {
            node_name,
            api: check.api(api),
            scope: check.scope(scope),
            probe_socket: check.probe_socket(own.probe_socket, own_pod.is_some()),
            own: own_pod,
            listen,
            keep_annotations: own.keep_annotation.into_iter().filter(|prefix| !prefix.is_empty()).collect(),
            token_ttl: own.token_ttl,
            boot_patience: timing.boot_patience,
            timings: Timings {
                activation_delay: timing.activation_delay,
                grace: timing.grace_period,
                refresh: timing.refresh_interval,
                ..Timings::default()
            },
            logs: Logs { format: log.log_format, level: log.log_level },
            ignored: timing
                .runtime_request_timeout
                .map(|value| {
                    format!("--runtime-request-timeout={value}: every call to the runtime has its own deadline")
                })
                .into_iter()
                .collect(),
            node,
        };
        check.finish(config)
    }
}

impl NodeConfig {
    /// For `status` and `doctor`, which look at a broken node too: only the form of the values is checked.
    ///
    /// # Errors
    /// One error with everything that is wrong.
    pub fn from_args(args: NodeArgs) -> Result<Self, ConfigError> {
        let mut check = Checker::default();
        let config = check.node(args);
        check.finish(config)
    }
}

impl ScopeArgs {
    /// For `doctor`.
    ///
    /// # Errors
    /// A namespace that is no DNS name.
    pub fn scope(self) -> Result<Scope, ConfigError> {
        let mut check = Checker::default();
        let scope = check.scope(self);
        check.finish(scope)
    }
}

impl NodeArgs {
    /// The node's name as given, else this machine's host name, which is what a kubelet takes by default.
    pub fn node_name_or_host(&self) -> String {
        given(self.node_name.clone()).unwrap_or_else(|| {
            std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase()
        })
    }
}

/// `namespace/name` as given by an operator or the downward API.
fn own_key(namespace: &str, name: &str) -> Result<PodKey, String> {
    check_name("namespace", namespace).and_then(|()| PodKey::new(namespace, name)).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests;
