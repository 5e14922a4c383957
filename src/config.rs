//! What the configurations of all roles share: how the API server is reached, logs, and how what is wrong is told. Each role
//! validates its own once, at its start; nothing else reads the command line or the environment.

use std::path::PathBuf;

mod args;
pub(crate) mod checker;
mod problem;

pub use args::{ApiArgs, LogArgs, LogFormat};
pub use problem::{ConfigError, Problem};

use checker::Checker;

/// How to reach the API server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiConfig {
    /// URLs given by the operator, without a slash at the end.
    pub servers: Vec<String>,
    /// Used in place of the pod's own ServiceAccount.
    pub kubeconfig: Option<PathBuf>,
    /// What the kubelet put into our environment; frozen into checkpoints too.
    pub service: Option<ServiceEndpoint>,
}

/// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// An IP address or name, IPv6 without brackets.
    pub host: String,
    /// Its port, as text.
    pub port: String,
}

impl ServiceEndpoint {
    /// `https://host:port`, with brackets around an IPv6 address.
    pub fn url(&self) -> String {
        if self.host.contains(':') {
            format!("https://[{}]:{}", self.host, self.port)
        } else {
            format!("https://{}:{}", self.host, self.port)
        }
    }
}

/// Which lines are logged, and in which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Text or JSON.
    pub format: LogFormat,
    /// `info`, or per module: `info,pod_checkpointer::cluster=debug`.
    pub level: String,
}

impl ApiConfig {
    /// For `doctor`.
    ///
    /// # Errors
    /// One error with everything that is wrong.
    pub fn from_args(args: ApiArgs) -> Result<Self, ConfigError> {
        let mut check = Checker::default();
        let config = check.api(args);
        check.finish(config)
    }
}
