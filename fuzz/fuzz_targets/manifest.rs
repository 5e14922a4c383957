//! A file in the manifest directories, whoever wrote it.
#![no_main]

#[path = "../../tests/support/model_disk.rs"]
#[allow(dead_code, reason = "its faults are for the suite that cuts the power")]
mod model_disk;

use libfuzzer_sys::fuzz_target;
use model_disk::ModelDisk;
use pod_checkpointer::agent::store::{Store, yaml};
use pod_checkpointer::disk::files::Files;
use pod_checkpointer::pod::key::PodKey;

const NAMES: [&str; 3] =
    ["manifests/ns_web.yaml", "inactive-manifests/ns_web.yaml", "inactive-manifests/ns_web.yaml.prev"];

fuzz_target!(|bytes: &[u8]| {
    let Some((place, bytes)) = bytes.split_first() else { return };
    let disk = ModelDisk::new();
    let store = Store::with_files(disk.clone()).expect("a disk without fault");
    let legacy = ["manifests/ns-web.json", "inactive-manifests/ns-web.json"];
    for name in NAMES.iter().chain(&legacy).enumerate().filter(|(at, _)| place & (1 << at) != 0).map(|(_, name)| name) {
        let mut file = disk.create(name).expect("a disk without fault");
        file.write(bytes).expect("a disk without fault");
    }
    let web = PodKey::new("ns", "web").expect("a proper name");
    let inventory = store.load().expect("what one file holds is no reason to know nothing of the others");
    let readable = store.manifest(&web);
    assert!(inventory.checkpoints.contains_key(&web) == matches!(readable, Ok(Some(_))), "{readable:?}");
    // None of these may panic, whatever they say.
    let before = disk.list("inactive-manifests").expect("a disk without fault").len();
    drop(store.activate(std::slice::from_ref(&web)));
    drop(store.retire(&web, 1));
    drop(store.deactivate(std::slice::from_ref(&web)));
    let after = disk.list("inactive-manifests").expect("a disk without fault").len();
    assert!(after >= before, "a file was lost");
    drop(store.remove_assets(&web));
    drop(store.remove_manifests(&web));

    if let Ok(value) = serde_yaml::from_slice::<serde_json::Value>(bytes) {
        let text = yaml::to_text(&value);
        let again: serde_json::Value = serde_yaml::from_str(&text).expect("what we write can be read");
        assert_eq!(again, value, "{text}");
        assert!(yaml::is_whole(text.as_bytes()));
    }
});
