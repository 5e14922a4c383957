//! What can be said on the command line, as clap reads it. Nothing here is checked beyond its form: that is
//! [`super::Config`]'s part. Comments on fields are the `--help` that people read.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::{ApiArgs, LogArgs};
use crate::duration;

/// Where things are on this node: shared by `run`, `status` and `doctor`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "This node")]
pub struct NodeArgs {
    /// Name of this node in the cluster. In a pod: from the downward API (spec.nodeName)
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Directory that the kubelet reads static pods from (its staticPodPath)
    #[arg(
        long,
        env = "POD_CHECKPOINTER_MANIFESTS_DIR",
        value_name = "DIR",
        default_value = "/etc/kubernetes/manifests"
    )]
    pub manifests_dir: PathBuf,
    /// Directory for everything kept: inactive manifests, copies of Secrets and ConfigMaps. Best on the same
    /// filesystem as --manifests-dir, so that a checkpoint is activated by a hard link
    #[arg(long, env = "POD_CHECKPOINTER_ETC_DIR", value_name = "DIR", default_value = "/etc/kubernetes")]
    pub etc_dir: PathBuf,
    /// The kubelet's own directory (its --root-dir)
    #[arg(long, env = "POD_CHECKPOINTER_KUBELET_DIR", value_name = "DIR", default_value = "/var/lib/kubelet")]
    pub kubelet_dir: PathBuf,
    /// The kubelet's kubeconfig; only its `server:` is read [default: /etc/kubernetes/kubelet.conf, then
    /// kubeconfig in --kubelet-dir]
    #[arg(long, env = "POD_CHECKPOINTER_KUBELET_KUBECONFIG", value_name = "FILE")]
    pub kubelet_kubeconfig: Option<PathBuf>,
    /// Socket of the container runtime (CRI v1), e.g. unix:///run/containerd/containerd.sock [default: the
    /// first found of containerd's, CRI-O's, k3s's and cri-dockerd's]
    #[arg(long, env = "POD_CHECKPOINTER_CONTAINER_RUNTIME_ENDPOINT", value_name = "SOCKET")]
    pub container_runtime_endpoint: Option<String>,
    /// Directory for what may be lost in a reboot (timers, the last report); on tmpfs
    #[arg(long, env = "POD_CHECKPOINTER_RUN_DIR", value_name = "DIR", default_value = "/run/pod-checkpointer")]
    pub run_dir: PathBuf,
    /// Lock that makes one agent the leader of this node; the same file as the original program's, so that the
    /// two never work side by side
    #[arg(
        long,
        env = "POD_CHECKPOINTER_LOCK_FILE",
        value_name = "FILE",
        default_value = "/run/lock/pod-checkpointer.lock"
    )]
    pub lock_file: PathBuf,
}

/// Which pods are kept: shared by `run`, `status` and `doctor`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is kept")]
pub struct ScopeArgs {
    /// Namespace of this agent. In a pod: from the downward API (metadata.namespace)
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// Namespace whose annotated pods are kept; repeatable [default: --pod-namespace, else kube-system]. The
    /// agent's ServiceAccount needs the rights of rbac/ in each
    #[arg(long, env = "POD_CHECKPOINTER_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// Keep annotated pods of every namespace (needs a ClusterRole in place of the Role)
    #[arg(long, env = "POD_CHECKPOINTER_ALL_NAMESPACES")]
    pub all_namespaces: bool,
}

/// Everything `run` takes.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) own: OwnArgs,
    #[command(flatten)]
    pub(super) timing: TimingArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// The agent itself.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The agent itself")]
pub(super) struct OwnArgs {
    /// Name of this agent's pod. In a pod: from the downward API (metadata.name)
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub(super) pod_name: Option<String>,
    /// Where the kubelet got this agent's pod from: `api` for the DaemonSet's, `file` for its own checkpoint. In
    /// a pod: from the downward API (annotation kubernetes.io/config.source)
    #[arg(long, env = "POD_CONFIG_SOURCE", value_name = "api|file")]
    pub(super) config_source: Option<String>,
    /// Address of /metrics, /livez, /readyz and /status, bound by the leader alone; empty to switch it off
    #[arg(long, env = "POD_CHECKPOINTER_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:9881")]
    pub(super) listen: String,
    /// Socket that `pod-checkpointer probe` asks; in a per-pod emptyDir
    #[arg(long, env = "POD_CHECKPOINTER_PROBE_SOCKET", value_name = "FILE", default_value = "/probe/probe.sock")]
    pub(super) probe_socket: PathBuf,
    /// Annotations whose key begins with this stay in checkpoints, e.g. those of a CNI plugin. Repeatable
    #[arg(long, env = "POD_CHECKPOINTER_KEEP_ANNOTATION", value_name = "PREFIX", value_delimiter = ',')]
    pub(super) keep_annotation: Vec<String>,
    /// Life of the tokens asked for checkpoints (the API server may grant less); at least 10m
    #[arg(long, env = "POD_CHECKPOINTER_TOKEN_TTL", value_name = "DURATION", default_value = "8760h", value_parser = duration::parse)]
    pub(super) token_ttl: Duration,
}

/// How long things take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Delays (like 90s, 1m30s, 8760h)")]
pub(super) struct TimingArgs {
    /// With the API server answering: how long a pod must be down on the node before its checkpoint runs
    #[arg(long, env = "POD_CHECKPOINTER_ACTIVATION_DELAY", value_name = "DURATION", default_value = "90s", value_parser = duration::parse)]
    pub(super) activation_delay: Duration,
    /// How long the API server must answer that a pod is gone before its checkpoint is removed
    #[arg(long, alias = "checkpoint-grace-period", env = "POD_CHECKPOINTER_GRACE_PERIOD", value_name = "DURATION", default_value = "60s", value_parser = duration::parse)]
    pub(super) grace_period: Duration,
    /// How often Secrets and ConfigMaps on disk are compared with the API server's
    #[arg(long, env = "POD_CHECKPOINTER_REFRESH_INTERVAL", value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    pub(super) refresh_interval: Duration,
    /// Just after boot, without any route: how long to wait for one before the API server counts as unavailable
    #[arg(long, env = "POD_CHECKPOINTER_BOOT_PATIENCE", value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    pub(super) boot_patience: Duration,
    /// The original program's; understood and ignored
    #[arg(long, hide = true)]
    pub(super) runtime_request_timeout: Option<String>,
}
