//! The checks behind [`super::Config`]: each looks at one setting and notes what is wrong with it, so that all of it
//! is told at once. Looks at files and sockets, changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::args::{ApiArgs, NodeArgs, ScopeArgs};
use super::{ApiConfig, ConfigError, NodeConfig, Own, Problem, Scope, ServiceEndpoint, own_key};
use crate::duration;
use crate::pod::key::check_name;

/// An empty value is none: what a manifest's `value: ""` and a missing downward API field give.
pub(super) fn given(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

/// Collects problems while values are read.
#[derive(Debug, Default)]
pub(super) struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(value) } else { Err(ConfigError { problems: self.problems }) }
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn absolute(&mut self, flag: &'static str, path: &Path) {
        if !path.is_absolute() {
            self.unusable(flag, path.display().to_string(), "write an absolute path");
        }
    }

    pub(super) fn unusable(&mut self, flag: &'static str, value: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem::Unusable { flag, value: value.into(), why: why.into() });
    }

    pub(super) fn node_name(&mut self, name: Option<String>) -> String {
        let Some(name) = name else {
            self.problems.push(Problem::Missing {
                flag: "--node-name",
                variable: "NODE_NAME",
                remedy: "give the node's name; in a pod from the downward API, fieldPath spec.nodeName",
            });
            return String::new();
        };
        if let Err(why) = check_name("node name", &name) {
            self.unusable("--node-name", name.clone(), why.to_string());
        }
        name
    }

    pub(super) fn own(&mut self, name: Option<String>, namespace: Option<String>, source: Option<&str>) -> Option<Own> {
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
                Ok(key) => Some(Own { key, is_twin }),
                Err(why) => {
                    self.unusable("--pod-name", name, why);
                    None
                }
            },
            (Some(_), None) => {
                self.problems.push(Problem::Missing {
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

    pub(super) fn log_level(&mut self, level: &str) {
        // A bare word that is no level would be taken for a module's name and silence everything else.
        let known = |part: &str| part.rsplit('=').next().is_some_and(|level| level.parse::<LevelFilter>().is_ok());
        if !level.split(',').all(known) {
            self.unusable(
                "--log-level",
                level,
                "use error, warn, info, debug or trace, or module=level, with commas between",
            );
        }
    }

    pub(super) fn at_least(&mut self, flag: &'static str, value: Duration, least: Duration, because: &str) {
        if value < least {
            let why = format!("at least {}: {because}", duration::display(least));
            self.unusable(flag, duration::display(value), why);
        }
    }

    pub(super) fn api(&mut self, args: ApiArgs) -> ApiConfig {
        let servers = args.api_server.iter().filter(|url| !url.is_empty()).map(|url| self.server(url)).collect();
        if let Some(path) = &args.kubeconfig {
            self.readable_file(
                "--kubeconfig",
                path,
                "give the path of a kubeconfig, or none to use the pod's ServiceAccount",
            );
        }
        let service = given(args.kubernetes_service_host).map(|host| {
            let port = given(args.kubernetes_service_port).unwrap_or_else(|| "443".to_owned());
            ServiceEndpoint { host: host.trim_matches(['[', ']']).to_owned(), port }
        });
        ApiConfig { servers, kubeconfig: args.kubeconfig, service }
    }

    fn server(&mut self, url: &str) -> String {
        let trimmed = url.trim_end_matches('/').to_owned();
        let parsed = url.parse::<http::Uri>().ok();
        let scheme = parsed.as_ref().and_then(http::Uri::scheme_str);
        let host = parsed.as_ref().and_then(http::Uri::host).unwrap_or_default();
        match scheme {
            Some("https") if !host.is_empty() => {}
            Some("http") if is_loopback(host) => {}
            Some("http") => self.unusable("--api-server", url, "a token would travel in clear; use https://"),
            _ => self.unusable("--api-server", url, "write a URL, like https://10.0.0.1:6443"),
        }
        trimmed
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
        if let Some(path) = &args.kubelet_kubeconfig {
            self.readable_file("--kubelet-kubeconfig", path, "give the path in the kubelet's --kubeconfig argument");
        }
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

    /// What `run` needs there from the start, beyond the form of the paths.
    pub(super) fn writable_layout(&mut self, node: &NodeConfig) {
        self.directory("--etc-dir", &node.etc_dir, "in a pod, mount the node's /etc/kubernetes there, read-write");
        let remedy = "create it, or give the kubelet's staticPodPath (see its configuration or --pod-manifest-path)";
        self.directory("--manifests-dir", &node.manifests_dir, remedy);
        if let Some(socket) = &node.runtime_socket {
            let shown = socket.display().to_string();
            match fs::metadata(socket) {
                Ok(meta) if meta.file_type().is_socket() => {}
                Ok(_) => self.unusable(
                    "--container-runtime-endpoint",
                    shown,
                    "this is no socket; give the container runtime's",
                ),
                Err(why) => {
                    let why = format!(
                        "{}; give the container runtime's socket, or leave the flag out to have it found",
                        plain(&why)
                    );
                    self.unusable("--container-runtime-endpoint", shown, why);
                }
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

    pub(super) fn readable_file(&mut self, flag: &'static str, path: &Path, remedy: &str) {
        if let Err(why) = fs::File::open(path) {
            self.unusable(flag, path.display().to_string(), format!("{}; {remedy}", plain(&why)));
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

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An I/O error without "(os error N)", which helps nobody.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
