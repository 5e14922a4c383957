//! A pod as the API server has it, down to its checkpoint on disk. Read as YAML, of which JSON is a part.
#![no_main]

#[path = "../../tests/support/model_disk.rs"]
#[allow(dead_code, reason = "its faults are for the suite that cuts the power")]
mod model_disk;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use model_disk::ModelDisk;
use pod_checkpointer::agent::store::{Store, StoreError};
use pod_checkpointer::pod::asset_refs::{Assets, Fetched, FetchedToken, wanted};
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::runtime::ImagePresence;
use pod_checkpointer::pod::sanitize::{NodeFacts, has_api_object_reference, sanitize};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(pod) = serde_yaml::from_slice::<Value>(bytes) else { return };
    let node = pod["spec"]["nodeName"].as_str().unwrap_or("n1").to_owned();
    let Ok(Some(parent)) = Parent::from_api(&pod, &node) else { return };
    let facts = NodeFacts {
        node_name: node,
        api_host: "10.96.0.1".to_owned(),
        api_port: "443".to_owned(),
        images: parent.images().into_iter().map(|image| (image, ImagePresence::Present)).collect(),
        ..NodeFacts::default()
    };
    // What is no text cannot stand in an environment.
    let binary = bytes.len() % 4 == 0;
    let Ok(checkpoint) = sanitize(&parent, &facts, &assets(&pod, binary)) else { return };
    assert_eq!(has_api_object_reference(&checkpoint.manifest), None);
    assert_eq!(checkpoint, sanitize(&parent, &facts, &assets(&pod, binary)).expect("the same again"));
    for volume in &checkpoint.volumes {
        for path in volume.content.files.keys() {
            assert!(!path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path:?}");
        }
    }
    let store = Store::with_files(ModelDisk::new()).expect("a disk without fault");
    match store.save(&parent.key, &checkpoint, 1) {
        Ok(_) => {}
        // A name too long, or two that collide: said of this pod, and nothing is written.
        Err(StoreError::Volume(_) | StoreError::File(_)) => return,
        Err(other) => panic!("{other}"),
    }
    let inventory = store.load().expect("a disk without fault");
    let copy = &inventory.checkpoints[&parent.key];
    assert_eq!((&copy.uid, &copy.digest, &copy.incomplete), (&parent.uid, &parent.digest, &None));
    assert!(inventory.unreadable.is_empty(), "{:?}", inventory.unreadable);
    for (_, outcome) in store.activate(std::slice::from_ref(&parent.key)) {
        outcome.expect("what was saved can be activated");
    }
});

/// Everything is there that the pod wants, with keys that it could name.
fn assets(pod: &Value, binary: bool) -> Assets {
    let wanted = wanted(pod);
    let data: &[u8] = if binary { b"$(X) \xff" } else { b"$(X) y" };
    let keys = ["ca.crt", "tls.key", "greeting", "a.b", "k"];
    let data: BTreeMap<_, _> = keys.iter().map(|key| ((*key).to_owned(), data.to_vec())).collect();
    let found = |object| (object, Fetched::Found(data.clone()));
    let token = || FetchedToken::Granted { token: "jwt".to_owned(), expires_at: 1 };
    Assets {
        objects: wanted.objects.into_iter().map(found).collect(),
        tokens: wanted.tokens.into_iter().map(|wanted| (wanted, token())).collect(),
    }
}
