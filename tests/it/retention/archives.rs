//! Archives as containerd writes them, as small as can be.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

const BLOCK: usize = 512;

/// The header of a file.
pub fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000600");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[136..147].copy_from_slice(b"15110000000");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

fn entry(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    tar.extend(header(name, content.len()));
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

fn spec([namespace, pod, container]: [&str; 3]) -> Value {
    json!({"ociVersion": "1.2.0", "annotations": {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-namespace": namespace,
        "io.kubernetes.cri.sandbox-name": pod,
        "io.kubernetes.cri.container-name": container,
    }})
}

/// An archive with `memory` bytes of memory, without its end.
pub fn unfinished(of: [&str; 3], at: Timestamp, memory: usize) -> Vec<u8> {
    let config = json!({"id": "7ca1", "name": of[2], "runtime": "io.containerd.runc.v2", "checkpointedTime": at});
    let mut tar = Vec::new();
    entry(&mut tar, "checkpoint/pages-1.img", &vec![7; memory]);
    entry(&mut tar, "config.dump", config.to_string().as_bytes());
    entry(&mut tar, "spec.dump", spec(of).to_string().as_bytes());
    tar
}

/// A whole one.
pub fn whole(of: [&str; 3], at: Timestamp, memory: usize) -> Vec<u8> {
    let mut tar = unfinished(of, at, memory);
    tar.extend([0; 2 * BLOCK]);
    tar
}

/// The kubelet's name for it.
pub fn name([namespace, pod, container]: [&str; 3], at: Timestamp) -> String {
    let second = Timestamp::from_second(at.as_second()).unwrap();
    format!("checkpoint-{pod}_{namespace}-{container}-{second}.tar")
}

/// Writes one of `ns/p/c` taken at that second; the name.
pub fn put(dir: &Path, of: [&str; 3], second: i64) -> String {
    let at = Timestamp::from_second(second).unwrap();
    let name = name(of, at);
    std::fs::write(dir.join(&name), whole(of, at, 1000)).unwrap();
    name
}

/// What lies there.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
