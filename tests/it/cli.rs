//! The commands as an operator runs them.

mod doctor;
mod status;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use assert_cmd::Command;
use pod_checkpointer::agent::store::{Layout, Store};
use pod_checkpointer::pod::checkpoint::{AssetFile, AssetVolume, Checkpoint, Tree, VolumeContent};
use pod_checkpointer::pod::key::PodKey;
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
        let content = VolumeContent { files: [("tls.key".to_owned(), key_file)].into(), ..VolumeContent::default() };
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
    let mut status = Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
    let assert = status.env_clear().args(["status", "--node-name=n1", "--run-dir=relative"]).assert().code(2);
    let error = text(&assert.get_output().stderr);
    assert!(error.contains("--run-dir=relative"), "{error}");
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

impl Node {
    /// `run` with the directories of this node and no variable from outside.
    fn run(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
        command.env_clear().args(["run", "--node-name=n1", "--listen="]);
        for (flag, place) in [
            ("--etc-dir", "kubernetes"),
            ("--manifests-dir", "kubernetes/manifests"),
            ("--kubelet-dir", "kubelet"),
            ("--run-dir", "run"),
            ("--lock-file", "run/lock"),
        ] {
            command.arg(format!("{flag}={}", self.path(place).display()));
        }
        command.args(more);
        command
    }
}

#[test]
fn run_tells_everything_that_cannot_work_in_one_error() {
    let node = Node::new();
    let flags = ["--api-server=10.0.0.1:6443", "--log-level=loud", "--container-runtime-endpoint=/etc/hostname"];
    let error = text(&node.run(&flags).assert().code(2).get_output().stderr);
    for flag in flags {
        assert!(error.contains(flag), "{error}");
    }
    assert!(error.contains("3 settings cannot be used"), "{error}");
}

#[test]
fn a_kubeconfig_that_is_none_is_named_and_run_goes_on() {
    let node = Node::new();
    fs::write(node.path("kubeconfig"), "garbage: [").unwrap();
    let flag = format!("--kubeconfig={}", node.path("kubeconfig").display());
    let assert = node.run(&[&flag]).timeout(Duration::from_secs(3)).assert().interrupted();
    let log = text(&assert.get_output().stderr);
    assert!(log.contains("config view"), "{log}");
    assert!(log.contains("leading on this node"), "{log}");
}

#[test]
fn help_teaches_by_example() {
    let node = Node::new();
    let help = text(&node.run(&["--help"]).assert().success().get_output().stdout);
    for part in ["Examples:", "--activation-delay", "POD_CHECKPOINTER_GRACE_PERIOD", "k3s"] {
        assert!(help.contains(part), "{part} is missing from\n{help}");
    }
}
