//! From addresses and credential files to one HTTP client a server. What cannot work is said here, once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::error_chain::chain;
use crate::loopback::is_loopback;

/// Connecting, TLS included, may take this long: a black-holed server must not cost more.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The same from a workstation, which may be a continent away.
const FAR_CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// A connection on which nothing was read for so long is dead; above the silence that a watch is allowed.
const READ_LIMIT: Duration = Duration::from_secs(240);

/// The token among a pod's credentials.
pub const TOKEN: &str = "token";
/// Where the kubelet puts a pod's own credentials, <https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>.
pub const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API servers are and who we are.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// `https://…` or `http://…`, all for one cluster; tried in parallel.
    pub servers: Vec<String>,
    /// CA bundle, read again every minute.
    pub ca_file: Option<PathBuf>,
    /// Bearer token, read again every minute.
    pub token_file: Option<PathBuf>,
    /// Credentials, CA and one more server from this file's current context, in place of the two files above.
    pub kubeconfig: Option<PathBuf>,
}

/// A configuration that can never work.
#[derive(Debug, thiserror::Error)]
pub enum ClientConfigError {
    /// No API server is given, and none is found.
    #[error("no API server is known; give --api-server https://HOST:PORT or --kubeconfig FILE")]
    NoServer,
    /// An address that is none.
    #[error("API server address {server:?} cannot be used: {why}; write it as https://HOST:PORT")]
    BadServer {
        /// As it was given.
        server: String,
        /// Which part of it is no address, or why there can be no client for it.
        why: String,
    },
    /// A kubeconfig that cannot be read or used.
    #[error("kubeconfig {path} cannot be used: {why}; check it with `kubectl --kubeconfig {path} config view`")]
    Kubeconfig {
        /// Path of the kubeconfig.
        path: PathBuf,
        /// Why it cannot be read, or what in it cannot be used.
        why: String,
    },
    /// Nothing here says where the cluster is, or what does is of no use.
    #[error("no cluster to ask: {why}; give --kubeconfig FILE, set KUBECONFIG, or see `kubectl config view`")]
    Environment {
        /// What was found there, with the whole chain of causes.
        why: String,
    },
    /// The only servers that there are would be told our credentials in clear.
    #[error("{}", .0.join("; "))]
    InClear(Vec<String>),
    /// CA or token that cannot be read or used.
    #[error("credentials for {server} cannot be used: {why}; check CA file {ca} and token file {token}")]
    Credentials {
        /// The server they are for.
        server: String,
        /// CA file, or `(none)`.
        ca: String,
        /// Token file, or `(none)`.
        token: String,
        /// Which of the two cannot be read or used, and why.
        why: String,
    },
}

/// One server and the client for it.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) client: kube::Client,
}

impl ClientConfig {
    /// Of a pod that asks `servers` as what its credentials in `directory` say, unless there is a kubeconfig. A file that is
    /// not there is done without.
    pub fn in_pod(servers: impl IntoIterator<Item = String>, directory: &Path, kubeconfig: Option<PathBuf>) -> Self {
        let credential = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
        Self {
            servers: servers.into_iter().collect(),
            ca_file: credential("ca.crt"),
            token_file: credential(TOKEN),
            kubeconfig,
        }
    }

    /// One client a server, in the order given, each server once; and what is wrong with those that are left out (one
    /// that would be told our credentials in clear among them).
    pub(super) async fn connect(&self) -> (Vec<Server>, Vec<ClientConfigError>) {
        let mut faults = Vec::new();
        let base = match &self.kubeconfig {
            Some(path) => match load(path, &KubeConfigOptions::default()).await {
                Ok(base) => Some(base),
                // Its credentials are the only ones: to ask without would be to ask as somebody else.
                Err(why) => return (Vec::new(), vec![why]),
            },
            None => None,
        };
        let mut names = self.servers.clone();
        names.extend(base.iter().map(|b| b.cluster_url.to_string()));
        let mut servers: Vec<Server> = Vec::new();
        for name in names {
            let name = name.trim_end_matches('/').to_owned();
            if !servers.iter().any(|s| s.name == name) {
                match self.server(name, base.clone()) {
                    Ok(server) => servers.push(server),
                    Err(why) => faults.push(why),
                }
            }
        }
        if servers.is_empty() && faults.is_empty() {
            faults.push(ClientConfigError::NoServer);
        }
        (servers, faults)
    }

    fn server(&self, name: String, base: Option<kube::Config>) -> Result<Server, ClientConfigError> {
        let url = parse(&name)?;
        let mut config = base.unwrap_or_else(|| {
            let mut own = kube::Config::new(url.clone());
            own.root_cert_file.clone_from(&self.ca_file);
            // Given no roots, kube loads the system's, and fails in an image that has none. The CA file above takes
            // over all verification; plain HTTP verifies nothing.
            let system_roots = self.ca_file.is_none() && url.scheme_str() == Some("https");
            own.root_cert = if system_roots { None } else { Some(Vec::new()) };
            own.auth_info.token_file = self.token_file.as_ref().map(|p| p.display().to_string());
            own
        });
        config.cluster_url = url;
        keeps_secrets(&config)?;
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.read_timeout = Some(READ_LIMIT);
        config.reset_reader_on_write = true;
        // Its retries would hide 429 and 5xx and wait beyond our deadlines.
        config.default_retry = false;
        let shown = |p: &Option<PathBuf>| p.as_ref().map_or("(none)".to_owned(), |p| p.display().to_string());
        let client = kube::Client::try_from(config).map_err(|e| match &self.kubeconfig {
            Some(path) => ClientConfigError::Kubeconfig { path: path.clone(), why: chain(&e) },
            None => ClientConfigError::Credentials {
                server: name.clone(),
                ca: shown(&self.ca_file),
                token: shown(&self.token_file),
                why: chain(&e),
            },
        })?;
        Ok(Server { name, client })
    }
}

fn parse(server: &str) -> Result<http::Uri, ClientConfigError> {
    let bad = |why: String| ClientConfigError::BadServer { server: server.to_owned(), why };
    let url: http::Uri = server.parse().map_err(|e: http::uri::InvalidUri| bad(e.to_string()))?;
    match (url.scheme_str(), url.host()) {
        (Some("https" | "http"), Some(host)) if !host.is_empty() => Ok(url),
        _ => Err(bad("it needs a scheme (https or http) and a host".to_owned())),
    }
}

/// A token or a password goes over TLS, or no further than this machine.
fn keeps_secrets(config: &kube::Config) -> Result<(), ClientConfigError> {
    let (url, who) = (&config.cluster_url, &config.auth_info);
    let tells = who.token.is_some()
        || who.token_file.is_some()
        || who.password.is_some()
        || who.exec.is_some()
        || who.auth_provider.is_some();
    if !tells || url.scheme_str() == Some("https") || url.host().is_some_and(is_loopback) {
        return Ok(());
    }
    let server = url.to_string();
    Err(ClientConfigError::InClear(vec![format!(
        "API server {} is not asked: a token would travel there in clear; write https:// where it is named",
        server.trim_end_matches('/')
    )]))
}

async fn load(path: &Path, options: &KubeConfigOptions) -> Result<kube::Config, ClientConfigError> {
    let bad = |why: String| ClientConfigError::Kubeconfig { path: path.to_owned(), why };
    let file = Kubeconfig::read_from(path).map_err(|e| bad(chain(&e)))?;
    kube::Config::from_custom_kubeconfig(file, options).await.map_err(|e| bad(chain(&e)))
}

/// A client as `kubectl` would make one: of this kubeconfig and context, else of `KUBECONFIG` or `~/.kube/config`, else of the
/// pod that we are in. Its requests have no deadline: a watch may last.
pub async fn from_environment(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<kube::Client, ClientConfigError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = match kubeconfig {
        Some(path) => load(path, &options).await?,
        None => match kube::Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(why) => kube::Config::incluster()
                .ok()
                .filter(|_| context.is_none())
                .ok_or_else(|| ClientConfigError::Environment { why: chain(&why) })?,
        },
    };
    keeps_secrets(&config)?;
    config.connect_timeout = Some(FAR_CONNECT_LIMIT);
    config.read_timeout = None;
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|e| ClientConfigError::Environment { why: chain(&e) })
}
