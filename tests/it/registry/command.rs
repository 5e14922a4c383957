//! `archive push`, as an operator runs it.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use pod_checkpointer::registry::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::registry::{FakeRegistry, Manners};

/// One entry of a ustar archive (POSIX.1-2001).
fn entry(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [header.as_slice(), content, &padding].concat()
}

/// What containerd leaves of a container, but for its memory.
fn archive() -> Vec<u8> {
    let config = json!({
        "id": "0", "name": "count", "rootfsImage": "counter:1", "rootfsImageName": "r.example/counter:1",
        "rootfsImageRef": "r.example/counter@sha256:00", "runtime": "runc",
        "createdTime": "2026-11-21T06:00:00Z", "checkpointedTime": "2026-11-21T07:00:00Z",
    });
    let spec = json!({"annotations": {
        "io.kubernetes.cri.container-name": "count",
        "io.kubernetes.cri.sandbox-name": "counter",
        "io.kubernetes.cri.sandbox-namespace": "default",
    }});
    let entries = [("config.dump", config.to_string()), ("spec.dump", spec.to_string())];
    let mut bytes: Vec<u8> = entries.iter().flat_map(|(name, content)| entry(name, content.as_bytes())).collect();
    bytes.extend([0; 1024]);
    bytes
}

struct Desk {
    dir: TempDir,
    archive: PathBuf,
}

impl Desk {
    fn new(archive: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.tar");
        fs::write(&path, archive).unwrap();
        Self { dir, archive: path }
    }

    async fn push(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
        command.args(["archive", "push"]).arg(&self.archive).args(arguments).output().await.unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn an_archive_is_pushed_and_its_digest_printed() {
    let login = ("u".to_owned(), "hunter2".to_owned());
    let there = FakeRegistry::start(Manners { login: Some(login), ..Manners::default() }).await;
    let desk = Desk::new(&archive());
    let config = desk.dir.path().join("config.json");
    fs::write(&config, json!({"auths": {there.authority(): {"auth": "dTpodW50ZXIy"}}}).to_string()).unwrap();
    let (to, plain) = (there.image().to_string(), there.authority());
    let arguments = [to.as_str(), "--plain-http", &plain, "--docker-config", config.to_str().unwrap()];
    let output = desk.push(&[arguments.as_slice(), &["-o", "json"]].concat()).await;
    assert!(output.status.success(), "{}", said(&output));
    let pushed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(pushed["reference"], to);
    assert_eq!(pushed["layer"], Digest::of(&archive()).to_string());
    let index = there.world().manifests[&("cp/counter".to_owned(), "t1".to_owned())].1.clone();
    assert_eq!(pushed["digest"], Digest::of(&index).to_string());
    let output = desk.push(&arguments).await;
    let expected = format!("{to}\n{}\n", pushed["digest"].as_str().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[tokio::test]
async fn an_archive_that_is_not_whole_is_not_pushed() {
    let there = FakeRegistry::start(Manners::default()).await;
    let whole = archive();
    let arguments = [there.image().to_string(), "--plain-http".to_owned(), there.authority()];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for (bytes, why) in [
        (whole[..whole.len() - 1024].to_vec(), "still being written"),
        ([whole.as_slice(), &[1; 512]].concat(), "not complete"),
        (whole[..700].to_vec(), "a.tar"),
        (b"age-encryption.org/v1\n-> x\n".to_vec(), "archive unseal"),
        (Vec::new(), "a.tar"),
    ] {
        let output = Desk::new(&bytes).push(&arguments).await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why), "{why}: {}", said(&output));
    }
    assert_eq!(there.heard(), [""; 0]);
}

#[tokio::test]
async fn flags_that_cannot_be_used_are_told_from_failures() {
    let desk = Desk::new(&archive());
    let missing = desk.dir.path().join("none");
    let secret = desk.dir.path().join("config.json");
    fs::write(&secret, "{\"auths\": {\"a.b\": {\"auth\": hunter2}}}").unwrap();
    for (arguments, why) in [
        (vec!["counter:1"], "names no registry"),
        (vec!["r.example/x", "--plain-http", "http://r.example"], "write HOST or HOST:PORT"),
        (vec!["r.example/x", "--registry-ca", missing.to_str().unwrap()], "cannot read"),
        (vec!["r.example/x", "--docker-config", missing.to_str().unwrap()], "cannot read"),
        (vec!["r.example/x", "--docker-config", secret.to_str().unwrap()], "no docker configuration"),
        (vec!["r.example/x", "--timeout", "soon"], "soon"),
    ] {
        let output = desk.push(&arguments).await;
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(why) && !said(&output).contains("hunter2"), "{why}: {}", said(&output));
    }
    let gone = TempDir::new().unwrap();
    let nothing = Desk { archive: gone.path().join("none.tar"), dir: gone };
    let output = nothing.push(&["r.example/x:t"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot read"), "{}", said(&output));
}
