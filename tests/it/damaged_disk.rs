//! One object of the disk is damaged: whatever it is and whatever the kernel says of it, the others are loaded, swept and
//! kept, and it is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::libc;
use pod_checkpointer::agent::store::{Layout, Store};
use pod_checkpointer::pod::checkpoint::Tree;
use pod_checkpointer::pod::key::{PodKey, Uid};
use pod_checkpointer::pod::snapshot::{ClusterMark, Inventory};

use crate::support::checkpoints::{checkpoint, key, with};
use crate::support::model_disk::{Fault, ModelDisk};

/// What a filesystem, a mount or a security module says of one object.
const OF_AN_OBJECT: [i32; 13] = [
    libc::EIO,
    libc::EUCLEAN,
    libc::EBADMSG,
    libc::EACCES,
    libc::EPERM,
    libc::ELOOP,
    libc::EXDEV,
    libc::EISDIR,
    libc::ESTALE,
    libc::ENXIO,
    libc::ENODATA,
    libc::EOVERFLOW,
    libc::EINVAL,
];

/// Three pods, one of them active and saved twice; assets that no manifest names; a hold and the cluster's mark.
fn disk() -> ModelDisk {
    let disk = ModelDisk::new();
    let store = Store::with_files(disk.clone()).expect("a fresh disk");
    for (pod, uid, at) in [("shop/web", "1", 1), ("shop/web", "2", 2), ("shop/db", "3", 3), ("edge/proxy", "4", 4)] {
        let copy = with(checkpoint(&key(pod), uid), Tree::Secrets, "tls", &[("tls.crt", uid)]);
        store.save(&key(pod), &copy, at).expect("a fresh disk");
    }
    assert!(store.activate(&[key("shop/web")]).iter().all(|(_, outcome)| outcome.is_ok()));
    store.remove_manifests(&key("edge/proxy")).expect("a fresh disk");
    store.hold(&key("shop/db")).expect("a fresh disk");
    store.record_cluster(&Uid::from("0d5c1f3a-7f2f-4f0e-9a55-1f3e9a7c0001")).expect("a fresh disk");
    disk
}

/// A listing of one of the two directories of manifests failed: then, and only then, nothing is known.
fn nothing_is_known(why: &str) -> bool {
    ["list /model/manifests:", "list /model/inactive-manifests:"].iter().any(|listing| why.contains(listing))
}

fn suffers(case: &str, sound: &Inventory, now: &Inventory) {
    let changed: Vec<&PodKey> = sound
        .checkpoints
        .iter()
        .filter(|(key, copy)| now.checkpoints.get(*key) != Some(*copy))
        .map(|(k, _)| k)
        .collect();
    assert!(changed.len() <= 1, "{case}: more than one pod suffers: {changed:?}");
    let told = changed.iter().all(|key| {
        let stem = key.file_stem();
        let dir = format!("{}/{}", key.namespace(), key.name());
        now.checkpoints.get(*key).is_some_and(|copy| copy.incomplete.is_some() || copy.assets_at.is_none())
            || now.unreadable.keys().any(|path| path.contains(&stem) || path.contains(&dir))
    });
    assert!(told, "{case}: {changed:?} changed without a word: {now:#?}");
    assert!(now.orphans.is_subset(&sound.orphans), "{case}: assets in use count as left over: {:?}", now.orphans);
    assert!(now.cluster != ClusterMark::Absent, "{case}: the mark of the cluster counts as never made");
}

#[test]
fn a_damaged_object_never_hides_the_others() {
    let sound = Store::with_files(disk()).expect("a sound disk").load().expect("a sound disk");
    assert_eq!((sound.checkpoints.len(), sound.orphans.len(), sound.held.len()), (2, 1, 1));
    let paths: Vec<&'static str> =
        disk().tree().into_keys().map(|path| &*path.trim_matches('/').to_owned().leak()).collect();
    for (errno, path) in OF_AN_OBJECT.into_iter().flat_map(|errno| paths.iter().map(move |path| (errno, *path))) {
        let case = format!("errno {errno} at {path}");
        let disk = disk();
        let store = Store::with_files(disk.clone()).expect("a sound disk");
        disk.fail(Fault::At(path, errno));
        match store.load() {
            Ok(now) => suffers(&case, &sound, &now),
            Err(why) => assert!(nothing_is_known(&why.to_string()), "{case}: {why}"),
        }
        let left = store.sweep().len() + store.settle().len();
        let again = Store::with_files(disk.copy(None)).expect("a sound disk").load().expect("a sound disk");
        assert_eq!(again, sound, "{case}: sweeping took something away ({left} complaints)");
    }
}

#[test]
fn an_error_at_any_single_call_of_loading_loses_nothing() {
    let before = disk();
    let store = Store::with_files(before.clone()).expect("a sound disk");
    let sound = store.load().expect("a sound disk");
    before.fail(Fault::At("nowhere", 0));
    store.load().expect("a sound disk");
    let calls = before.operations();
    for (errno, at) in OF_AN_OBJECT.into_iter().flat_map(|errno| (0..calls).map(move |at| (errno, at))) {
        let case = format!("errno {errno} at call {at} of {calls}");
        let disk = disk();
        let store = Store::with_files(disk.clone()).expect("a sound disk");
        disk.fail(Fault::Errno(at, errno));
        match store.load() {
            Ok(now) => suffers(&case, &sound, &now),
            Err(why) => assert!(nothing_is_known(&why.to_string()), "{case}: {why}"),
        }
    }
}

#[test]
fn a_process_without_descriptors_knows_nothing() {
    for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM] {
        let disk = disk();
        let store = Store::with_files(disk.clone()).expect("a sound disk");
        disk.fail(Fault::At("inactive-manifests/shop_web.yaml", errno));
        assert!(store.load().is_err(), "errno {errno} says nothing of the file");
    }
}

/// A node's real directories with one checkpoint.
fn real() -> (tempfile::TempDir, Store, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let etc = dir.path().join("etc");
    let store =
        Store::open(&Layout { etc: etc.clone(), manifests: etc.join("manifests") }).expect("an empty directory");
    let copy = with(checkpoint(&key("shop/web"), "1"), Tree::ConfigMaps, "conf", &[("a", "1")]);
    store.save(&key("shop/web"), &copy, 1).expect("a sound disk");
    (dir, store, etc)
}

#[test]
fn foreign_things_in_our_directories_stop_nothing() {
    let (_dir, store, etc) = real();
    let pod = etc.join("checkpoint-configmaps/other/x");
    fs::create_dir_all(&pod).expect("a sound disk");
    fs::write(pod.join("file"), "somebody's").expect("a sound disk");
    fs::write(etc.join("checkpoint-configmaps/shop/file"), "somebody's").expect("a sound disk");
    fs::create_dir(etc.join("inactive-manifests/.pod-checkpointer-dir")).expect("a sound disk");
    fs::create_dir(etc.join("inactive-manifests/shop_dir.yaml")).expect("a sound disk");

    let now = store.load().expect("foreign things are not ours");
    assert!(now.orphans.is_empty(), "{:?}", now.orphans);
    assert_eq!(now.checkpoints.len(), 1);
    assert!(store.sweep().is_empty() && store.settle().is_empty());
    store.remove_assets(&key("other/x")).expect("nothing of ours is there");
    assert!(pod.join("file").exists() && etc.join("inactive-manifests/.pod-checkpointer-dir").exists());
}

#[test]
fn a_data_link_that_is_a_file_or_directory_is_made_anew() {
    for as_directory in [false, true] {
        let (_dir, store, etc) = real();
        let volume = etc.join("checkpoint-configmaps/shop/web/conf");
        fs::remove_file(volume.join("..data")).expect("a sound disk");
        if as_directory {
            fs::create_dir(volume.join("..data")).expect("a sound disk");
            fs::create_dir(volume.join("..data_tmp")).expect("a sound disk");
        } else {
            fs::write(volume.join("..data"), "a copy without links").expect("a sound disk");
        }
        let damaged = store.load().expect("one volume is not the disk");
        assert!(damaged.checkpoints[&key("shop/web")].incomplete.is_some());
        assert!(store.sweep().is_empty());

        let copy = with(checkpoint(&key("shop/web"), "1"), Tree::ConfigMaps, "conf", &[("a", "2")]);
        store.save(&key("shop/web"), &copy, 2).expect("it is made anew");
        assert_eq!(store.load().expect("a sound disk").checkpoints[&key("shop/web")].incomplete, None);
        assert_eq!(fs::read_to_string(volume.join("a")).expect("it is there"), "2");
    }
}

#[test]
fn a_torn_mark_of_the_cluster_is_neither_believed_nor_replaced() {
    let (_dir, store, etc) = real();
    let mark = etc.join("checkpoint-cluster");
    fs::write(&mark, [0u8; 37]).expect("a sound disk");
    assert!(matches!(store.cluster(), ClusterMark::Unreadable(_)));
    let now = store.load().expect("the mark is not the disk");
    assert!(now.unreadable.keys().any(|path| path.ends_with("checkpoint-cluster")), "{:?}", now.unreadable);
    fs::write(&mark, "").expect("a sound disk");
    assert_eq!(store.cluster(), ClusterMark::Absent, "an empty file says nothing");
}

#[test]
fn directories_that_were_removed_under_the_agent_are_made_again() {
    let (_dir, store, etc) = real();
    fs::remove_dir_all(etc.join("inactive-manifests")).expect("a sound disk");
    fs::remove_dir_all(etc.join("checkpoint-configmaps")).expect("a sound disk");
    let copy = with(checkpoint(&key("shop/web"), "1"), Tree::ConfigMaps, "conf", &[("a", "1")]);
    store.save(&key("shop/web"), &copy, 1).expect("they are made again");
    let mode = fs::metadata(etc.join("checkpoint-configmaps")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "only the top keeps others out");
}
