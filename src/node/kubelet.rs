//! The kubelet of this node, as far as its files tell: which process it is, where it finds its API server and its
//! manifests. Whether it lets a pod use an image: [`super::pull_records`].

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::pod::runtime::KubeletIdentity;

/// `--root-dir` of a kubelet that was not told otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/kubelet";
/// Where kubeadm writes the kubelet's kubeconfig.
pub const KUBEADM_KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";

/// A file of the kubelet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is not what it should be. Says where, never what stands there: a kubeconfig holds credentials.
    #[error("{} is not a {what}{at}", .path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// ` (line L, column C)`, where known.
        at: String,
    },
    /// A kubeconfig without an address for its current context.
    #[error("{} names no server for its current context", .path.display())]
    NoServer {
        /// Path of the kubeconfig.
        path: PathBuf,
    },
    /// There is no kubeconfig in any of the places where kubelets have theirs.
    #[error("no kubeconfig of the kubelet at {}; name it with --kubelet-kubeconfig", .tried.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" or "))]
    NoKubeconfig {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The whole directory is not there, so that a file missing from it says nothing.
    #[error("the kubelet's directory {} is not there; name it with --kubelet-dir, and mount it", .path.display())]
    NoDirectory {
        /// Where it should be.
        path: PathBuf,
    },
}

/// The kubelet's directory, `/var/lib/kubelet` on most nodes.
#[derive(Debug, Clone)]
pub struct KubeletDir {
    path: PathBuf,
}

/// What the kubelet's own configuration file says, where it has one. Fields of `KubeletConfiguration`,
/// `kubelet.config.k8s.io/v1beta1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeletConfig {
    /// Directory that it reads static pods from; `None`: it reads none.
    pub static_pod_path: Option<PathBuf>,
    /// Endpoint of its container runtime, as `unix:///path`.
    pub container_runtime_endpoint: Option<String>,
    /// Which images a pod may use without showing credentials; empty: the default.
    pub(super) image_pull_credentials_verification_policy: String,
    /// Names without tag, or prefixes that end in `/*`.
    pub(super) preloaded_images_verification_allowlist: Vec<String>,
    /// Features turned on or off by hand.
    pub(super) feature_gates: BTreeMap<String, bool>,
}

impl KubeletDir {
    /// The kubelet of which `path` is the `--root-dir`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The kubelet's `--root-dir`, as it is mounted here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which kubelet process this is; `None` while it has not made its socket (it has not started since boot, or is
    /// just starting), or where the socket cannot be seen.
    pub fn identity(&self) -> Option<KubeletIdentity> {
        let socket = std::fs::symlink_metadata(self.path.join("pod-resources/kubelet.sock")).ok()?;
        let ctime = socket.ctime().saturating_mul(1_000_000_000).saturating_add(socket.ctime_nsec());
        Some(KubeletIdentity { inode: socket.ino(), ctime })
    }

    /// Its `config.yaml` as kubeadm writes it; `None` where there is none (it was configured some other way).
    pub fn config(&self) -> Result<Option<KubeletConfig>, KubeletError> {
        let path = self.path.join("config.yaml");
        read(&path)?.map(|text| parse(&path, "KubeletConfiguration", &text)).transpose()
    }

    /// Where the kubelet reads static pods, by its configuration file; `None` where that does not say.
    pub fn static_pod_path(&self) -> Result<Option<PathBuf>, KubeletError> {
        Ok(self.config()?.and_then(|config| config.static_pod_path).filter(|path| !path.as_os_str().is_empty()))
    }

    /// The API server that the kubelet talks to: `server:` of `given`, or else of the first kubeconfig found in the
    /// usual places.
    pub fn api_server(&self, given: Option<&Path>) -> Result<String, KubeletError> {
        let usual = [PathBuf::from(KUBEADM_KUBECONFIG), self.path.join("kubeconfig")];
        server_of_first(given.map_or(usual.to_vec(), |path| vec![path.to_owned()]))
    }
}

/// The `server:` of a kubeconfig's current context, or of its only cluster.
pub fn kubeconfig_server(path: &Path) -> Result<String, KubeletError> {
    server_of_first(vec![path.to_owned()])
}

fn server_of_first(paths: Vec<PathBuf>) -> Result<String, KubeletError> {
    for path in &paths {
        if let Some(text) = read(path)? {
            return server_in(path, &text);
        }
    }
    Err(KubeletError::NoKubeconfig { tried: paths })
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    server: String,
}

fn server_in(path: &Path, text: &str) -> Result<String, KubeletError> {
    let config: Kubeconfig = parse(path, "kubeconfig", text)?;
    let context = config.contexts.iter().find(|c| c.name == config.current_context);
    let cluster = match (context, config.clusters.as_slice()) {
        (Some(context), clusters) => clusters.iter().find(|c| c.name == context.context.cluster),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let server = cluster.map(|c| c.cluster.server.trim()).filter(|server| !server.is_empty());
    server.map(str::to_owned).ok_or_else(|| KubeletError::NoServer { path: path.to_owned() })
}

/// The text of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, KubeletError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KubeletError::Read { path: path.to_owned(), source }),
    }
}

/// Reads YAML, of which JSON is a part.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, what: &'static str, text: &str) -> Result<T, KubeletError> {
    serde_yaml::from_str(text).map_err(|e| {
        let at = e.location().map(|l| format!(" (line {}, column {})", l.line(), l.column()));
        KubeletError::Malformed { path: path.to_owned(), what, at: at.unwrap_or_default() }
    })
}

#[cfg(test)]
mod tests;
