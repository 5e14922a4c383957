//! The index of archives as an earlier process, a failing disk or somebody else left it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::serve::retention::index::Index;
use pod_checkpointer::serve::retention::index_file;

const DIRECTORY: &str = "/var/lib/kubelet/checkpoints";

fuzz_target!(|bytes: &[u8]| {
    let Some(found) = index_file::read(bytes, DIRECTORY) else { return };
    let mut index = Index::default();
    let bytes: u128 = found.values().map(|seen| u128::from(seen.stamp.size)).sum();
    for (file, seen) in &found {
        index.put(file, seen.clone());
    }
    assert_eq!(index.bytes(), bytes);
    let written = index_file::write(&index, DIRECTORY);
    assert_eq!(index_file::read(&written, DIRECTORY), Some(found.clone()));
    for file in found.keys() {
        index.forget(file);
    }
    assert_eq!((index.bytes(), index.files().count(), index.containers().count()), (0, 0, 0));
});
