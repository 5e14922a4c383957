//! Which socket the container runtime listens on. Finds it; talking to it is [`super::cri`]'s.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Where the runtimes that speak CRI v1 listen unless told otherwise, by their own documentation, in the order tried.
pub const DEFAULTS: [(&str, &str); 4] = [
    ("containerd", "/run/containerd/containerd.sock"),
    ("CRI-O", "/run/crio/crio.sock"),
    ("k3s", "/run/k3s/containerd/containerd.sock"),
    ("cri-dockerd", "/run/cri-dockerd.sock"),
];

/// No usable endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither `unix:///path` nor an absolute path.
    #[error("container runtime endpoint {0:?} is not a local socket; write unix:///path/to.sock or /path/to.sock")]
    NotASocket(String),
    /// The value that the original shipped with.
    #[error(
        "container runtime endpoint {0:?} is dockershim's, which left Kubernetes with 1.24 and never spoke CRI v1; \
         name the runtime that the kubelet uses now, e.g. unix:///run/containerd/containerd.sock"
    )]
    Dockershim(String),
    /// None of the usual sockets is there.
    #[error("no container runtime found: none of {} is a socket; set --container-runtime-endpoint to the kubelet's", .tried.join(", "))]
    NoneFound {
        /// What was looked for, in order.
        tried: Vec<String>,
    },
}

/// The path in `unix:///path`, `unix:/path` or `/path`. Whether anything listens there is not looked at: a runtime may
/// come up later.
pub fn parse(endpoint: &str) -> Result<PathBuf, EndpointError> {
    let path = match endpoint.strip_prefix("unix:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None => endpoint,
    };
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(EndpointError::NotASocket(endpoint.to_owned()));
    }
    if path.ends_with("/dockershim.sock") {
        return Err(EndpointError::Dockershim(endpoint.to_owned()));
    }
    Ok(PathBuf::from(path))
}

/// The sockets to try, best first; never empty. `given` is the operator's word, `kubelet` the
/// `containerRuntimeEndpoint` of the kubelet's configuration; each settles it. Without either: every default that is there
/// (Docker's own containerd has its CRI turned off, so the first that exists need not be the one that answers).
pub fn candidates(given: Option<&str>, kubelet: Option<&str>) -> Result<Vec<PathBuf>, EndpointError> {
    candidates_under(Path::new("/"), given, kubelet)
}

fn candidates_under(root: &Path, given: Option<&str>, kubelet: Option<&str>) -> Result<Vec<PathBuf>, EndpointError> {
    if let Some(endpoint) = given.or(kubelet).filter(|e| !e.is_empty()) {
        return parse(endpoint).map(|path| vec![path]);
    }
    let paths = DEFAULTS.iter().map(|(_, path)| root.join(path.trim_start_matches('/')));
    let found: Vec<PathBuf> =
        paths.filter(|path| std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket())).collect();
    if found.is_empty() {
        let tried = DEFAULTS.iter().map(|(name, path)| format!("{path} ({name})")).collect();
        return Err(EndpointError::NoneFound { tried });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[rstest::rstest]
    #[case("unix:///run/containerd/containerd.sock", "/run/containerd/containerd.sock")]
    #[case("unix:/run/crio/crio.sock", "/run/crio/crio.sock")]
    #[case("/var/run/x.sock", "/var/run/x.sock")]
    fn a_local_socket_is_accepted(#[case] endpoint: &str, #[case] path: &str) {
        assert_eq!(parse(endpoint).unwrap(), Path::new(path));
    }

    #[rstest::rstest]
    #[case("tcp://127.0.0.1:3735")]
    #[case("npipe:////./pipe/containerd")]
    #[case("run/containerd.sock")]
    #[case("unix://run/containerd.sock")]
    #[case("unix://")]
    #[case("/run/containerd/")]
    #[case("")]
    fn anything_else_is_refused_with_the_right_spelling(#[case] endpoint: &str) {
        let error = parse(endpoint).unwrap_err();
        assert_eq!(error, EndpointError::NotASocket(endpoint.to_owned()));
        assert!(error.to_string().contains("unix:///path"));
    }

    #[test]
    fn the_value_of_the_original_is_explained() {
        let error = parse("unix:///var/run/dockershim.sock").unwrap_err();
        assert!(error.to_string().contains("left Kubernetes with 1.24"), "{error}");
    }

    #[test]
    fn the_operator_precedes_the_kubelet_and_that_the_defaults() {
        let root = tempfile::tempdir().unwrap();
        let (given, kubelet) = (Some("/a.sock"), Some("unix:///b.sock"));
        assert_eq!(candidates_under(root.path(), given, kubelet).unwrap(), [PathBuf::from("/a.sock")]);
        assert_eq!(candidates_under(root.path(), None, kubelet).unwrap(), [PathBuf::from("/b.sock")]);
    }

    #[test]
    fn only_defaults_that_are_sockets_are_found() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        std::fs::write(at("run/containerd/containerd.sock"), "not a socket").unwrap();
        let crio = at("run/crio/crio.sock");
        let dockerd = at("run/cri-dockerd.sock");
        let _listening = [UnixListener::bind(&crio).unwrap(), UnixListener::bind(&dockerd).unwrap()];
        assert_eq!(candidates_under(root.path(), None, None).unwrap(), [crio, dockerd]);
    }

    #[test]
    fn finding_nothing_lists_what_was_tried() {
        let root = tempfile::tempdir().unwrap();
        let error = candidates_under(root.path(), None, Some("")).unwrap_err().to_string();
        for (_, path) in DEFAULTS {
            assert!(error.contains(path), "{error}");
        }
    }
}
