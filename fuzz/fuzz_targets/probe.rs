//! The probe socket: somebody writes anything into it and goes, or not; the next one gets its answer.
#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::agent::http::{View, probe_socket};
use tokio::sync::watch;

static SOCKET: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory").keep();
    let path = dir.join("probe.sock");
    let (at, ready) = (path.clone(), Arc::new(std::sync::Barrier::new(2)));
    let bound = Arc::clone(&ready);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = probe_socket::bind(&at).expect("a socket");
            bound.wait();
            let (_view, seen) = watch::channel(Arc::new(View::default()));
            match probe_socket::serve(listener, seen).await {}
        });
    });
    ready.wait();
    path
});

fuzz_target!(|bytes: &[u8]| {
    let mut stream = UnixStream::connect(&*SOCKET).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    // It reads a word at most and may have answered and gone.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.ends_with(b"\n"), "{answer:?}");

    let mut next = UnixStream::connect(&*SOCKET).expect("a listener");
    next.write_all(b"live\n").expect("it reads");
    let mut answer = String::new();
    next.read_to_string(&mut answer).expect("it answers");
    assert_eq!(answer, "ok\n");
});
