//! What every long-running role takes on the command line. Comments on fields are the `--help` that people read.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How the API server is reached: shared by `run`, `serve` and `doctor`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "API server")]
pub struct ApiArgs {
    /// URL of the API server, tried beside the kubelet's own and the Service IP. Repeatable
    #[arg(long, env = "POD_CHECKPOINTER_API_SERVER", value_name = "URL", value_delimiter = ',')]
    pub api_server: Vec<String>,
    /// Kubeconfig to use in place of the pod's own ServiceAccount
    #[arg(long, env = "POD_CHECKPOINTER_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    #[arg(long, env = "KUBERNETES_SERVICE_HOST", hide = true)]
    pub(super) kubernetes_service_host: Option<String>,
    #[arg(long, env = "KUBERNETES_SERVICE_PORT", hide = true)]
    pub(super) kubernetes_service_port: Option<String>,
}

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// One line a message, or one JSON object
    #[arg(long, env = "POD_CHECKPOINTER_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// error, warn, info, debug or trace; also per module, e.g. info,pod_checkpointer::cluster=debug
    #[arg(long, env = "POD_CHECKPOINTER_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For log collectors.
    Json,
}
