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

/// The sockets to try, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// Never empty.
    pub paths: Vec<PathBuf>,
    /// What is wrong with the sources that they are from, though something is left to try: the kubelet's word cannot be
    /// used, or no usual socket is there yet.
    pub doubt: Option<EndpointError>,
}

/// The sockets to try. `given` is the operator's word and settles it; `kubelet` is the `containerRuntimeEndpoint` of
/// the kubelet's configuration, tried before every usual socket that is there (Docker's own containerd has its CRI
/// turned off, so the first that exists need not be the one that answers).
///
/// # Errors
/// The operator's word is not a local socket. The kubelet's is only doubted: it may have been written for a kubelet of
/// before.
pub fn candidates(given: Option<&str>, kubelet: Option<&str>) -> Result<Candidates, EndpointError> {
    candidates_under(Path::new("/"), given, kubelet)
}

fn candidates_under(root: &Path, given: Option<&str>, kubelet: Option<&str>) -> Result<Candidates, EndpointError> {
    if let Some(endpoint) = given.filter(|e| !e.is_empty()) {
        return parse(endpoint).map(|path| Candidates { paths: spellings(path), doubt: None });
    }
    let (mut paths, mut doubt) = match kubelet.filter(|e| !e.is_empty()).map(parse) {
        Some(Ok(path)) => (spellings(path), None),
        Some(Err(why)) => (Vec::new(), Some(why)),
        None => (Vec::new(), None),
    };
    let usual = || DEFAULTS.iter().map(|(_, path)| root.join(path.trim_start_matches('/')));
    for path in usual().filter(|path| is_socket(path)) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        paths = usual().collect();
        let tried = DEFAULTS.iter().map(|(name, path)| format!("{path} ({name})")).collect();
        doubt = doubt.or(Some(EndpointError::NoneFound { tried }));
    }
    Ok(Candidates { paths, doubt })
}

/// `/run/x` before `/var/run/x`: on a node the second is a link to the first (FHS 3.0), and kubeadm writes the second;
/// in a container of the node's `/run` only the first exists.
fn spellings(path: PathBuf) -> Vec<PathBuf> {
    match path.strip_prefix("/var/run") {
        Ok(rest) => vec![Path::new("/run").join(rest), path],
        Err(_) => vec![path],
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket())
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
    fn the_operators_word_settles_it() {
        let root = tempfile::tempdir().unwrap();
        let found = candidates_under(root.path(), Some("/a.sock"), Some("unix:///b.sock")).unwrap();
        assert_eq!(found, Candidates { paths: vec!["/a.sock".into()], doubt: None });
    }

    /// A root with a socket at each of `paths`, which live as long as the second value.
    fn listening(paths: &[&str]) -> (tempfile::TempDir, Vec<UnixListener>) {
        let root = tempfile::tempdir().unwrap();
        let bind = |path: &&str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            UnixListener::bind(path).unwrap()
        };
        let listeners = paths.iter().map(bind).collect();
        (root, listeners)
    }

    #[test]
    fn the_usual_sockets_stand_behind_the_kubelets_word() {
        let (root, _listeners) = listening(&["run/crio/crio.sock"]);
        let found = candidates_under(root.path(), None, Some("unix:///b.sock")).unwrap();
        assert_eq!(found.paths, [PathBuf::from("/b.sock"), root.path().join("run/crio/crio.sock")]);
    }

    #[test]
    fn what_kubeadm_writes_is_found_where_only_run_is_mounted() {
        let root = tempfile::tempdir().unwrap();
        let found = candidates_under(root.path(), None, Some("unix:///var/run/containerd/containerd.sock")).unwrap();
        assert_eq!(
            found.paths[..2],
            ["/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock"].map(PathBuf::from)
        );
        let given = candidates_under(root.path(), Some("/var/run/crio/crio.sock"), None).unwrap();
        assert_eq!(given.paths, ["/run/crio/crio.sock", "/var/run/crio/crio.sock"].map(PathBuf::from));
    }

    #[test]
    fn a_kubelets_word_that_is_no_socket_is_doubted_only() {
        let (root, _listeners) = listening(&["run/crio/crio.sock"]);
        let found = candidates_under(root.path(), None, Some("unix:///var/run/dockershim.sock")).unwrap();
        assert_eq!(found.paths, [root.path().join("run/crio/crio.sock")]);
        assert!(matches!(found.doubt, Some(EndpointError::Dockershim(_))));
        assert!(candidates_under(root.path(), Some("tcp://127.0.0.1:1"), None).is_err(), "an operator is told");
    }

    #[test]
    fn only_defaults_that_are_sockets_are_found() {
        let (root, _listeners) = listening(&["run/crio/crio.sock", "run/cri-dockerd.sock"]);
        let file = root.path().join("run/containerd/containerd.sock");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "not a socket").unwrap();
        let expected = ["run/crio/crio.sock", "run/cri-dockerd.sock"].map(|path| root.path().join(path));
        assert_eq!(candidates_under(root.path(), None, None).unwrap().paths, expected);
    }

    #[test]
    fn with_no_socket_yet_every_usual_one_is_tried_and_named() {
        let root = tempfile::tempdir().unwrap();
        let found = candidates_under(root.path(), None, Some("")).unwrap();
        assert_eq!(found.paths.len(), DEFAULTS.len());
        let doubt = found.doubt.unwrap().to_string();
        for (_, path) in DEFAULTS {
            assert!(doubt.contains(path), "{doubt}");
        }
    }
}
