//! `doctor`, with everything down, and with a runtime and an API server that answer.

use std::fs;

use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Node, text};
use crate::support::cri::FakeRuntime;
use crate::support::machine::Shared;

/// The outcome of the check whose name contains this.
fn outcome(diagnosis: &Value, name: &str) -> String {
    let checks = diagnosis["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"].as_str().unwrap().contains(name));
    check.unwrap_or_else(|| panic!("no check named {name} in {diagnosis}"))["outcome"].as_str().unwrap().to_owned()
}

/// Allows everything but what is asked about `resource`. Lives until the process ends.
fn api_server_that_denies(resource: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let review = move |Json(review): Json<Value>| async move {
        let allowed = review["spec"]["resourceAttributes"]["resource"] != resource;
        Json(json!({"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}))
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            let node =
                || async { Json(json!({"kind": "Node", "status": {"nodeInfo": {"kubeletVersion": "v1.35.2"}}})) };
            let router = Router::new()
                .route(path, axum::routing::post(review))
                .route("/api/v1/nodes/{name}", axum::routing::get(node));
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    url
}

fn kubeconfig(server: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t0p-secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    })
    .to_string()
}

#[test]
fn doctor_asks_the_runtime_and_the_api_server() {
    let node = Node::new();
    let _runtime = FakeRuntime::start(&node.path(""), Shared::default()).unwrap();
    fs::rename(node.path("containerd.sock"), node.path("runtime.sock")).unwrap();
    fs::write(node.path("kubeconfig"), kubeconfig(&api_server_that_denies("secrets"))).unwrap();
    let flag = format!("--kubeconfig={}", node.path("kubeconfig").display());
    let assert = node.command("doctor").args([&flag, "-o", "json"]).assert().code(1);
    let output = text(&assert.get_output().stdout);
    assert!(!output.contains("t0p-secret"), "{output}");
    let diagnosis: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(outcome(&diagnosis, "container runtime"), "ok");
    assert_eq!(outcome(&diagnosis, "runtime sends events"), "ok");
    assert_eq!(outcome(&diagnosis, "API server answers"), "ok");
    assert_eq!(outcome(&diagnosis, "kubelet is new enough"), "ok");
    assert_eq!(outcome(&diagnosis, "right: watch pods in kube-system"), "ok");
    assert_eq!(outcome(&diagnosis, "right: get secrets in kube-system"), "fail");
}

#[test]
fn doctor_names_a_server_that_would_read_the_token_in_clear() {
    let node = Node::new();
    fs::write(node.path("kubeconfig"), kubeconfig(&api_server_that_denies("nothing"))).unwrap();
    fs::write(node.path("kubelet/kubeconfig"), kubeconfig("http://192.0.2.7:8080")).unwrap();
    let flag = |name: &str, file: &str| format!("--{name}={}", node.path(file).display());
    let (own, kubelets) = (flag("kubeconfig", "kubeconfig"), flag("kubelet-kubeconfig", "kubelet/kubeconfig"));
    let assert = node.command("doctor").args([&own, &kubelets, "-o", "json"]).assert().code(1);
    let diagnosis: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(outcome(&diagnosis, "over TLS"), "warn");
    assert!(diagnosis.to_string().contains("http://192.0.2.7:8080"), "{diagnosis}");
}

#[test]
fn doctor_takes_an_absent_api_server_as_the_reason_to_be_here() {
    let node = Node::new();
    fs::write(node.path("kubeconfig"), kubeconfig("http://127.0.0.1:1")).unwrap();
    let flag = format!("--kubeconfig={}", node.path("kubeconfig").display());
    let assert = node.command("doctor").args([&flag, "-o", "json"]).assert().code(1);
    let diagnosis: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(outcome(&diagnosis, "API server answers"), "warn");
}

#[test]
fn doctor_names_a_remedy_for_everything_it_finds() {
    let node = Node::new();
    fs::write(node.path("kubelet/config.yaml"), "staticPodPath: /somewhere/else\n").unwrap();
    fs::write(node.path("cni/10-calico.conflist"), r#"{"plugins":[{"type":"calico"}]}"#).unwrap();
    let assert = node.command("doctor").args(["-o", "json"]).assert().code(1);
    let diagnosis: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let checks = diagnosis["checks"].as_array().unwrap();
    assert_eq!(outcome(&diagnosis, "runtime"), "fail");
    assert_eq!(outcome(&diagnosis, "reads static pods"), "fail");
    assert_eq!(outcome(&diagnosis, "can be written"), "ok");
    assert_eq!(outcome(&diagnosis, "hard link"), "ok");
    assert_eq!(outcome(&diagnosis, "pod network"), "warn");
    assert_eq!(outcome(&diagnosis, "API server answers"), "warn");
    for check in checks {
        assert_eq!(check["remedy"].is_string(), check["outcome"] != "ok", "{check}");
    }
}

#[test]
fn doctor_fails_an_agent_that_does_not_save_itself() {
    let node = Node::new();
    let judged = |flags: &[&str]| {
        let assert = node.command("doctor").args(flags).args(["-o", "json"]).assert().code(1);
        outcome(&serde_json::from_slice(&assert.get_output().stdout).unwrap(), "saves itself")
    };
    assert_eq!(judged(&["--pod-namespace=ops", "--namespace=kube-system"]), "fail");
    assert_eq!(judged(&["--pod-namespace=ops", "--namespace=kube-system,ops"]), "ok");
    assert_eq!(judged(&["--pod-namespace=ops"]), "ok");
    assert_eq!(judged(&["--namespace=kube-system"]), "warn", "nobody said where the agent is");
    assert_eq!(judged(&["--all-namespaces"]), "ok");
}

#[test]
fn doctor_leaves_no_trace() {
    let node = Node::new();
    node.command("doctor").assert().code(1);
    let left: Vec<_> = fs::read_dir(node.path("kubernetes")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["manifests"]);
    assert_eq!(fs::read_dir(node.path("kubernetes/manifests")).unwrap().count(), 0);
}
