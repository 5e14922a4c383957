//! What is labelled for containers where SELinux is on. There is none here: who sets the label is ours.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pod_checkpointer::agent::store::{Layout, Store};
use pod_checkpointer::disk::selinux::Labels;
use pod_checkpointer::pod::checkpoint::Tree;

use crate::support::checkpoints::{checkpoint, key, with};

type Labelled = Arc<Mutex<BTreeSet<String>>>;

/// Remembers what was labelled, each of which must be there and not be followed.
fn labels() -> (Labels, Labelled) {
    let labelled = Labelled::default();
    let remember = Arc::clone(&labelled);
    let labels = Labels::with(Tree::ALL.map(Tree::dir), move |at, path| {
        fs::symlink_metadata(at)?;
        remember.lock().unwrap().insert(path.to_owned());
        Ok(())
    });
    (labels, labelled)
}

fn layout(dir: &Path) -> Layout {
    Layout { etc: dir.join("etc"), manifests: dir.join("etc/manifests") }
}

fn save(store: &Store) {
    let web = key("shop/web");
    let copy = with(checkpoint(&web, "uid-1"), Tree::Secrets, "tls", &[("deep/tls.crt", "1")]);
    store.save(&web, &copy, 1).expect("a sound disk");
}

/// The name of the time, which is another each run, written as `..TIME`; and what is swapped away, by its last name.
fn golden(labelled: &Labelled) -> Vec<String> {
    let steady = |path: &String| {
        let part = |part: &str| match part {
            "..data" | "..data_tmp" => part.to_owned(),
            part if part.starts_with("..") => "..TIME".to_owned(),
            part => part.to_owned(),
        };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    };
    labelled.lock().unwrap().iter().map(steady).collect()
}

#[test]
fn every_file_link_and_directory_of_an_asset_is_labelled() {
    let dir = tempfile::tempdir().unwrap();
    let (labels, labelled) = labels();
    save(&Store::open_labelled(&layout(dir.path()), Some(labels)).unwrap());
    let expected = [
        "checkpoint-configmaps",
        "checkpoint-secrets",
        "checkpoint-secrets/shop",
        "checkpoint-secrets/shop/web",
        "checkpoint-secrets/shop/web/tls",
        "checkpoint-secrets/shop/web/tls/..TIME",
        "checkpoint-secrets/shop/web/tls/..TIME/deep",
        "checkpoint-secrets/shop/web/tls/..TIME/deep/tls.crt",
        "checkpoint-secrets/shop/web/tls/..data_tmp",
        "checkpoint-secrets/shop/web/tls/deep",
        "checkpoint-volumes",
    ];
    assert_eq!(golden(&labelled), expected, "and no manifest, which the kubelet alone reads");
}

#[test]
fn what_was_made_before_is_labelled_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    save(&Store::open_labelled(&layout(dir.path()), None).unwrap());
    let (labels, labelled) = labels();
    drop(Store::open_labelled(&layout(dir.path()), Some(labels)).unwrap());
    let labelled = golden(&labelled);
    assert!(labelled.contains(&"checkpoint-secrets/shop/web/tls/..TIME/deep/tls.crt".to_owned()), "{labelled:?}");
    assert!(labelled.contains(&"checkpoint-secrets/shop/web/tls/..data".to_owned()), "{labelled:?}");
    assert!(!labelled.iter().any(|path| path.contains("manifest")), "{labelled:?}");
}

#[test]
fn a_label_that_is_not_allowed_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::with(["checkpoint-secrets"], |_, path| {
        if path == "checkpoint-secrets/shop" { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    });
    let store = Store::open_labelled(&layout(dir.path()), Some(labels)).unwrap();
    let copy = with(checkpoint(&key("shop/web"), "uid-1"), Tree::Secrets, "tls", &[("a", "1")]);
    let error = store.save(&key("shop/web"), &copy, 1).unwrap_err().to_string();
    assert!(error.contains("cannot label") && error.contains("checkpoint-secrets/shop"), "{error}");
    assert!(error.contains("doctor"), "{error}");
}
