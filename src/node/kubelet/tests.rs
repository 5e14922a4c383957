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

const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBoTCCAUegAwIBAgIUKQX1qSQtTg8GxOE9CkfEdh047jUwCgYIKoZIzj0EAwIw
JTEjMCEGA1UEAwwaYSBDQSBub2JvZHkgaGFzIHRoZSBrZXkgb2YwIBcNMjYxMTIx
MDQzMjIxWhgPMjEyNjEwMjgwNDMyMjFaMCUxIzAhBgNVBAMMGmEgQ0Egbm9ib2R5
IGhhcyB0aGUga2V5IG9mMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEIMhofFg
lo2qAnHak2SfUXF+AyiZT6pMVZnzZstp8kx7kzi4+j31jZSz64WdnrZoBzYk8VEL
2AVTL0b/qbrD66NTMFEwHQYDVR0OBBYEFI2lkLOjMpQPBCTXGrZdQrAUtaNEMB8G
A1UdIwQYMBaAFI2lkLOjMpQPBCTXGrZdQrAUtaNEMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIhAK/6dKG42FRG8b+QMfVzUWCA+5YNtlzfE/yhJ9gS
UDt5AiAf2z0A0BjD9tFCT0JHiqdV5R+KNVALSyZADRtSczF2ig==
-----END CERTIFICATE-----
";

/// What the kubeconfig of a kubelet says of its cluster.
fn cluster_of(server: &str, ca: &str) -> Option<KubeletCluster> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubelet.conf");
    let text = format!("clusters: [{{name: c, cluster: {{server: {server:?}, {ca}}}}}]\n");
    std::fs::write(&path, text).unwrap();
    KubeletDir::new(dir.path()).cluster(Some(&path))
}

#[test]
fn the_kubelets_cluster_is_its_server_and_its_cas_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, CA).unwrap();
    let by_data =
        cluster_of("https://api:6443", &format!("certificate-authority-data: {}", BASE64.encode(CA))).unwrap();
    let by_file = cluster_of("https://api:6443", &format!("certificate-authority: {}", file.display())).unwrap();
    assert_eq!(by_data, by_file);
    assert_eq!((by_data.server.as_str(), by_data.authorities.len()), ("https://api:6443", 1));
    assert_eq!(cluster_of("https://api:6443", "").unwrap().authorities.len(), 0);
}

#[test]
fn a_damaged_kubeconfig_says_nothing_of_the_cluster() {
    assert_eq!(cluster_of("api:6443", ""), None, "no scheme: no kubelet could use it");
    assert_eq!(cluster_of("", ""), None);
    assert_eq!(cluster_of("https://api:6443", "certificate-authority: /nowhere/ca.crt"), None);
    assert_eq!(cluster_of("https://api:6443", "certificate-authority-data: '!'"), None);
    assert_eq!(KubeletDir::new("/nowhere").cluster(Some(Path::new("/nowhere/kubelet.conf"))), None);
}
