use super::*;

fn kubelet() -> (tempfile::TempDir, KubeletDir) {
    let dir = tempfile::tempdir().unwrap();
    let kubelet = KubeletDir::new(dir.path());
    (dir, kubelet)
}

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

const KUBECONFIG: &str = r"
apiVersion: v1
kind: Config
current-context: mine
contexts:
- {name: other, context: {cluster: far, user: u}}
- {name: mine, context: {cluster: near, user: u}}
clusters:
- {name: far, cluster: {server: 'https://far:6443'}}
- {name: near, cluster: {server: 'https://near:6443', certificate-authority-data: Q0E=}}
users:
- {name: u, user: {token: hunter2}}
";

#[test]
fn every_kubelet_process_has_an_identity_of_its_own() {
    let (dir, kubelet) = kubelet();
    assert_eq!(kubelet.identity(), None, "no socket yet");
    let socket = file(&dir, "pod-resources/kubelet.sock", "");
    let first = kubelet.identity().unwrap();
    assert_eq!(kubelet.identity(), Some(first), "the same process, asked twice");

    // A freed inode may be given out again, and the clock of a filesystem is coarse: one of the two differs in the end.
    let restarted = std::iter::repeat_with(|| {
        std::fs::remove_file(&socket).unwrap();
        std::fs::write(&socket, "").unwrap();
        kubelet.identity()
    });
    assert!(restarted.take(1000).any(|identity| identity.is_some() && identity != Some(first)));
}

#[test]
fn the_server_is_that_of_the_current_context() {
    let (dir, kubelet) = kubelet();
    let path = file(&dir, "kubeconfig", KUBECONFIG);
    assert_eq!(kubeconfig_server(&path).unwrap(), "https://near:6443");
    assert_eq!(kubelet.api_server(Some(&path)).unwrap(), "https://near:6443");
}

#[test]
fn a_kubeconfig_with_one_cluster_needs_no_context() {
    let (dir, _) = kubelet();
    let path = file(&dir, "k", r#"{"clusters":[{"name":"c","cluster":{"server":"https://only:6443"}}]}"#);
    assert_eq!(kubeconfig_server(&path).unwrap(), "https://only:6443");
}

#[rstest::rstest]
#[case::no_clusters("kind: Config")]
#[case::context_of_no_cluster("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}")]
#[case::no_server("clusters: [{name: c, cluster: {}}]")]
#[case::two_and_no_context("clusters: [{name: a, cluster: {server: x}}, {name: b, cluster: {server: y}}]")]
fn a_kubeconfig_that_names_no_server_says_so(#[case] text: &str) {
    let (dir, _) = kubelet();
    let path = file(&dir, "kubeconfig", text);
    assert!(matches!(kubeconfig_server(&path), Err(KubeletError::NoServer { .. })));
}

#[test]
fn an_error_about_a_kubeconfig_never_quotes_it() {
    let (dir, _) = kubelet();
    let path = file(&dir, "kubeconfig", "clusters: hunter2\nusers: hunter2\n");
    let error = kubeconfig_server(&path).unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(said.contains("kubeconfig") && said.contains("line"), "{said}");
}

#[test]
fn a_missing_kubeconfig_names_the_flag() {
    let error = kubeconfig_server(Path::new("/nowhere/kubeconfig")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/kubeconfig") && error.contains("--kubelet-kubeconfig"), "{error}");
}

#[test]
fn the_configuration_tells_manifests_and_runtime() {
    let (dir, kubelet) = kubelet();
    assert_eq!(kubelet.static_pod_path().unwrap(), None, "no configuration file");
    let text = "kind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests\n\
                containerRuntimeEndpoint: unix:///run/crio/crio.sock\nevictionHard: {memory.available: 10Mi}\n";
    file(&dir, "config.yaml", text);
    assert_eq!(kubelet.static_pod_path().unwrap().unwrap(), Path::new("/etc/kubernetes/manifests"));
    let config = kubelet.config().unwrap().unwrap();
    assert_eq!(config.container_runtime_endpoint.as_deref(), Some("unix:///run/crio/crio.sock"));

    file(&dir, "config.yaml", "staticPodPath: ''");
    assert_eq!(kubelet.static_pod_path().unwrap(), None, "static pods turned off");
    file(&dir, "config.yaml", "staticPodPath: [1]");
    assert!(matches!(kubelet.static_pod_path(), Err(KubeletError::Malformed { .. })));
}
