//! The store on a real filesystem: what it leaves alone, what it mends, what it refuses.

mod labels;
mod order;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pod_checkpointer::agent::store::{Layout, Store, StoreError};
use pod_checkpointer::disk::atomic::Written;
use pod_checkpointer::pod::annotation;
use pod_checkpointer::pod::checkpoint::Tree;
use pod_checkpointer::pod::key::{PodKey, Uid};
use pod_checkpointer::pod::snapshot::{ClusterMark, Inventory, LegacyFiles};
use proptest::prelude::*;
use serde_json::json;

use crate::support::checkpoints::{checkpoint, key, volume, with};

struct Node {
    dir: tempfile::TempDir,
    layout: Layout,
    store: Store,
}

fn node() -> Node {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = Layout { etc: dir.path().join("etc"), manifests: dir.path().join("elsewhere/manifests") };
    let store = Store::open(&layout).expect("an empty directory");
    Node { dir, layout, store }
}

impl Node {
    fn etc(&self, path: &str) -> PathBuf {
        self.layout.etc.join(path)
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.layout.manifests.join(name)
    }

    fn save(&self, uid: &str, at: i64) -> PodKey {
        let web = key("shop/web");
        let copy = with(checkpoint(&web, uid), Tree::Secrets, "tls", &[("tls.crt", uid)]);
        self.store.save(&web, &copy, at).expect("a sound disk");
        web
    }

    fn activate(&self, key: &PodKey) -> Result<(), StoreError> {
        self.store.activate(std::slice::from_ref(key)).remove(0).1
    }

    fn deactivate(&self, key: &PodKey) -> Result<(), StoreError> {
        self.store.deactivate(std::slice::from_ref(key)).remove(0).1
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

#[test]
fn a_saved_checkpoint_is_described_as_it_was_captured() {
    let node = node();
    let web = key("shop/web");
    let mut copy = with(checkpoint(&web, "uid-1"), Tree::ConfigMaps, "settings", &[("a", "1")]);
    copy.manifest["metadata"]["annotations"][annotation::MAX_OFFLINE] = json!("1h30m");
    copy.manifest["metadata"]["annotations"][annotation::DEGRADED] = json!("[\"has no token\"]");
    copy.manifest["spec"]["initContainers"] =
        json!([{"name": "init", "image": "busybox", "ports": [{"hostPort": 80}]}]);
    node.store.save(&web, &copy, 1_700_000_000).expect("a sound disk");

    let on_disk = node.store.load().expect("a sound disk").checkpoints.remove(&web).expect("just saved");
    assert_eq!(on_disk.uid, Uid::from("uid-1"));
    assert_eq!(on_disk.digest, "digest-of-uid-1");
    assert_eq!(on_disk.captured_at, 1_700_000_000);
    assert_eq!(on_disk.containers, ["main"]);
    assert_eq!(on_disk.images, ["busybox", "registry.example/app:1"]);
    assert_eq!(on_disk.max_offline, Some(Duration::from_secs(5400)));
    assert_eq!(on_disk.degraded, ["has no token"]);
    assert!(on_disk.inactive && !on_disk.active && on_disk.host_port && on_disk.assets_at.is_some());
    assert_eq!((on_disk.incomplete, on_disk.retired), (None, None));
}

#[test]
fn only_the_top_directories_and_the_manifests_keep_others_out() {
    let node = node();
    node.save("uid-1", 1);
    for top in ["inactive-manifests", "checkpoint-secrets", "checkpoint-configmaps", "checkpoint-volumes"] {
        assert_eq!(mode(&node.etc(top)), 0o700, "{top}");
    }
    assert_eq!(mode(&node.etc("checkpoint-secrets/shop/web/tls")), 0o755);
    assert_eq!(mode(&node.etc("inactive-manifests/shop_web.yaml")), 0o600);
    assert_eq!(
        fs::metadata(node.etc("checkpoint-secrets/shop/web/tls/tls.crt")).expect("it resolves").mode() & 0o777,
        0o644
    );
}

#[test]
fn an_unchanged_checkpoint_is_not_written_again() {
    let node = node();
    let web = node.save("uid-1", 1);
    let file = node.etc("inactive-manifests/shop_web.yaml");
    let (before, inode) = (text(&file), fs::metadata(&file).expect("it exists").ino());
    let copy = with(checkpoint(&web, "uid-1"), Tree::Secrets, "tls", &[("tls.crt", "uid-1")]);
    let saved = node.store.save(&web, &copy, 2).expect("a sound disk");
    assert_eq!((saved.manifest, saved.assets), (Written::Unchanged, Written::Unchanged));
    assert_eq!((text(&file), fs::metadata(&file).expect("it exists").ino()), (before, inode));
    assert!(!node.etc("inactive-manifests/shop_web.yaml.prev").exists());
}

#[test]
fn an_active_manifest_keeps_its_bytes_when_the_inactive_changes() {
    let node = node();
    let web = node.save("uid-1", 1);
    node.activate(&web).expect("it is complete");
    let (active, inactive) = (node.manifest("shop_web.yaml"), node.etc("inactive-manifests/shop_web.yaml"));
    assert_eq!(fs::metadata(&active).expect("active").ino(), fs::metadata(&inactive).expect("inactive").ino());
    let before = text(&active);

    node.store.retire(&web, 5).expect("a sound disk");
    node.activate(&web).expect("the same pod");
    assert_eq!(text(&active), before, "a retirement does not restart the pod");
    assert!(!node.store.load().expect("a sound disk").checkpoints[&web].active_differs);

    node.save("uid-2", 6);
    assert_eq!(text(&active), before);
    assert!(node.store.load().expect("a sound disk").checkpoints[&web].active_differs);
    node.activate(&web).expect("an older copy of ours is replaced");
    assert_eq!(text(&active), text(&inactive));
    node.deactivate(&web).expect("ours");
    assert!(!active.exists() && inactive.exists());
}

#[test]
fn a_retirement_lasts_until_taken_back_or_captured_again() {
    let node = node();
    let web = node.save("uid-1", 1);
    let retired = || node.store.load().expect("a sound disk").checkpoints[&web].retired;
    node.store.retire(&web, 50).expect("a sound disk");
    node.store.retire(&web, 60).expect("a sound disk");
    assert_eq!(retired(), Some(50));
    node.store.reinstate(&web).expect("a sound disk");
    assert_eq!(retired(), None);
    node.store.retire(&web, 70).expect("a sound disk");
    node.save("uid-1", 80);
    assert_eq!(retired(), None);
}

#[test]
fn a_copy_without_assets_or_stand_in_is_reported_not_activated() {
    let node = node();
    let web = node.save("uid-1", 1);
    fs::remove_dir_all(node.etc("checkpoint-secrets/shop/web/tls")).expect("it is there");
    let why = node.store.load().expect("a sound disk").checkpoints.remove(&web).and_then(|copy| copy.incomplete);
    assert!(why.is_some_and(|why| why.contains("checkpoint-secrets/shop/web/tls")));
    assert!(matches!(node.activate(&web), Err(StoreError::Incomplete { .. })));
    node.store.write_assets(&web, &[volume(Tree::Secrets, "tls", &[("tls.crt", "x")])]).expect("a sound disk");
    node.activate(&web).expect("it is complete again");
}

#[test]
fn others_files_are_neither_read_nor_replaced_nor_removed() {
    let node = node();
    let web = node.save("uid-1", 1);
    let foreign = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec: {containers: []}\n";
    let theirs = node.manifest("shop_web.yaml");
    fs::write(&theirs, foreign).expect("a sound disk");
    fs::write(node.manifest("etcd.yaml"), foreign).expect("a sound disk");
    fs::write(node.manifest(".hidden"), "x").expect("a sound disk");
    assert!(node.store.sweep().is_empty());
    assert!(!node.store.load().expect("a sound disk").checkpoints[&web].active);
    for outcome in [node.activate(&web), node.deactivate(&web)] {
        let error = outcome.expect_err("it is not ours");
        assert!(matches!(&error, StoreError::Foreign { path } if *path == theirs), "{error}");
    }
    node.store.remove_manifests(&web).expect("ours can be removed");
    assert_eq!(text(&theirs), foreign);
    assert!(node.manifest("etcd.yaml").exists() && node.manifest(".hidden").exists());
    assert!(node.store.load().expect("a sound disk").checkpoints.is_empty());
}

#[test]
fn a_manifest_of_another_format_is_kept_through_everything() {
    let node = node();
    let web = node.save("uid-1", 1);
    let file = node.etc("inactive-manifests/shop_web.yaml");
    let of_tomorrow = text(&file).replace("/format: \"1\"", "/format: \"2\"");
    fs::write(&file, &of_tomorrow).expect("a sound disk");
    let inventory = node.store.load().expect("a sound disk");
    assert!(inventory.checkpoints.is_empty());
    assert!(inventory.unreadable[&file.display().to_string()].contains("format 2"), "{:?}", inventory.unreadable);
    assert!(node.store.orphaned_assets().expect("a sound disk").is_empty(), "nobody knows what it names");
    node.store.remove_assets(&web).expect("a sound disk");
    assert!(node.etc("checkpoint-secrets/shop/web/tls/tls.crt").exists());
    assert!(node.store.remove_manifests(&web).is_err());
    assert!(node.store.manifest(&web).is_err(), "unreadable is not absent");
    node.save("uid-2", 2);
    assert_eq!(text(&node.etc("inactive-manifests/shop_web.yaml.kept")), of_tomorrow);
    assert_eq!(node.store.load().expect("a sound disk").checkpoints[&web].uid, Uid::from("uid-2"));
}

#[test]
fn the_originals_files_are_known_and_removed_only_when_asked() {
    let node = node();
    let original = |namespace: &str, name: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name,
            "annotations": {"checkpointer.alpha.coreos.com/checkpoint-of": name}}, "spec": {"containers": []}})
        .to_string()
    };
    fs::write(node.manifest("shop-web.json"), original("shop", "web")).expect("a sound disk");
    fs::write(node.etc("inactive-manifests/a-b-c.json"), original("a-b", "c")).expect("a sound disk");
    fs::write(node.manifest("other.json"), original("shop", "other")).expect("a sound disk");
    fs::create_dir_all(node.etc("checkpoint-secrets/shop/web/tls")).expect("a sound disk");
    fs::write(node.etc("checkpoint-secrets/shop/web/tls/tls.crt"), "plain").expect("a sound disk");

    let legacy = node.store.load().expect("a sound disk").legacy;
    let (active, inactive) =
        (LegacyFiles { active: true, inactive: false }, LegacyFiles { active: false, inactive: true });
    assert_eq!(legacy, BTreeMap::from([(key("shop/web"), active), (key("a-b/c"), inactive)]));
    assert!(node.store.orphaned_assets().expect("a sound disk").is_empty());

    // Its plain file becomes a link of ours.
    let web = node.save("uid-1", 1);
    assert_eq!(text(&node.etc("checkpoint-secrets/shop/web/tls/tls.crt")), "uid-1");
    assert!(matches!(node.activate(&web), Err(StoreError::Legacy { .. })));
    node.store.remove_legacy(&web).expect("a sound disk");
    assert!(!node.manifest("shop-web.json").exists() && node.manifest("other.json").exists());
    node.activate(&web).expect("nothing is in the way any more");
}

#[test]
fn only_assets_that_no_manifest_names_are_found_and_removed() {
    let node = node();
    let web = node.save("uid-1", 1);
    let second = with(checkpoint(&web, "uid-2"), Tree::ConfigMaps, "settings", &[("a", "1")]);
    node.store.save(&web, &second, 2).expect("a sound disk");
    assert!(node.store.orphaned_assets().expect("a sound disk").is_empty(), "the previous copy names the Secret");
    node.store.save(&web, &checkpoint(&web, "uid-3"), 3).expect("a sound disk");
    assert_eq!(node.store.orphaned_assets().expect("a sound disk"), vec![web.clone()]);
    node.store.remove_assets(&web).expect("a sound disk");
    assert!(!node.etc("checkpoint-secrets/shop").exists(), "empty directories go");
    assert!(node.etc("checkpoint-configmaps/shop/web/settings/a").exists());
    node.store.remove_manifests(&web).expect("a sound disk");
    node.store.remove_assets(&web).expect("a sound disk");
    assert!(!node.etc("checkpoint-configmaps/shop").exists());
    node.store.remove_assets(&web).expect("nothing is left to do");
}

#[test]
fn nothing_is_written_through_a_link_planted_in_our_directories() {
    let node = node();
    let outside = node.dir.path().join("outside");
    fs::create_dir_all(outside.join("web/tls/..2000")).expect("a sound disk");
    for target in [outside.clone(), PathBuf::from("../outside"), PathBuf::from("../checkpoint-volumes")] {
        let planted = node.etc("checkpoint-secrets/shop");
        symlink(&target, &planted).expect("a sound disk");
        let web = key("shop/web");
        let copy = with(checkpoint(&web, "uid-1"), Tree::Secrets, "tls", &[("tls.crt", "secret")]);
        let error = node.store.save(&web, &copy, 1).expect_err("the link leads elsewhere").to_string();
        assert!(error.contains("checkpoint-secrets/shop") && error.contains("symbolic link"), "{error}");
        assert!(node.store.sweep().is_empty() && node.store.settle().is_empty(), "a link is left alone");
        node.store.orphaned_assets().expect("the rest goes on");
        fs::remove_file(&planted).expect("it is still there");
    }
    assert!(outside.join("web/tls/..2000").exists());
    assert_eq!(fs::read_dir(outside.join("web/tls")).expect("it exists").count(), 1);
    assert_eq!(fs::read_dir(node.etc("checkpoint-volumes")).expect("it exists").count(), 0);
}

#[test]
fn twenty_pods_become_active_together() {
    let node = node();
    let keys: Vec<PodKey> = (0..20).map(|n| key(&format!("shop/web-{n}"))).collect();
    for web in &keys {
        let copy = with(checkpoint(web, "uid"), Tree::Secrets, "tls", &[("tls.crt", "x")]);
        node.store.save(web, &copy, 1).expect("a sound disk");
    }
    let begun = std::time::Instant::now();
    let outcomes = node.store.activate(&keys);
    println!("20 activations: {:?}", begun.elapsed());
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(fs::read_dir(&node.layout.manifests).expect("a directory").count(), 20);
}

#[test]
fn a_hold_and_the_cluster_are_remembered() {
    let node = node();
    let web = key("shop/web");
    node.store.hold(&web).expect("a sound disk");
    node.store.record_cluster(&Uid::from("cluster-uid")).expect("a sound disk");
    let reader = Store::at(&node.layout);
    let inventory = reader.load().expect("a sound disk");
    assert!(inventory.held.contains(&web));
    assert_eq!(inventory.cluster, ClusterMark::Known(Uid::from("cluster-uid")));
    node.store.release(&web).and_then(|()| node.store.release(&web)).expect("a sound disk");
    assert!(reader.load().expect("a sound disk").held.is_empty());
}

#[test]
fn reading_a_node_without_our_directories_makes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = Layout { etc: dir.path().join("etc"), manifests: dir.path().join("etc/manifests") };
    assert_eq!(Store::at(&layout).load().expect("absence is no failure"), Inventory::default());
    assert!(!layout.etc.exists());
}

#[test]
fn what_is_no_checkpoint_of_the_pod_is_not_saved() {
    let node = node();
    let (web, other) = (key("shop/web"), key("shop/other"));
    let unnamed = crate::support::checkpoints::Checkpoint {
        volumes: vec![volume(Tree::Secrets, "x", &[])],
        ..checkpoint(&web, "u")
    };
    let elsewhere = with(checkpoint(&web, "u"), Tree::Secrets, "..", &[]);
    let escaping = with(checkpoint(&web, "u"), Tree::Secrets, "tls", &[("../../x", "y")]);
    for copy in [checkpoint(&other, "u"), unnamed, elsewhere, escaping] {
        assert!(node.store.save(&web, &copy, 1).is_err(), "{copy:?}");
    }
    assert!(node.store.load().expect("a sound disk").checkpoints.is_empty());
    assert!(!node.etc("inactive-manifests/shop_web.yaml").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_bytes_are_in_a_file_the_others_are_loaded(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(\\{|\\[|- |a: |&a |\\*a|!!|\\||>|\n| |\"|'|#|checkpointer.alpha.coreos.com/checkpoint-of: |metadata:){0,30}"
                .prop_map(String::into_bytes),
        ],
    ) {
        let node = node();
        let web = node.save("uid-1", 1);
        for name in ["shop_bad.yaml", "shop_bad.yaml.prev", "shop-bad.json"] {
            fs::write(node.etc("inactive-manifests").join(name), &bytes)?;
            fs::write(node.manifest(name), &bytes)?;
        }
        let inventory = node.store.load().map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(inventory.checkpoints.keys().collect::<Vec<_>>(), [&web]);
        prop_assert!(node.store.sweep().is_empty());
        prop_assert_eq!(fs::read(node.manifest("shop_bad.yaml"))?, bytes);
    }
}

#[test]
fn a_copy_whose_name_leaves_no_room_for_others_stops_nobody() {
    let node = node();
    let web = node.save("uid-1", 100);
    let long = key(&format!("{}/{}", "n".repeat(60), "p".repeat(188)));
    let copy = |uid: &str| with(checkpoint(&long, uid), Tree::Secrets, "tls", &[("tls.crt", uid)]);
    node.store.save(&long, &copy("uid-1"), 100).expect("its own name fits");

    let kept: Vec<_> = node.store.load().expect("a sound disk").checkpoints.into_keys().collect();
    assert_eq!(kept, [long.clone(), web.clone()]);
    let error = node.store.save(&long, &copy("uid-2"), 200).expect_err("there is no room for the older copy's name");
    assert!(error.to_string().contains("a name may have at most 255 bytes"), "{error}");

    node.activate(&long).expect("a sound disk");
    node.store.remove_manifests(&long).expect("a sound disk");
    node.store.remove_assets(&long).expect("a sound disk");
    assert_eq!(node.store.load().expect("a sound disk").checkpoints.into_keys().collect::<Vec<_>>(), [web]);
}
