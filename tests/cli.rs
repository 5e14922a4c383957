//! The commands as an operator runs them, on a node whose API server, agent and runtime are all down.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use pod_checkpointer::disk::lock::NodeLock;
use pod_checkpointer::pod::checkpoint::{AssetFile, AssetVolume, Checkpoint, Tree, VolumeContent};
use pod_checkpointer::pod::key::PodKey;
use pod_checkpointer::pod::store::{Layout, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A node's directories, and the commands run against them alone.
struct Node {
    root: TempDir,
}

impl Node {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for dir in ["kubernetes/manifests", "kubelet/pod-resources", "run", "cni"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    fn store(&self) -> Store {
        Store::open(&Layout { etc: self.path("kubernetes"), manifests: self.path("kubernetes/manifests") }).unwrap()
    }

    /// Saves a checkpoint that mounts Secret `tls`.
    fn save(&self, name: &str, lineage: &str) -> PodKey {
        let key = PodKey::new("kube-system", name).unwrap();
        let secret = format!("checkpoint-secrets/kube-system/{name}/tls");
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "kube-system", "annotations": {
                "checkpointer.alpha.coreos.com/checkpoint-of": name,
                "checkpointer.alpha.coreos.com/format": "1",
                "checkpointer.alpha.coreos.com/parent-uid": "uid-1",
                "checkpointer.alpha.coreos.com/lineage": lineage,
                "checkpointer.alpha.coreos.com/digest": "d",
                "checkpointer.alpha.coreos.com/assets": json!([secret]).to_string(),
            }},
            "spec": {"containers": [{"name": "main", "image": "web:1"}]},
        });
        let key_file = AssetFile { bytes: b"very secret".to_vec(), mode: 0o600, owner: None };
        let content = VolumeContent { files: [("tls.key".to_owned(), key_file)].into(), fs_group: None };
        let volumes = vec![AssetVolume { tree: Tree::Secrets, name: "tls".to_owned(), content }];
        self.store().save(&key, &Checkpoint { manifest, volumes }, 1_700_000_000).unwrap();
        key
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
        command.env_clear().arg(name).arg("--node-name=n1");
        for (flag, place) in [
            ("--etc-dir", "kubernetes"),
            ("--manifests-dir", "kubernetes/manifests"),
            ("--kubelet-dir", "kubelet"),
            ("--run-dir", "run"),
            ("--lock-file", "run/lock"),
            ("--container-runtime-endpoint", "runtime.sock"),
            ("--cni-dir", "cni"),
        ] {
            command.arg(format!("{flag}={}", self.path(place).display()));
        }
        command
    }

    fn json(&self, name: &str) -> Value {
        let output = self.command(name).args(["-o", "json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn status_needs_nothing_but_the_disk() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    let document = node.json("status");
    assert_eq!(document["node"], "n1");
    assert_eq!(document["leader"], false);
    assert_eq!(document["disk"], "ok");
    assert!(document["runtime"].as_str().unwrap().starts_with("unavailable: "), "{document}");
    let pod = &document["pods"][0];
    assert_eq!(pod["namespace"], "kube-system");
    assert_eq!(pod["name"], "web");
    assert_eq!(pod["uid"], "uid-1");
    assert_eq!(pod["lineage"], "kube-system/DaemonSet/web");
    assert_eq!(pod["phase"], "standby");
    assert_eq!(pod["restorable"], true);
    assert_eq!(pod["image_present"], Value::Null, "a runtime that is down knows nothing of images");
}

#[test]
fn status_shows_a_table_and_no_secret() {
    let node = Node::new();
    let web = node.save("web", "kube-system/ReplicaSet/web");
    node.save("db", "kube-system/StatefulSet/db");
    for (key, outcome) in node.store().activate(&[web]) {
        assert!(outcome.is_ok(), "{key}: {outcome:?}");
    }
    let output = node.command("status").assert().success().get_output().clone();
    let table = text(&output.stdout);
    let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(row(" web ").contains("active"), "{table}");
    assert!(row(" db ").contains("standby"), "{table}");
    assert!(table.contains("may run twice"), "{table}");
    assert!(table.contains("2 of 2 would come back"), "{table}");
    assert!(!table.contains("very secret"), "{table}");
}

#[test]
fn status_check_fails_when_a_pod_would_not_come_back() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    node.command("status").arg("--check").assert().code(0);
    fs::remove_dir_all(node.path("kubernetes/checkpoint-secrets/kube-system/web")).unwrap();
    let output = node.command("status").arg("--check").assert().code(3).get_output().clone();
    assert!(text(&output.stdout).contains("0 of 1 would come back"), "{}", text(&output.stdout));
}

#[test]
fn status_asks_the_report_of_an_agent_that_leads_and_distrusts_one_that_is_gone() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    let report = json!({
        "api": "unavailable: connection refused",
        "kubelet": "blind",
        "pods": [{
            "namespace": "kube-system", "name": "web", "uid": "uid-1", "lineage": null, "phase": "standby",
            "restorable": false, "reasons": ["its new spec mounts a claim"], "decision": "stay",
            "image_present": null, "assets_at": null,
        }],
        "notes": [],
    });
    fs::write(node.path("run/report.json"), report.to_string()).unwrap();
    let lock = NodeLock::try_acquire(&node.path("run/lock")).unwrap().unwrap();
    let document = node.json("status");
    assert_eq!(document["leader"], true);
    assert_eq!(document["api"], "unavailable: connection refused");
    assert_eq!(document["pods"][0]["restorable"], false);
    assert_eq!(document["pods"][0]["reasons"][0], "its new spec mounts a claim");
    drop(lock);
    let document = node.json("status");
    assert_eq!(document["leader"], false);
    assert_eq!(document["pods"][0]["restorable"], true);
    assert!(document["api"].as_str().unwrap().starts_with("unknown: "), "{document}");
}

#[test]
fn status_on_a_node_that_was_never_set_up_changes_nothing() {
    let node = Node::new();
    fs::remove_dir_all(node.path("kubernetes")).unwrap();
    node.command("status").assert().success();
    assert!(!node.path("kubernetes").exists());
}

#[test]
fn a_damaged_report_costs_its_reasons_and_nothing_else() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    fs::write(node.path("run/report.json"), b"{\"pods\": [").unwrap();
    assert_eq!(node.json("status")["pods"][0]["name"], "web");
}

#[test]
fn doctor_names_a_remedy_for_everything_it_finds() {
    let node = Node::new();
    fs::write(node.path("kubelet/config.yaml"), "staticPodPath: /somewhere/else\n").unwrap();
    fs::write(node.path("cni/10-calico.conflist"), r#"{"plugins":[{"type":"calico"}]}"#).unwrap();
    let assert = node.command("doctor").args(["-o", "json"]).assert().code(1);
    let diagnosis: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let checks = diagnosis["checks"].as_array().unwrap();
    let outcome = |name: &str| {
        let check = checks.iter().find(|check| check["name"].as_str().unwrap().contains(name));
        check.unwrap_or_else(|| panic!("no check named {name} in {diagnosis}"))["outcome"].as_str().unwrap()
    };
    assert_eq!(outcome("runtime"), "fail");
    assert_eq!(outcome("reads static pods"), "fail");
    assert_eq!(outcome("can be written"), "ok");
    assert_eq!(outcome("hard link"), "ok");
    assert_eq!(outcome("pod network"), "warn");
    assert_eq!(outcome("API server answers"), "warn");
    for check in checks {
        assert_eq!(check["remedy"].is_string(), check["outcome"] != "ok", "{check}");
    }
}

#[test]
fn doctor_leaves_no_trace() {
    let node = Node::new();
    node.command("doctor").assert().code(1);
    let left: Vec<_> = fs::read_dir(node.path("kubernetes")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["manifests"]);
    assert_eq!(fs::read_dir(node.path("kubernetes/manifests")).unwrap().count(), 0);
}

#[test]
fn a_probe_without_an_agent_fails_with_the_reason() {
    let node = Node::new();
    let socket = format!("--probe-socket={}", node.path("probe.sock").display());
    let mut probe = Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
    let assert = probe.env_clear().args(["probe", "live", &socket]).assert().code(1);
    assert!(text(&assert.get_output().stderr).contains("no agent answers"));
}

#[test]
fn a_flag_that_cannot_be_used_is_one_error_with_exit_code_two() {
    let node = Node::new();
    let assert = node.command("status").arg("--kubelet-kubeconfig=/does/not/exist").assert().code(2);
    let error = text(&assert.get_output().stderr);
    assert!(error.contains("--kubelet-kubeconfig=/does/not/exist: no such file"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    node.command("status").arg("--no-such-flag").assert().code(2);
}

#[test]
fn a_man_page_and_completions_are_built_in() {
    let binary = || Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
    let page = text(&binary().arg("man").assert().success().get_output().stdout);
    assert!(page.contains(".TH pod-checkpointer"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let script = binary().args(["completions", shell]).assert().success().get_output().stdout.clone();
        assert!(text(&script).contains("pod-checkpointer"), "{shell}");
    }
}
