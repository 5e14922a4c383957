//! A containerd archive, small and whole.

use serde_json::json;

const BLOCK: usize = 512;

/// Of this container, with some memory in it.
pub fn archive(namespace: &str, pod: &str, uid: &str, container: &str, memory: &[u8]) -> Vec<u8> {
    let config = json!({
        "id": "id", "name": container, "rootfsImage": "r/counter:1", "rootfsImageRef": "r/counter@sha256:00",
        "rootfsImageName": "r/counter:1", "runtime": "io.containerd.runc.v2",
        "createdTime": "2026-11-21T07:00:00Z", "checkpointedTime": "2026-11-21T07:12:53Z",
    });
    let spec = json!({"ociVersion": "1.2.0", "annotations": {
        "io.kubernetes.cri.container-name": container, "io.kubernetes.cri.sandbox-name": pod,
        "io.kubernetes.cri.sandbox-namespace": namespace, "io.kubernetes.cri.sandbox-uid": uid,
    }});
    let mut tar = Vec::new();
    for (name, content) in [
        ("config.dump", config.to_string().into_bytes()),
        ("spec.dump", spec.to_string().into_bytes()),
        ("checkpoint/pages-1.img", memory.to_vec()),
    ] {
        tar.extend(header(name, content.len()));
        tar.extend(&content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.extend([0; 2 * BLOCK]);
    tar
}

fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000600");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"15110000000");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}
