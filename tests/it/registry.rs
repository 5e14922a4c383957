//! The client against a registry in this process: an honest one, and those that lie, break, hang or harvest.

mod command;
mod credentials;
mod honest;
mod lying;
use std::fs::File;
use std::io::Write;

use pod_checkpointer::archive::metadata::{Engine, Metadata};
use pod_checkpointer::image::push::{PushError, Pushed, push};
use pod_checkpointer::registry::{ImageReference, Registry, RegistryError};

/// A file that holds so many bytes, no two pieces alike.
fn archive(length: usize) -> (File, Vec<u8>) {
    // A pattern of a length that no power of two is a multiple of.
    let pattern: Vec<u8> = (0..4093_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut bytes = pattern.repeat(length / pattern.len() + 1);
    bytes.truncate(length);
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("space");
    (file, bytes)
}

fn metadata() -> Metadata {
    Metadata {
        engine: Engine::Containerd,
        namespace: "default".to_owned(),
        pod: "counter".to_owned(),
        pod_uid: None,
        container: "count".to_owned(),
        runtime: "runc".to_owned(),
        image_name: "r.example/counter:1".to_owned(),
        image_ref: String::new(),
        image: "counter:1".to_owned(),
        created: None,
        checkpointed: None,
    }
}

async fn pushed(registry: &Registry, to: &ImageReference, length: usize) -> Result<Pushed, PushError> {
    push(registry, to, archive(length).0, &metadata(), &|_| {}).await
}

/// Why the registry did not get it.
#[track_caller]
fn refused(result: Result<Pushed, PushError>) -> RegistryError {
    match result {
        Err(PushError::Registry(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}
