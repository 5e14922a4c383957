//! The client against a registry in this process: an honest one, and those that lie, break, hang or harvest.

mod credentials;
mod honest;
mod lying;
#[path = "../support/registry/mod.rs"]
mod registry;

use std::fs::File;
use std::io::Write;

use pod_checkpointer::archive::metadata::{Engine, Metadata};
use pod_checkpointer::container::push::{PushError, Pushed, push};
use pod_checkpointer::registry::{Reference, Registry, RegistryError};

/// A file that holds so many bytes, no two pieces alike.
fn archive(length: usize) -> (File, Vec<u8>) {
    let bytes: Vec<u8> = (0..length).map(|at| u8::try_from((at / 7 + at / 4093) % 256).expect("a byte")).collect();
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

async fn pushed(registry: &Registry, to: &Reference, length: usize) -> Result<Pushed, PushError> {
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
