//! What can be said to `serve`, as clap reads it; the names of variables are the source document's. Comments on fields are
//! the `--help` that people read. Texts stay texts here, so that everything wrong is told in one error.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ApiArgs, LogFormat};
use crate::serve::jobs::limits;

/// Everything `serve` takes.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Repository that checkpoint images are pushed to, like registry.example.com/checkpoints
    #[arg(long, env = "CHECKPOINT_IMAGE_PREFIX", value_name = "HOST[:PORT]/REPOSITORY", help_heading = "Required")]
    pub(super) image_prefix: Option<String>,
    /// Namespace that this runs in (downward API: metadata.namespace)
    #[arg(long, env = "CHECKPOINTER_NAMESPACE", value_name = "NAMESPACE", help_heading = "Required")]
    pub(super) namespace: Option<String>,
    /// Name of this node (downward API: spec.nodeName)
    #[arg(long, env = "CHECKPOINTER_NODE", value_name = "NAME", help_heading = "Required")]
    pub(super) node_name: Option<String>,
    /// IP address of this node (downward API: status.hostIP)
    #[arg(long, env = "CHECKPOINTER_NODE_IP", value_name = "IP", help_heading = "Required")]
    pub(super) node_ip: Option<String>,

    /// Port to listen on [default: 3333]
    #[arg(long, env = "CHECKPOINTER_PORT", value_name = "PORT", help_heading = "Who may ask")]
    pub(super) port: Option<String>,
    /// Listen without TLS. Tokens and archives' names then travel in clear: only behind something that encrypts
    #[arg(long, help_heading = "Who may ask")]
    pub(super) plain_http: bool,
    /// Also take tokens that were made for the API server. Whoever gets such a token here could use it there:
    /// tokens made with `--audience pod-checkpointer` are good for this alone
    #[arg(long, help_heading = "Who may ask")]
    pub(super) accept_api_tokens: bool,
    /// `true`: requests for pods of other nodes are refused instead of being handed on
    #[arg(long, env = "DISABLE_ROUTE_FORWARD", value_name = "BOOL", help_heading = "Who may ask")]
    pub(super) disable_route_forward: Option<String>,
    /// Token for the instances on other nodes, of audience pod-checkpointer
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/run/secrets/checkpointer.alpha.coreos.com/token",
        help_heading = "Who may ask"
    )]
    pub(super) peer_token: PathBuf,
    /// Checkpoints that may wait or run at a time; the next is told to come again (429)
    #[arg(long, value_name = "N", default_value_t = limits::QUEUE, help_heading = "Who may ask")]
    pub(super) max_queue: usize,

    /// Directory for the records of checkpoints; must survive a restart
    #[arg(
        long,
        env = "STORAGE_BASE_PATH",
        value_name = "DIR",
        default_value = "/checkpointer/storage",
        help_heading = "This node"
    )]
    pub(super) storage: PathBuf,
    /// Directory that the kubelet puts archives in
    #[arg(long, value_name = "DIR", default_value = "/var/lib/kubelet/checkpoints", help_heading = "This node")]
    pub(super) checkpoints_dir: PathBuf,
    /// Directory in which the container runtime leaves CRIU's log of a failed checkpoint, a directory per container
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/run/containerd/io.containerd.runtime.v2.task/k8s.io",
        help_heading = "This node"
    )]
    pub(super) runtime_state_dir: PathBuf,
    /// The kubelet's own directory; its pki/kubelet.crt is believed where the cluster's CA does not vouch for it
    #[arg(long, value_name = "DIR", default_value = "/var/lib/kubelet", help_heading = "The kubelet")]
    pub(super) kubelet_dir: PathBuf,
    /// The kubelet's port [default: 10250]
    #[arg(long, env = "KUBELET_PORT", value_name = "PORT", help_heading = "The kubelet")]
    pub(super) kubelet_port: Option<String>,
    /// CA of the kubelet's certificate [default: the cluster's CA, else the kubelet's own certificate]
    #[arg(long, value_name = "FILE", help_heading = "The kubelet")]
    pub(super) kubelet_ca: Option<PathBuf>,
    /// Client certificate for the kubelet, used in place of the ServiceAccount's token where it is there
    #[arg(
        long,
        env = "KUBELET_CERT_FILE",
        value_name = "FILE",
        default_value = "/etc/kubernetes/tls/tls.crt",
        help_heading = "The kubelet"
    )]
    pub(super) kubelet_cert_file: PathBuf,
    /// Its key
    #[arg(
        long,
        env = "KUBELET_KEY_FILE",
        value_name = "FILE",
        default_value = "/etc/kubernetes/tls/tls.key",
        help_heading = "The kubelet"
    )]
    pub(super) kubelet_key_file: PathBuf,
    /// `true`: the kubelet's certificate is not looked at
    #[arg(long, env = "KUBELET_ALLOW_INSECURE", value_name = "BOOL", help_heading = "The kubelet")]
    pub(super) kubelet_allow_insecure: Option<String>,

    /// Registry that is spoken to without TLS; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',', help_heading = "The registry")]
    pub(super) plain_http_registry: Vec<String>,
    /// CA of the registry's certificate, besides the public ones
    #[arg(long, value_name = "FILE", help_heading = "The registry")]
    pub(super) registry_ca: Option<PathBuf>,
    /// Secret of type kubernetes.io/dockerconfigjson in our namespace, with credentials for the registry; none there
    /// is no credentials
    #[arg(
        long,
        env = "KANIKO_SECRET_NAME",
        value_name = "NAME",
        default_value = "kaniko-secret",
        help_heading = "The registry"
    )]
    pub(super) pull_secret: String,
    /// What a push may take, in seconds [default: 3600]
    #[arg(long, env = "KANIKO_TIMEOUT", value_name = "SECONDS", help_heading = "The registry")]
    pub(super) push_timeout: Option<String>,

    /// File with the policy of retention, instead of the cluster's CheckpointRestoreOperator
    #[arg(long, value_name = "FILE", help_heading = "Retention")]
    pub(super) retention_policy: Option<PathBuf>,

    #[command(flatten)]
    pub(super) api: ApiArgs,
    /// Directory with the token and the CA of our ServiceAccount, for the API server and the kubelet
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount",
        help_heading = "API server"
    )]
    pub(super) service_account_dir: PathBuf,

    /// One line a message, or one JSON object [default: json where ENVIRONMENT=prod, else text]
    #[arg(long, env = "POD_CHECKPOINTER_LOG_FORMAT", value_enum, help_heading = "Logs")]
    pub(super) log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace; also per module [default: info]
    #[arg(long, env = "POD_CHECKPOINTER_LOG_LEVEL", value_name = "LEVEL", help_heading = "Logs")]
    pub(super) log_level: Option<String>,
    #[arg(long, env = "ENVIRONMENT", hide = true)]
    pub(super) environment: Option<String>,

    // The source document's, and nothing here.
    #[arg(long, env = "CHECKPOINT_BASE_IMAGE", hide = true)]
    pub(super) checkpoint_base_image: Option<String>,
    #[arg(long, env = "KANIKO_BUILD_CTX_DIR", hide = true)]
    pub(super) kaniko_build_ctx_dir: Option<String>,
    #[arg(long, env = "USE_KANIKO_FS", hide = true)]
    pub(super) use_kaniko_fs: Option<String>,
}
