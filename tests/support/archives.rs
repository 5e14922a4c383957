//! Tar archives made by hand, block by block: those of containerd and CRI-O, and those that nobody honest would make.

use std::io::{Seek, Write};

use serde_json::{Value, json};

pub const BLOCK: usize = 512;

/// An archive that grows.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    /// An entry of any type; `size` is what its header claims.
    pub fn entry(mut self, kind: u8, name: &str, size: &[u8; 12], content: &[u8]) -> Self {
        self.0.extend(header(kind, name, size));
        self.content(content)
    }

    /// A regular file.
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(b'0', name, &octal(content.len()), content)
    }

    /// Content and its padding, without a header.
    pub fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// An extended header for the next entry, or with `g` for all.
    pub fn pax(self, kind: u8, key: &str, value: &str) -> Self {
        let body = format!(" {key}={value}\n");
        let length = (1..9).map(|n| body.len() + n).find(|n| n.to_string().len() + body.len() == *n).expect("a length");
        let record = format!("{length}{body}");
        self.entry(kind, "pax", &octal(record.len()), record.as_bytes())
    }

    /// The end marker.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }
}

/// As a header has it.
pub fn octal(number: usize) -> [u8; 12] {
    format!("{number:011o}\0").into_bytes().try_into().expect("twelve digits")
}

/// GNU's form for what octal cannot say.
pub fn binary(number: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[4..].copy_from_slice(&number.to_be_bytes());
    field[0] = 0x80;
    field
}

/// One header with its checksum.
pub fn header(kind: u8, name: &str, size: &[u8; 12]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000600");
    block[124..136].copy_from_slice(size);
    block[136..147].copy_from_slice(b"15110000000");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    checksum(&mut block);
    block
}

/// Puts it right.
pub fn checksum(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// `config.dump` of a container.
pub fn config() -> Value {
    json!({
        "id": "7ca1", "name": "web", "rootfsImage": "registry.example/shop/web:1.2",
        "rootfsImageRef": "registry.example/shop/web@sha256:5a", "rootfsImageName": "registry.example/shop/web:1.2",
        "runtime": "io.containerd.runc.v2", "createdTime": "2026-11-20T23:00:00.25Z",
        "checkpointedTime": "2026-11-21T08:12:53+01:00", "restoredTime": "0001-01-01T00:00:00Z", "restored": false,
    })
}

/// `spec.dump` as containerd has it.
pub fn containerd_spec(namespace: &str, pod: &str, container: &str) -> Value {
    json!({
        "ociVersion": "1.2.0",
        "process": {"args": ["web"], "env": ["PASSWORD=hunter2"]},
        "annotations": {
            "io.kubernetes.cri.container-name": container, "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "registry.example/shop/web:1.2", "io.kubernetes.cri.sandbox-id": "c0ffee",
            "io.kubernetes.cri.sandbox-name": pod, "io.kubernetes.cri.sandbox-namespace": namespace,
            "io.kubernetes.cri.sandbox-uid": "0d5c1f3a-7f2f-4f0e-9a55-1f3e9a7c0001",
        },
    })
}

/// `spec.dump` as CRI-O has it.
pub fn crio_spec(namespace: &str, pod: &str, container: &str) -> Value {
    let labels = json!({
        "io.kubernetes.container.name": container, "io.kubernetes.pod.name": pod,
        "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": "0d5c1f3a-7f2f-4f0e-9a55-1f3e9a7c0001",
    });
    json!({
        "ociVersion": "1.2.0",
        "annotations": {
            "io.container.manager": "cri-o", "io.kubernetes.cri-o.Labels": labels.to_string(),
            "io.kubernetes.cri-o.ContainerType": "container",
        },
    })
}

/// An archive as containerd writes it, but for its end.
pub fn containerd(memory: &[u8]) -> Tar {
    let spec = containerd_spec("shop", "web-0", "web");
    Tar::default()
        .entry(b'5', "checkpoint/", &octal(0), b"")
        .file("checkpoint/inventory.img", b"VMAI")
        .file("checkpoint/pages-1.img", memory)
        .file("config.dump", config().to_string().as_bytes())
        .file("container.log", b"started\n")
        .file("dump.log", b"Dumping finished successfully\n")
        .file("rootfs-diff.tar", b"\x1f\x8b")
        .file("spec.dump", spec.to_string().as_bytes())
        .file("stats-dump", b"S")
        .file("status", b"{}")
        .file("status.dump", b"{}")
}

/// An archive as CRI-O writes it, but for its end.
pub fn crio() -> Tar {
    let spec = crio_spec("shop", "web-0", "web");
    let mut config = config();
    config["runtime"] = json!("crun");
    Tar::default()
        .file("bind.mounts", b"[]")
        .entry(b'5', "checkpoint/", &octal(0), b"")
        .file("checkpoint/pages-1.img", b"memory")
        .file("config.dump", config.to_string().as_bytes())
        .file("deleted.files", b"[]")
        .file("dump.log", b"")
        .file("rootfs-diff.tar", b"")
        .file("spec.dump", spec.to_string().as_bytes())
        .file("stats-dump", b"S")
}

/// An archive with these two files.
pub fn of(config: &Value, spec: &Value) -> Vec<u8> {
    let (config, spec) = (config.to_string(), spec.to_string());
    Tar::default().file("config.dump", config.as_bytes()).file("spec.dump", spec.as_bytes()).end()
}

/// A file without a name that holds this.
pub fn opened(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("space");
    file.rewind().expect("a file");
    file
}
