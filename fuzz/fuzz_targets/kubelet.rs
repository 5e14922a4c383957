//! What the kubelet has on disk: its configuration, a kubeconfig, the records of its pulls. Parted by bytes that no text has.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::node::cri_socket;
use pod_checkpointer::node::kubelet::{KubeletDir, kubeconfig_server};
use pod_checkpointer::node::pull_records::PullRecords;
use tempfile::TempDir;

const ID: &str = "sha256:1";
/// SHA-256 of [`ID`], as the kubelet names its record.
const RECORD: &str = "sha256-51ae7fa00c92525c319404a3a6d400e52ff9372c5a39cb415e0486fe425f3165";
const SECRET: &str = "very-secret-token";

static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = TempDir::new().expect("a directory");
    fs::create_dir_all(dir.path().join("image_manager/pulled")).expect("a directory");
    dir
});

fuzz_target!(|bytes: &[u8]| {
    let dir = DIR.path();
    let mut parts = bytes.splitn(4, |byte| *byte == 0xff);
    let mut put = |name: &str| fs::write(dir.join(name), parts.next().unwrap_or_default()).expect("a file");
    put("config.yaml");
    put("kubeconfig");
    put(&format!("image_manager/pulled/{RECORD}"));
    let image = String::from_utf8_lossy(parts.next().unwrap_or(b"registry.example:5000/a/b:1@sha256:2")).into_owned();

    let kubelet = KubeletDir::new(dir);
    drop(kubelet.static_pod_path());
    if let Ok(Some(config)) = kubelet.config() {
        drop(cri_socket::candidates(None, config.container_runtime_endpoint.as_deref()));
    }
    if let Ok(records) = PullRecords::of(&kubelet) {
        drop(records.access(&image, ID));
    }
    match kubeconfig_server(&dir.join("kubeconfig")) {
        Ok(server) => assert!(!server.trim().is_empty()),
        Err(why) => assert!(!why.to_string().contains(SECRET), "{why}"),
    }
});
