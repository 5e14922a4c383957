//! The fake kubelet does what a real one was measured to do, since all that is tested against it hangs on that.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::cri::FakeRuntime;
use crate::support::kubelet::{FakeKubelet, PodStatus, Settings};
use crate::support::machine::Shared;
use pod_checkpointer::node::cri::Cri;
use pod_checkpointer::node::kubelet::KubeletDir;
use pod_checkpointer::pod::key::SandboxId;
use pod_checkpointer::pod::runtime::KubeletIdentity;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
/// Several looks at the world: what has not happened by then does not happen.
const A_WHILE: Duration = Duration::from_millis(300);

struct Node {
    dir: tempfile::TempDir,
    kubelet: FakeKubelet,
}

impl Node {
    /// One that is on, and has not seen its API server.
    fn blind() -> Self {
        Self::with(20)
    }

    fn with(faster: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kubelet = FakeKubelet::new(Settings::under(dir.path(), "node1", faster), Shared::default()).unwrap();
        kubelet.power_on().unwrap();
        Self { dir, kubelet }
    }

    /// One that runs these pods of the API.
    async fn aware(pods: &[Value]) -> Self {
        let node = Self::blind();
        node.kubelet.set_api_pods(Some(pods.to_vec()));
        for pod in pods {
            node.until(&format!("default/{}", pod["metadata"]["name"].as_str().unwrap()), true).await;
        }
        node
    }

    fn write(&self, file: &str, manifest: &Value) -> PathBuf {
        let path = self.kubelet.settings().manifests.join(file);
        std::fs::write(&path, manifest.to_string()).unwrap();
        path
    }

    fn runs(&self, pod: &str) -> bool {
        self.kubelet.machine().lock().runs(pod)
    }

    /// Until it runs, or does not.
    async fn until(&self, pod: &str, runs: bool) -> Duration {
        self.when(&format!("{pod} runs: {runs}"), || self.runs(pod) == runs).await
    }

    async fn when(&self, what: &str, condition: impl Fn() -> bool) -> Duration {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "never: {what}; {:?}", self.kubelet.statuses());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        start.elapsed()
    }

    fn status(&self, pod: &str) -> PodStatus {
        self.kubelet.statuses().into_iter().find(|s| s.pod == pod).expect(pod)
    }

    fn identity(&self) -> Option<KubeletIdentity> {
        KubeletDir::new(&self.kubelet.settings().dir).identity()
    }

    fn reboot(&self) {
        self.kubelet.power_cut();
        self.kubelet.power_on().unwrap();
    }
}

/// An API pod.
fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
           "metadata": {"namespace": "default", "name": name, "uid": format!("uid-of-{name}")},
           "spec": {"containers": [{"name": "main", "image": "app:1"}]}})
}

/// A static pod's manifest.
fn manifest(name: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["uid"] = Value::Null;
    pod
}

/// The same, with its process on a port of the node.
fn on_port(mut pod: Value) -> Value {
    pod["spec"]["hostNetwork"] = true.into();
    pod["spec"]["containers"][0]["args"] = json!(["--port=6443"]);
    pod
}

#[tokio::test]
async fn a_static_pod_runs_under_its_nodes_name_without_any_api() {
    let node = Node::blind();
    node.write("default_a.yaml", &manifest("a"));
    node.write(".default_b.yaml", &manifest("b"));
    node.until("default/a-node1", true).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(node.kubelet.statuses().len(), 1, "dotfiles are ignored");
    let status = node.status("default/a-node1");
    assert!(status.is_static && status.ready, "{status:?}");
}

#[tokio::test]
async fn blind_it_neither_removes_nor_edits() {
    let node = Node::blind();
    let gone = node.write("gone", &manifest("gone"));
    node.write("edited", &manifest("edited"));
    node.until("default/gone-node1", true).await;
    node.until("default/edited-node1", true).await;
    let old = node.status("default/edited-node1").uid;

    std::fs::remove_file(gone).unwrap();
    let mut edited = manifest("edited");
    edited["spec"]["containers"][0]["image"] = "app:2".into();
    node.write("edited", &edited);
    tokio::time::sleep(A_WHILE).await;
    assert!(node.runs("default/gone-node1"));
    let uid =
        |node: &Node| node.kubelet.machine().lock().ready("default/edited-node1").next().map(|s| s.uid().to_owned());
    assert_eq!(uid(&node), Some(old.clone()), "the new one waits for the old");

    node.kubelet.set_api_pods(Some(Vec::new()));
    node.until("default/gone-node1", false).await;
    node.when("the edited pod", || uid(&node).is_some_and(|uid| uid != old)).await;
}

#[tokio::test]
async fn aware_it_removes_at_once_even_with_the_api_away() {
    let node = Node::aware(&[pod("api")]).await;
    let file = node.write("a", &manifest("a"));
    node.until("default/a-node1", true).await;
    node.kubelet.set_api_pods(None);
    std::fs::remove_file(file).unwrap();
    node.until("default/a-node1", false).await;
    assert!(node.runs("default/api"));
}

#[tokio::test]
async fn api_pods_outlive_the_api_server_but_not_a_power_cut() {
    let node = Node::aware(&[pod("api")]).await;
    node.write("a", &manifest("a"));
    node.kubelet.set_api_pods(None);
    node.reboot();
    node.until("default/a-node1", true).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(!node.runs("default/api"));
    let old: Vec<bool> =
        node.kubelet.machine().lock().sandboxes.iter().filter(|s| s.pod() == "default/api").map(|s| s.ready).collect();
    assert_eq!(old, [false], "listed as not ready");

    node.kubelet.set_api_pods(Some(vec![pod("api")]));
    node.until("default/api", true).await;
    assert_eq!(node.status("default/api").restarts, 1);
}

#[tokio::test]
async fn a_container_that_died_is_restarted_by_an_aware_kubelet_only() {
    let node = Node::aware(&[pod("api")]).await;
    let kill = || {
        let mut machine = node.kubelet.machine().lock();
        let id = machine.ready("default/api").flat_map(|s| &s.containers).last().unwrap().id.clone();
        machine.exit_container(&id);
    };
    kill();
    node.until("default/api", true).await;
    node.kubelet.set_api_pods(None);
    node.kubelet.restart().unwrap();
    kill();
    tokio::time::sleep(A_WHILE).await;
    assert!(!node.runs("default/api"));
}

#[tokio::test]
async fn every_kubelet_process_is_another() {
    let node = Node::blind();
    let first = node.identity();
    assert!(first.is_some());
    node.kubelet.power_cut();
    assert_eq!(node.identity(), first, "the file stays where the process is gone");
    node.kubelet.power_on().unwrap();
    let second = node.identity();
    assert_ne!(second, first);
    node.kubelet.restart().unwrap();
    assert_ne!(node.identity(), second);
}

#[tokio::test]
async fn nothing_starts_before_its_directories_are_there() {
    let node = Node::blind();
    let mut with_secret = manifest("a");
    let path = "/etc/kubernetes/checkpoint-secrets/default/a/s";
    with_secret["spec"]["volumes"] = json!([{"name": "s", "hostPath": {"path": path, "type": "Directory"}}]);
    node.write("a", &with_secret);
    tokio::time::sleep(A_WHILE).await;
    assert!(!node.runs("default/a-node1"));
    assert!(node.status("default/a-node1").reason.contains(path));
    std::fs::create_dir_all(node.dir.path().join(path.trim_start_matches('/'))).unwrap();
    node.until("default/a-node1", true).await;
}

#[rstest::rstest]
#[case("/spec/serviceAccountName", json!("sa"))]
#[case("/spec/imagePullSecrets", json!([{"name": "s"}]))]
#[case("/spec/volumes", json!([{"name": "v", "secret": {"secretName": "s", "optional": true}}]))]
#[case("/spec/volumes", json!([{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}]}}]))]
#[case("/spec/volumes", json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]))]
#[case("/spec/containers/0/envFrom", json!([{"secretRef": {"name": "s"}}]))]
#[case("/spec/containers/0/env", json!([{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]))]
#[tokio::test]
async fn a_static_pod_that_needs_the_api_is_refused(#[case] field: &str, #[case] value: Value) {
    let node = Node::blind();
    let mut bad = manifest("a");
    let (parent, name) = field.rsplit_once('/').unwrap();
    bad.pointer_mut(parent).unwrap()[name] = value;
    node.write("a", &bad);
    node.write("b", &manifest("b"));
    node.until("default/b-node1", true).await;
    assert!(node.kubelet.refused().contains_key("a"), "{field}");
}

#[tokio::test]
async fn without_a_registry_only_images_of_the_node_start() {
    let node = Node::blind();
    node.kubelet.set_registry(false);
    node.write("a", &manifest("a"));
    tokio::time::sleep(A_WHILE).await;
    assert!(!node.runs("default/a-node1"));
    node.kubelet.set_registry(true);
    node.until("default/a-node1", true).await;
}

#[tokio::test]
async fn a_pod_that_crashes_waits_longer_each_time() {
    let node = Node::aware(&[pod("api")]).await;
    node.kubelet.set_crashing("default/api", true);
    node.when("three restarts", || node.status("default/api").restarts >= 3).await;
    node.kubelet.set_crashing("default/api", false);
    node.until("default/api", true).await;
}

#[tokio::test]
async fn a_host_port_in_use_is_refused_while_the_kubelet_lives() {
    let node = Node::blind();
    let mut twin = manifest("a");
    twin["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 80}]);
    let mut parent = pod("parent");
    parent["spec"] = twin["spec"].clone();
    let file = node.write("a", &twin);
    node.until("default/a-node1", true).await;
    node.kubelet.set_api_pods(Some(vec![parent]));
    node.when("the refusal", || node.kubelet.statuses().iter().any(|s| s.phase == "Failed")).await;
    assert_eq!(node.status("default/parent").reason, "NodePorts");
    std::fs::remove_file(file).unwrap();
    node.until("default/a-node1", false).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(!node.runs("default/parent"));
}

/// A node after a power cut: the twin has the port, and now the API is back and the parent wants it.
async fn collision() -> (Node, FakeRuntime) {
    let node = Node::with(1);
    let runtime = FakeRuntime::start(node.dir.path(), node.kubelet.machine().clone()).unwrap();
    node.kubelet.set_api_pods(Some(vec![on_port(pod("api"))]));
    node.until("default/api", true).await;
    node.kubelet.set_api_pods(None);
    node.kubelet.power_cut();
    node.write("twin", &on_port(manifest("api")));
    node.kubelet.power_on().unwrap();
    node.until("default/api-node1", true).await;
    (node, runtime)
}

/// The parent's containers that exited on the taken port, and those from before the power cut.
fn exits(node: &Node) -> usize {
    let machine = node.kubelet.machine().lock();
    machine.sandboxes.iter().filter(|s| s.pod() == "default/api").map(|s| s.containers.len()).sum()
}

async fn hand_back(node: &Node) -> Duration {
    let before = exits(node);
    node.kubelet.set_api_pods(Some(vec![on_port(pod("api"))]));
    node.when("the parent's crash on the port", || exits(node) > before).await;
    std::fs::remove_file(node.kubelet.settings().manifests.join("twin")).unwrap();
    node.until("default/api-node1", false).await;
    node.until("default/api", true).await
}

#[tokio::test]
async fn a_parent_crashed_before_the_power_cut_waits_its_back_off() {
    let (node, _runtime) = collision().await;
    assert!(hand_back(&node).await > Duration::from_secs(5));
}

#[tokio::test]
async fn with_its_dead_sandboxes_removed_it_is_back_at_once() {
    let (node, runtime) = collision().await;
    let dead: Vec<String> = {
        let machine = node.kubelet.machine().lock();
        machine.sandboxes.iter().filter(|s| s.pod() == "default/api").map(|s| s.id.clone()).collect()
    };
    let cri = Cri::connect(&runtime.endpoint()).await.unwrap();
    for id in dead {
        cri.remove_sandbox(&SandboxId(id)).await.unwrap();
    }
    assert!(hand_back(&node).await < Duration::from_secs(5));
}

#[tokio::test]
async fn its_sandbox_removed_after_the_twins_death_it_is_back_at_once() {
    let (node, runtime) = collision().await;
    let cri = Cri::connect(&runtime.endpoint()).await.unwrap();
    let before = exits(&node);
    node.kubelet.set_api_pods(Some(vec![on_port(pod("api"))]));
    node.when("the parent's crash on the port", || exits(&node) > before).await;
    std::fs::remove_file(node.kubelet.settings().manifests.join("twin")).unwrap();
    node.until("default/api-node1", false).await;
    let all: Vec<String> = {
        let machine = node.kubelet.machine().lock();
        machine.sandboxes.iter().filter(|s| s.pod() == "default/api").map(|s| s.id.clone()).collect()
    };
    for id in all {
        cri.remove_sandbox(&SandboxId(id)).await.unwrap();
    }
    assert!(node.until("default/api", true).await < Duration::from_secs(5));
}
