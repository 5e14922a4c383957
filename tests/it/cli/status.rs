//! `status`, with everything else down, and with a runtime that answers.

use std::collections::BTreeMap;
use std::fs;

use pod_checkpointer::disk::lock::NodeLock;
use serde_json::{Value, json};

use super::{Node, text};
use crate::support::cri::FakeRuntime;
use crate::support::machine::Shared;

/// A runtime in which `kube-system/<pod>` runs one container, from the API server or as a static pod.
fn runs(machine: &Shared, pod: &str, source: &str, annotation: (&str, &str)) {
    let annotations = BTreeMap::from([(annotation.0.to_owned(), annotation.1.to_owned())]);
    let mut machine = machine.lock();
    let sandbox = machine.run_sandbox(("kube-system", pod, "uid-1"), source, &annotations);
    machine.run_container(&sandbox, "main", 0);
}

#[test]
fn the_runtime_shows_what_runs_and_which_image_is_there() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    node.save("db", "kube-system/StatefulSet/db");
    let machine = Shared::default();
    let runtime = FakeRuntime::start(&node.path(""), machine.clone()).unwrap();
    fs::rename(node.path("containerd.sock"), node.path("runtime.sock")).unwrap();
    runs(&machine, "web-n1", "file", ("checkpointer.alpha.coreos.com/checkpoint-of", "web"));
    runs(&machine, "db", "api", ("checkpointer.alpha.coreos.com/checkpoint", "true"));
    runs(&machine, "new", "api", ("checkpointer.alpha.coreos.com/checkpoint", "true"));
    runs(&machine, "other", "api", ("example.com/other", "true"));
    let document = node.json("status");
    assert_eq!(document["runtime"], "ok");
    let pods = document["pods"].as_array().unwrap();
    let seen: Vec<_> =
        pods.iter().map(|pod| (pod["name"].as_str().unwrap(), pod["running"].as_str().unwrap())).collect();
    assert_eq!(seen, [("db", "parent"), ("new", "parent"), ("web", "twin")]);
    assert_eq!(pods[0]["image_present"], false);
    assert_eq!(pods[0]["restorable"], false, "its image is not on the node");
    assert_eq!(pods[1]["phase"], "watching");
    machine.lock().images.insert("web:1".to_owned(), "sha256:1".to_owned());
    let document = node.json("status");
    assert_eq!(document["pods"][0]["image_present"], true);
    assert_eq!(document["pods"][0]["restorable"], true);
    assert_eq!(runtime.calls().unexpected, [""; 0]);
}

#[test]
fn a_runtime_that_hangs_costs_two_columns_and_not_the_answer() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    let runtime = FakeRuntime::start(&node.path(""), Shared::default()).unwrap();
    fs::rename(node.path("containerd.sock"), node.path("runtime.sock")).unwrap();
    runtime.mood(|mood| mood.hangs = true);
    let document = node.json("status");
    assert!(document["runtime"].as_str().unwrap().starts_with("unavailable: "), "{document}");
    assert_eq!(document["pods"][0]["running"], Value::Null);
    assert_eq!(document["pods"][0]["name"], "web");
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
    let _runtime = node.runtime_with("web:1");
    let _lead = node.agent_leads();
    node.command("status").arg("--check").assert().code(0);
    fs::remove_dir_all(node.path("kubernetes/checkpoint-secrets/kube-system/web")).unwrap();
    let output = node.command("status").arg("--check").assert().code(3).get_output().clone();
    assert!(text(&output.stdout).contains("0 of 1 would come back"), "{}", text(&output.stdout));
}

#[test]
fn status_check_says_no_where_it_cannot_see() {
    let node = Node::new();
    node.save("web", "kube-system/DaemonSet/web");
    let check = || {
        let output = node.command("status").arg("--check").output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = check();
    assert_eq!(code, Some(3));
    assert!(said.contains("no agent leads") && said.contains("runtime does not answer"), "{said}");
    let lead = node.agent_leads();
    let (code, said) = check();
    assert!(code == Some(3) && !said.contains("no agent leads") && said.contains("runtime"), "{said}");
    let _runtime = node.runtime_with("web:1");
    assert_eq!(check(), (Some(0), String::new()));
    fs::remove_file(node.path("run/report.json")).unwrap();
    let (code, said) = check();
    assert!(code == Some(3) && said.contains("has not reported"), "{said}");
    drop(lead);
    let (code, said) = check();
    assert!(code == Some(3) && said.contains("no agent leads"), "{said}");
}

impl Node {
    /// A runtime that has this image.
    fn runtime_with(&self, image: &str) -> FakeRuntime {
        let machine = Shared::default();
        machine.lock().images.insert(image.to_owned(), "sha256:1".to_owned());
        let runtime = FakeRuntime::start(&self.path(""), machine).unwrap();
        fs::rename(self.path("containerd.sock"), self.path("runtime.sock")).unwrap();
        runtime
    }

    /// An agent holds the lock and has nothing to add.
    fn agent_leads(&self) -> NodeLock {
        fs::write(self.path("run/report.json"), "{}").unwrap();
        NodeLock::try_acquire(&self.path("run/lock")).unwrap().unwrap()
    }
}

#[test]
fn status_trusts_a_leading_agents_report_and_not_a_gone_ones() {
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
