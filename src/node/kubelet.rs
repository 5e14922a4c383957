//! The kubelet of this node, as far as its files tell: which process it is, where it finds its API server and its
//! manifests. Whether it lets a pod use an image: [`super::pull_records`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::hex::Hex;
use crate::pod::runtime::{KubeletCluster, KubeletIdentity};

mod running;

pub use running::KubeletFlags;

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

    /// Its configuration by its flags, as far as they can be seen, else its `config.yaml` as kubeadm writes it; `None` where
    /// there is none (it was configured some other way).
    pub fn config(&self) -> Result<Option<KubeletConfig>, KubeletError> {
        self.config_under(&self.flags().unwrap_or_default())
    }

    /// What the running kubelet was started with; `None` where that cannot be seen.
    pub fn flags(&self) -> Option<KubeletFlags> {
        KubeletFlags::of_running(Path::new("/proc"), &self.path)
    }

    /// Where the kubelet reads static pods, by its configuration file; `None` where that does not say.
    pub fn static_pod_path(&self) -> Result<Option<PathBuf>, KubeletError> {
        Ok(self.config()?.and_then(|config| config.static_pod_path).filter(|path| !path.as_os_str().is_empty()))
    }

    /// The API server that the kubelet talks to: `server:` of `given`, or else of the first kubeconfig found in the
    /// usual places.
    pub fn api_server(&self, given: Option<&Path>) -> Result<String, KubeletError> {
        Ok(cluster_of_first(self.kubeconfigs(given))?.server)
    }

    /// The cluster that the kubelet belongs to, by the same file; `None` where that cannot be read, or names no server that
    /// a kubelet could talk to: it is damaged then, not another one's.
    pub fn cluster(&self, given: Option<&Path>) -> Option<KubeletCluster> {
        let cluster = cluster_of_first(self.kubeconfigs(given)).ok()?;
        cluster.server.parse::<http::Uri>().ok().filter(|url| url.scheme().is_some())?;
        Some(KubeletCluster { authorities: authorities(&cluster)?, server: cluster.server })
    }

    fn kubeconfigs(&self, given: Option<&Path>) -> Vec<PathBuf> {
        let usual = || vec![PathBuf::from(KUBEADM_KUBECONFIG), self.path.join("kubeconfig")];
        given.map_or_else(usual, |path| vec![path.to_owned()])
    }
}

/// The `server:` of a kubeconfig's current context, or of its only cluster.
pub fn kubeconfig_server(path: &Path) -> Result<String, KubeletError> {
    Ok(cluster_of_first(vec![path.to_owned()])?.server)
}

fn cluster_of_first(paths: Vec<PathBuf>) -> Result<Cluster, KubeletError> {
    for path in &paths {
        if let Some(text) = read(path)? {
            return cluster_in(path, &text);
        }
    }
    Err(KubeletError::NoKubeconfig { tried: paths })
}

/// SHA-256 of the public keys of the CAs that a kubeconfig's cluster names; `None`: there are some and they cannot be read.
fn authorities(cluster: &Cluster) -> Option<BTreeSet<String>> {
    let pem = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => BASE64.decode(data.trim()).ok()?,
        (None, Some(path)) => std::fs::read(path).ok()?,
        (None, None) => return Some(BTreeSet::new()),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    let key = |root: &TrustAnchor| Hex(&Sha256::digest(root.subject_public_key_info.as_ref())).to_string();
    let keys: BTreeSet<String> = roots.roots.iter().map(key).collect();
    (!keys.is_empty()).then_some(keys)
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
#[serde(rename_all = "kebab-case")]
struct Cluster {
    #[serde(default)]
    server: String,
    /// PEM in Base64.
    certificate_authority_data: Option<String>,
    /// The path of a PEM file, where there is no data.
    certificate_authority: Option<PathBuf>,
}

fn cluster_in(path: &Path, text: &str) -> Result<Cluster, KubeletError> {
    let mut config: Kubeconfig = parse(path, "kubeconfig", text)?;
    let context = config.contexts.iter().find(|c| c.name == config.current_context);
    let at = match (context, config.clusters.len()) {
        (Some(context), _) => config.clusters.iter().position(|c| c.name == context.context.cluster),
        (None, 1) => Some(0),
        (None, _) => None,
    };
    let mut cluster = at
        .map(|at| config.clusters.swap_remove(at).cluster)
        .ok_or_else(|| KubeletError::NoServer { path: path.to_owned() })?;
    let server = cluster.server.trim().to_owned();
    cluster.server = server;
    if cluster.server.is_empty() { Err(KubeletError::NoServer { path: path.to_owned() }) } else { Ok(cluster) }
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
