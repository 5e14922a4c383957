//! The power goes after every single operation of every change, and every single operation fails with every error: what
//! the next start finds must be the old or the new, whole, and doing it again must complete it.

use std::collections::{BTreeMap, BTreeSet};

use nix::libc;
use pod_checkpointer::agent::store::{Store, StoreError};
use pod_checkpointer::pod::annotation;
use pod_checkpointer::pod::checkpoint::Tree;
use pod_checkpointer::pod::key::{PodKey, Uid};
use pod_checkpointer::pod::snapshot::Inventory;
use serde_json::Value;

use crate::support::checkpoints::{checkpoint, key, volume, with, with_mount_points};
use crate::support::model_disk::{Fault, ModelDisk, Survives};

type Act = fn(&Store) -> Result<(), StoreError>;

/// A change under test.
#[derive(Clone, Copy)]
struct Change {
    /// What the disk holds before, durably.
    before: &'static [Act],
    act: Act,
    /// The last complete checkpoint may be gone after it.
    removes: bool,
    /// Bytes of an active manifest may differ after it.
    moves_active: bool,
}

const SAVE_AGAIN: Change = Change { before: &[first], act: second, removes: false, moves_active: false };

fn changes() -> Vec<(&'static str, Change)> {
    let change = |before, act| Change { before, act, ..SAVE_AGAIN };
    let moving = |before, act| Change { before, act, moves_active: true, ..SAVE_AGAIN };
    let removing = |before, act| Change { before, act, moves_active: true, removes: true };
    vec![
        ("first save", removing(&[], first)),
        ("save over an older copy", SAVE_AGAIN),
        ("save over two older copies", change(&[first, second], third)),
        ("save while the older copy is active", change(&[first, activate], second)),
        ("save of a retired pod", change(&[first, retire], second)),
        ("refresh", change(&[first], refresh)),
        ("refresh while active", change(&[first, activate], refresh)),
        ("activate", moving(&[first, other], activate)),
        ("activate over an older active copy", moving(&[first, activate, second], activate)),
        ("deactivate", moving(&[first, other, activate], deactivate)),
        ("retire", change(&[first, activate], retire)),
        ("reinstate", change(&[first, retire], reinstate)),
        ("remove manifests", removing(&[first, second, activate], remove_manifests)),
        ("remove assets", removing(&[first, second, remove_manifests], remove_assets)),
        ("remove assets of older copies", change(&[first, second, third, activate], remove_assets)),
        ("hold", change(&[first], |store| store.hold(&web()).map(drop))),
        ("release", change(&[first, |store| store.hold(&web()).map(drop)], |store| store.release(&web()))),
        ("record the cluster", change(&[first], |store| store.record_cluster(&Uid::from("cluster")).map(drop))),
    ]
}

fn web() -> PodKey {
    key("shop/web")
}

fn first(store: &Store) -> Result<(), StoreError> {
    let copy =
        with(checkpoint(&web(), "uid-1"), Tree::Secrets, "tls", &[("tls.crt", "old crt"), ("tls.key", "old key")]);
    let copy = with(copy, Tree::ConfigMaps, "dropped", &[("a", "1")]);
    let copy = with_mount_points(copy, "config.mounts-1", &[("a", "1"), ("conf.d", "x")], &["conf.d/b/c"]);
    store.save(&web(), &copy, 100).map(drop)
}

fn second(store: &Store) -> Result<(), StoreError> {
    let copy = with(checkpoint(&web(), "uid-2"), Tree::Secrets, "tls", &[("tls.crt", "new crt"), ("ca/root", "new")]);
    let copy = with(copy, Tree::Volumes, "projected", &[("deep/er/file", "x"), ("token", "y")]);
    let copy = with_mount_points(copy, "config.mounts-2", &[("a", "2")], &["conf.d"]);
    store.save(&web(), &copy, 200).map(drop)
}

fn third(store: &Store) -> Result<(), StoreError> {
    store.save(&web(), &checkpoint(&web(), "uid-3"), 300).map(drop)
}

fn other(store: &Store) -> Result<(), StoreError> {
    let other = key("shop/other");
    let copy = with(checkpoint(&other, "uid-o"), Tree::ConfigMaps, "settings", &[("a", "1")]);
    store.save(&other, &copy, 100).map(drop)
}

fn refresh(store: &Store) -> Result<(), StoreError> {
    store.write_assets(&web(), &[volume(Tree::Secrets, "tls", &[("tls.crt", "renewed"), ("extra", "e")])]).map(drop)
}

fn activate(store: &Store) -> Result<(), StoreError> {
    let keys: Vec<_> = store.load()?.checkpoints.into_keys().collect();
    store.activate(&keys).into_iter().try_for_each(|(_, outcome)| outcome)
}

fn deactivate(store: &Store) -> Result<(), StoreError> {
    let keys: Vec<_> = store.load()?.checkpoints.into_keys().collect();
    store.deactivate(&keys).into_iter().try_for_each(|(_, outcome)| outcome)
}

fn retire(store: &Store) -> Result<(), StoreError> {
    store.retire(&web(), 500)
}

fn reinstate(store: &Store) -> Result<(), StoreError> {
    store.reinstate(&web())
}

fn remove_manifests(store: &Store) -> Result<(), StoreError> {
    store.remove_manifests(&web())
}

fn remove_assets(store: &Store) -> Result<(), StoreError> {
    store.remove_assets(&web())
}

/// A change with the disk before it and after it, both durable.
struct Trial {
    name: &'static str,
    change: Change,
    before: ModelDisk,
    after: ModelDisk,
    trees: [BTreeMap<String, String>; 2],
    operations: usize,
    /// Operations that change something: before the others a cut leaves what it leaves before the next of these.
    changing: Vec<usize>,
}

fn trials() -> impl Iterator<Item = Trial> {
    changes().into_iter().map(|(name, change)| {
        let (before, after) = (change.disk_before(), change.disk_before());
        change.make(&after).expect("a disk without fault");
        let (trees, operations, changing) = ([before.tree(), after.tree()], after.operations(), after.changing());
        Trial { name, change, before, after, trees, operations, changing }
    })
}

impl Change {
    fn disk_before(&self) -> ModelDisk {
        let disk = ModelDisk::new();
        let store = Store::with_files(disk.clone()).expect("a fresh disk");
        self.before.iter().for_each(|act| act(&store).expect("a disk without fault"));
        disk.after_power_cut(Survives::Nothing)
    }

    /// Opens the disk and makes the change.
    fn make(&self, disk: &ModelDisk) -> Result<(), StoreError> {
        (self.act)(&Store::with_files(disk.clone())?)
    }
}

impl Trial {
    /// Holds at every instant after a start.
    fn check(&self, case: &str, disk: &ModelDisk) -> Inventory {
        let store = Store::with_files(disk.clone()).unwrap_or_else(|error| panic!("{case}: open: {error}"));
        let left = store.sweep();
        assert!(left.is_empty(), "{case}: sweep: {left:?}");
        let now = store.load().unwrap_or_else(|error| panic!("{case}: load: {error}"));
        let (tree, [before, after]) = (disk.tree(), &self.trees);
        for (path, text) in tree.iter().filter(|(path, _)| path.starts_with("/manifests/") && !path.ends_with('/')) {
            for dir in assets_of(text) {
                let content = volume_of(&tree, &dir).unwrap_or_else(|| panic!("{case}: {path} lacks {dir}: {tree:#?}"));
                let known = [volume_of(before, &dir), volume_of(after, &dir)];
                assert!(known.contains(&Some(content)), "{case}: {dir} is neither old nor new: {tree:#?}");
            }
            if !self.change.moves_active {
                assert_eq!(before.get(path), Some(text), "{case}: {path} changed");
            }
        }
        for dir in tree.keys().filter_map(|path| path.strip_suffix("/..data")).map(|dir| &dir[1..]) {
            let known = [volume_of(before, dir), volume_of(after, dir)];
            assert!(known.contains(&volume_of(&tree, dir)), "{case}: {dir} looks whole and is not: {tree:#?}");
        }
        let left: Vec<_> = tree.keys().filter(|path| path.contains("/.pod-checkpointer-")).collect();
        assert!(left.is_empty(), "{case}: temporaries left: {left:?}");
        assert_eq!(now.unreadable, BTreeMap::new(), "{case}");
        for (key, copy) in &now.checkpoints {
            let known = [&self.before, &self.after].map(|disk| uid_on(disk, key));
            assert!(known.contains(&Some(copy.uid.clone())), "{case}: an older copy of {key} came back");
            assert!(copy.inactive || !copy.active, "{case}: {key} is active and cannot be retired");
        }
        if !self.change.removes {
            let web = now.checkpoints.get(&web()).unwrap_or_else(|| panic!("{case}: the checkpoint is lost"));
            assert_eq!(web.incomplete, None, "{case}");
        }
        now
    }
}

fn uid_on(disk: &ModelDisk, key: &PodKey) -> Option<Uid> {
    let store = Store::with_files(disk.copy(None)).expect("a disk without fault");
    store.load().expect("a disk without fault").checkpoints.remove(key).map(|copy| copy.uid)
}

/// The asset directories that a manifest names.
fn assets_of(manifest: &str) -> Vec<String> {
    let manifest: Value = serde_yaml::from_str(manifest).expect("an active manifest is whole");
    let list = manifest["metadata"]["annotations"][annotation::ASSETS].as_str().expect("the list of assets");
    serde_json::from_str(list).expect("a list of texts")
}

/// What a container sees in an asset directory, mount points under their own names; `None` if it is not whole.
fn volume_of(tree: &BTreeMap<String, String>, dir: &str) -> Option<BTreeMap<String, String>> {
    let data = tree.get(&format!("/{dir}/..data"))?.strip_prefix("-> ")?;
    tree.get(&format!("/{dir}/{data}/"))?;
    let top = format!("/{dir}/{data}/");
    let files = tree.iter().filter(|(path, _)| path.starts_with(&top) && !path.ends_with('/'));
    let mut files: BTreeMap<_, _> = files.map(|(path, text)| (path[top.len()..].to_owned(), text.clone())).collect();
    let seen = files.keys().all(|path| {
        let first = path.split('/').next().unwrap_or_default();
        tree.get(&format!("/{dir}/{first}")) == Some(&format!("-> ..data/{first}"))
            || tree.contains_key(&format!("/{dir}/{first}/"))
    });
    let beside = tree.iter().filter_map(|(path, text)| Some((path.strip_prefix(&format!("/{dir}/"))?, text)));
    let points = beside.filter(|(path, text)| !path.is_empty() && !path.starts_with("..") && !text.starts_with("-> "));
    files.extend(points.map(|(path, text)| (format!("mount point {path}"), text.clone())));
    seen.then_some(files)
}

/// Everything a reader can see, without the random names.
fn meaning(disk: &ModelDisk) -> BTreeSet<(String, String)> {
    let tree = disk.tree();
    let dirs: BTreeSet<_> = tree.keys().filter_map(|path| path.strip_suffix("/..data")).collect();
    let inside = |path: &str| dirs.iter().any(|dir| path.starts_with(&format!("{dir}/..")));
    let volumes = dirs.iter().map(|dir| ((*dir).to_owned(), format!("{:?}", volume_of(&tree, &dir[1..]))));
    let others = tree.iter().filter(|(path, _)| !inside(path)).map(|(path, text)| (path.clone(), text.clone()));
    volumes.chain(others).collect()
}

const CUTS: [Survives; 6] = [
    Survives::Nothing,
    Survives::Everything,
    Survives::Some(1),
    Survives::Some(2),
    Survives::Some(3),
    Survives::Some(4),
];

#[test]
fn a_power_cut_at_any_instant_leaves_the_old_or_the_new_copy() {
    for trial in trials() {
        let Trial { name, change, operations, .. } = &trial;
        for cut in trial.changing.iter().chain([operations]) {
            let disk = trial.before.copy(Some(Fault::PowerCut(*cut)));
            assert_eq!(change.make(&disk).is_ok(), cut == operations, "{name}: cut {cut} of {operations}");
            for survives in CUTS {
                let case = format!("{name}, power cut at operation {cut} of {operations}, {survives:?} survives");
                let disk = disk.after_power_cut(survives);
                trial.check(&case, &disk);
                change.make(&disk).unwrap_or_else(|error| panic!("{case}: again: {error}"));
                let disk = disk.after_power_cut(Survives::Nothing);
                assert_eq!(meaning(&disk), meaning(&trial.after), "{case}: repeating does not complete it");
            }
        }
    }
}

#[test]
fn what_a_change_made_is_durable_when_it_returns() {
    for Trial { name, after, .. } in trials() {
        assert_eq!(meaning(&after.after_power_cut(Survives::Nothing)), meaning(&after), "{name}");
    }
}

#[test]
fn what_is_durable_already_costs_the_disk_nothing() {
    let disk = SAVE_AGAIN.disk_before();
    let store = Store::with_files(disk.clone()).expect("a disk without fault");
    // Once, as nobody knows what an earlier process left in the page cache.
    first(&store).and_then(|()| activate(&store)).expect("a disk without fault");
    let before = disk.changing();
    for act in [first, activate, |store: &Store| store.reinstate(&web()), |store: &Store| store.load().map(drop)] {
        act(&store).expect("a disk without fault");
    }
    assert_eq!(disk.changing(), before, "neither a write nor an fsync");
}

#[test]
fn a_failed_operation_leaves_the_old_copy_and_names_the_path() {
    for trial in trials() {
        let Trial { name, change, operations, .. } = &trial;
        for (errno, word) in [(libc::ENOSPC, "space"), (libc::EIO, "Input/output"), (libc::EROFS, "Read-only")] {
            let reads_too = errno == libc::EIO;
            for at in (0..*operations).filter(|at| reads_too || trial.changing.contains(at)) {
                let case = format!("{name}, {word} at operation {at} of {operations}");
                let disk = trial.before.copy(Some(Fault::Errno(at, errno)));
                let outcome = change.make(&disk);
                let disk = disk.copy(None);
                if let Err(error) = &outcome {
                    let text = error.to_string();
                    assert!(text.contains("/model/") && text.contains(word), "{case}: {text}");
                    trial.check(&case, &disk);
                    change.make(&disk).unwrap_or_else(|error| panic!("{case}: again: {error}"));
                }
                assert_eq!(meaning(&disk.after_power_cut(Survives::Nothing)), meaning(&trial.after), "{case}");
            }
        }
    }
}

#[test]
fn what_a_killed_process_left_unsynced_the_next_makes_durable() {
    for Trial { name, change, before, operations, changing, .. } in trials() {
        for kill in changing {
            let disk = before.copy(Some(Fault::PowerCut(kill)));
            assert!(change.make(&disk).is_err());
            // Killed, not cut: the page cache lives on.
            let disk = disk.copy(None);
            let store = Store::with_files(disk.clone()).expect("a disk without fault");
            assert!(store.sweep().is_empty() && store.settle().is_empty(), "a disk without fault");
            let case = format!("{name}, killed at operation {kill} of {operations}");
            assert_eq!(meaning(&disk.after_power_cut(Survives::Nothing)), meaning(&disk), "{case}");
        }
    }
}

#[test]
fn random_changes_and_power_cuts_never_lose_the_checkpoint() {
    const STEPS: [Act; 9] = [first, second, third, refresh, activate, deactivate, retire, reinstate, remove_assets];
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = SAVE_AGAIN.disk_before();
        let mut done = Vec::new();
        for _ in 0..12 {
            let step = random.usize(..STEPS.len());
            let cut = random.usize(..230);
            done.push((step, cut));
            let cutting = disk.copy(Some(Fault::PowerCut(cut)));
            let outcome = Store::with_files(cutting.clone()).and_then(|store| STEPS[step](&store));
            disk = cutting.after_power_cut(Survives::Some(random.u64(..)));
            let store = Store::with_files(disk.clone()).expect("a disk without fault");
            assert!(store.sweep().is_empty(), "a disk without fault");
            let now = store.load().expect("a disk without fault");
            let web = now.checkpoints.get(&web());
            let whole = web.is_some_and(|web| web.incomplete.is_none());
            assert!(whole, "seed {seed}, {done:?} ({outcome:?}): {web:?}\n{:#?}", disk.tree());
        }
    }
}
