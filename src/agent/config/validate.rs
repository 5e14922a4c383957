//! The checks of what `run` takes beyond what all roles share: the node's layout, the agent itself, whose pods are kept.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::args::{NodeArgs, ScopeArgs};
use super::{NodeConfig, own_key};
use crate::config::Problem;
use crate::config::checker::{Checker, given, plain};
use crate::dns_name::check_name;
use crate::pod::snapshot::{OwnInstance, Scope};

impl Checker {
    pub(super) fn own(
        &mut self,
        name: Option<String>,
        namespace: Option<String>,
        source: Option<&str>,
    ) -> Option<OwnInstance> {
        let is_twin = match source {
            None | Some("api") => false,
            Some("file") => true,
            Some(other) => {
                self.unusable("--config-source", other, "it is api or file, as the kubelet writes it");
                false
            }
        };
        match (name, namespace) {
            (Some(name), Some(namespace)) => match own_key(&namespace, &name) {
                Ok(key) => Some(OwnInstance { key, is_twin }),
                Err(why) => {
                    self.unusable("--pod-name", name, why);
                    None
                }
            },
            (Some(_), None) => {
                self.problem(Problem::Missing {
                    flag: "--pod-namespace",
                    variable: "POD_NAMESPACE",
                    remedy: "it goes with --pod-name; from the downward API, fieldPath metadata.namespace",
                });
                None
            }
            // Outside a pod: nothing of its own to keep.
            (None, _) => None,
        }
    }

    pub(super) fn scope(&mut self, args: ScopeArgs) -> Scope {
        let wanted: BTreeSet<String> = args.namespace.into_iter().filter(|name| !name.is_empty()).collect();
        if args.all_namespaces {
            if !wanted.is_empty() {
                self.unusable("--all-namespaces", "true", "give either this or --namespace, not both");
            }
            return Scope::All;
        }
        for name in &wanted {
            if let Err(why) = check_name("namespace", name) {
                self.unusable("--namespace", name, why.to_string());
            }
        }
        if wanted.is_empty() {
            let own = given(args.pod_namespace).unwrap_or_else(|| "kube-system".to_owned());
            return Scope::Only(BTreeSet::from([own]));
        }
        Scope::Only(wanted)
    }

    pub(super) fn listen(&mut self, text: &str) -> Option<SocketAddr> {
        if text.is_empty() {
            return None;
        }
        let address = text.parse().ok();
        if address.is_none() {
            self.unusable("--listen", text, "write an IP address and a port, like 127.0.0.1:9881, or nothing");
        }
        address
    }

    pub(super) fn node(&mut self, args: NodeArgs) -> NodeConfig {
        for (flag, path) in [
            ("--manifests-dir", &args.manifests_dir),
            ("--etc-dir", &args.etc_dir),
            ("--kubelet-dir", &args.kubelet_dir),
            ("--run-dir", &args.run_dir),
            ("--lock-file", &args.lock_file),
        ] {
            self.absolute(flag, path);
        }
        let runtime_socket = given(args.container_runtime_endpoint).and_then(|endpoint| self.runtime(&endpoint));
        NodeConfig {
            manifests_dir: args.manifests_dir,
            etc_dir: args.etc_dir,
            kubelet_dir: args.kubelet_dir,
            kubelet_kubeconfig: args.kubelet_kubeconfig,
            runtime_socket,
            run_dir: args.run_dir,
            lock_file: args.lock_file,
        }
    }

    fn runtime(&mut self, endpoint: &str) -> Option<PathBuf> {
        const FLAG: &str = "--container-runtime-endpoint";
        let path = PathBuf::from(endpoint.strip_prefix("unix://").unwrap_or(endpoint));
        if endpoint.contains("dockershim.sock") {
            self.unusable(
                FLAG,
                endpoint,
                "dockershim is gone since Kubernetes 1.24; leave the flag out to have the runtime found",
            );
        } else if !path.is_absolute() {
            self.unusable(
                FLAG,
                endpoint,
                "write an absolute path or unix:///path, like unix:///run/containerd/containerd.sock",
            );
        } else {
            return Some(path);
        }
        None
    }

    /// What `run` needs there from the start, beyond the form of the paths. What can be made, come or be mended later is
    /// not looked at: a damaged node is the one to start on.
    pub(super) fn layout(&mut self, node: &NodeConfig) {
        self.directory("--etc-dir", &node.etc_dir, "in a pod, mount the node's /etc/kubernetes there, read-write");
        let remedy = "give the kubelet's staticPodPath (see its configuration or --pod-manifest-path)";
        if node.manifests_dir.exists() {
            self.directory("--manifests-dir", &node.manifests_dir, remedy);
        }
        if let Some(socket) = &node.runtime_socket {
            let shown = socket.display().to_string();
            match fs::metadata(socket) {
                Ok(meta) if meta.file_type().is_socket() => {}
                Ok(_) => self.unusable(
                    "--container-runtime-endpoint",
                    shown,
                    "this is no socket; give the container runtime's",
                ),
                // A runtime comes up when it comes up.
                Err(_) => {}
            }
        }
    }

    fn directory(&mut self, flag: &'static str, path: &Path, remedy: &str) {
        let shown = path.display().to_string();
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => self.unusable(flag, shown, format!("this is no directory; {remedy}")),
            Err(why) => self.unusable(flag, shown, format!("{}; {remedy}", plain(&why))),
        }
    }

    pub(super) fn probe_socket(&mut self, path: PathBuf, in_pod: bool) -> Option<PathBuf> {
        let there = path.parent().is_some_and(Path::is_dir);
        if !there && in_pod {
            self.unusable(
                "--probe-socket",
                path.display().to_string(),
                "its directory is missing; mount an emptyDir there",
            );
        }
        there.then_some(path)
    }
}
