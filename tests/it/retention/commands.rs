//! `archive pin`, `unpin` and `prune`, as an operator runs them on a node, without a cluster.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::Value;

use super::archives::{names, put};

const C: [&str; 3] = ["shop", "web-0", "web"];

fn archive(dir: &Path, arguments: &[&str]) -> Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
    command.current_dir(dir).arg("archive").args(arguments).assert()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory with eleven archives, and a policy that keeps ten.
fn eleven() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let files = (1..=11).map(|second| put(dir.path(), C, second)).collect();
    let policy = "apiVersion: criu.org/v1\nkind: CheckpointRestoreOperator\nmetadata: {name: x}\n\
                  spec: {maxCheckpointsPerContainer: 10, checkpointDirectory: /var/lib/kubelet/checkpoints}\n";
    fs::write(dir.path().join("policy.yaml"), policy).unwrap();
    (dir, files)
}

#[test]
fn a_dry_run_says_what_would_go_and_why_and_deletes_nothing() {
    let (dir, files) = eleven();
    let before = names(dir.path());
    let table = archive(dir.path(), &["prune", ".", "--policy", "policy.yaml", "--dry-run"]).success();
    let table = text(&table.get_output().stdout);
    assert!(table.contains(&files[0]) && table.contains("its container may have 10"), "{table}");
    assert!(!table.contains(&files[1]), "{table}");
    let json = archive(dir.path(), &["prune", ".", "--policy", "policy.yaml", "--dry-run", "-o", "json"]).success();
    let json: Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!((&json[0]["file"], &json[0]["of"]), (&files[0].as_str().into(), &"shop/web-0/web".into()));
    assert_eq!(names(dir.path()), before);
}

#[test]
fn nothing_is_deleted_before_somebody_agreed() {
    let (dir, files) = eleven();
    let refused = archive(dir.path(), &["prune", ".", "--policy", "policy.yaml"]).failure();
    assert!(text(&refused.get_output().stderr).contains("--yes"));
    assert!(dir.path().join(&files[0]).exists());
    archive(dir.path(), &["prune", ".", "--policy", "policy.yaml", "--yes"]).success();
    assert!(!dir.path().join(&files[0]).exists() && dir.path().join(&files[1]).exists());
    let none = archive(dir.path(), &["prune", ".", "--policy", "policy.yaml", "--yes"]).success();
    assert!(text(&none.get_output().stderr).contains("nothing is to be deleted"));
}

#[test]
fn a_pin_keeps_an_archive_until_it_is_removed() {
    let (dir, files) = eleven();
    archive(dir.path(), &["pin", &files[0]]).success();
    archive(dir.path(), &["pin", &files[0]]).success();
    archive(dir.path(), &["prune", ".", "--policy", "policy.yaml", "--yes"]).success();
    assert!(dir.path().join(&files[0]).exists() && !dir.path().join(&files[1]).exists());
    put(dir.path(), C, 12);
    archive(dir.path(), &["unpin", &files[0]]).success();
    archive(dir.path(), &["unpin", &files[0]]).success();
    archive(dir.path(), &["prune", ".", "--policy", "policy.yaml", "--yes"]).success();
    assert!(!dir.path().join(&files[0]).exists() && dir.path().join(&files[2]).exists());
}

#[test]
fn what_is_no_archive_or_not_there_is_not_pinned() {
    let (dir, _) = eleven();
    archive(dir.path(), &["pin", "policy.yaml"]).code(2);
    archive(dir.path(), &["pin", "checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar"]).code(1);
    assert!(!names(dir.path()).iter().any(|name| name.contains(".keep")));
}

#[test]
fn an_impossible_policy_is_refused_before_anything_is_looked_at() {
    let (dir, _) = eleven();
    fs::write(dir.path().join("bad.yaml"), "maxAge: soon\nglobalPolicy: {maxCheckpointSize: 3 apples}\n").unwrap();
    let refused = archive(dir.path(), &["prune", "/nowhere", "--policy", "bad.yaml", "--dry-run"]).code(2);
    let stderr = text(&refused.get_output().stderr);
    assert!(stderr.contains("spec.maxAge") && stderr.contains("spec.globalPolicy.maxCheckpointSize"), "{stderr}");
}
