//! Single cases of what goes and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use pod_checkpointer::disk::open_dir::{Room, Stamp};
use pod_checkpointer::serve::retention::index::{Found, Index, SeenFile};
use pod_checkpointer::serve::retention::policy::{ContainerKey, Owner, Policy};
use pod_checkpointer::serve::retention::select::{Circumstances, SelectionScope, select};
use pod_checkpointer::serve::retention::spec;
use serde_json::{Value, json};

/// An archive of `ns/pod/container`, so many seconds old when [`NOW`] is, with so many bytes.
pub fn add(index: &mut Index, of: [&str; 3], second: i64, size: u64) -> String {
    let at = Timestamp::from_second(second).unwrap();
    let file = super::archives::name(of, at);
    put(index, &file, of, second, size);
    file
}

pub fn put(index: &mut Index, file: &str, [namespace, pod, container]: [&str; 3], second: i64, size: u64) {
    let at = Timestamp::from_second(second).unwrap();
    let time = second * 1_000_000_000;
    let stamp = Stamp { inode: second.unsigned_abs(), size, modified: time, changed: time + 500_000_000 };
    let key = Arc::new(ContainerKey::new(namespace, pod, container));
    index.put(file, SeenFile { stamp, beside: None, found: Found::Whole { key, checkpointed: Some(at) } });
}

pub fn policy(spec: &Value) -> Policy {
    spec::read(spec).unwrap().policy
}

const NOW: i64 = 1_000_000;

fn now() -> Circumstances {
    Circumstances::at(Timestamp::from_second(NOW).unwrap())
}

fn gone(index: &Index, policy: &Policy, circumstances: &Circumstances) -> Vec<(String, &'static str)> {
    let all = select(index, policy, circumstances, SelectionScope::All);
    all.into_iter().map(|deletion| (deletion.file.to_string(), deletion.why.label())).collect()
}

const C: [&str; 3] = ["ns", "p", "c"];

fn eleven() -> (Index, Vec<String>) {
    let mut index = Index::default();
    let files = (1..=11).map(|second| add(&mut index, C, second, 10)).collect();
    (index, files)
}

#[test]
fn of_eleven_the_ten_newest_stay() {
    let (index, files) = eleven();
    assert_eq!(gone(&index, &Policy::default(), &now()), [(files[0].clone(), "number")]);
}

#[test]
fn a_pinned_archive_counts_and_stays() {
    let (mut index, files) = eleven();
    index.pin(&files[0], true);
    assert_eq!(gone(&index, &Policy::default(), &now()), [(files[1].clone(), "number")]);
    index.pin(&files[0], false);
    assert_eq!(gone(&index, &Policy::default(), &now()), [(files[0].clone(), "number")]);
}

#[test]
fn a_pin_covers_the_sealed_archive_too() {
    let mut index = Index::default();
    let file = add(&mut index, C, 1, 10);
    index.forget(&file);
    put(&mut index, &format!("{file}.age"), C, 1, 10);
    let policy = policy(&json!({"maxAge": "1h"}));
    assert_eq!(gone(&index, &policy, &now()).len(), 1);
    index.pin(&file, true);
    assert_eq!(gone(&index, &policy, &now()), []);
}

#[test]
fn what_is_in_use_stays_and_so_does_the_newest_handed_over() {
    let (index, files) = eleven();
    let policy = policy(&json!({"maxAge": "1h"}));
    let mut known = now();
    known.in_use.insert(files[3].clone());
    let second = |second| Timestamp::from_second(second).unwrap();
    known.returned.insert(files[10].clone(), second(NOW - 599));
    known.returned.insert(files[9].clone(), second(NOW - 599));
    let left: BTreeSet<String> = gone(&index, &policy, &known).into_iter().map(|(file, _)| file).collect();
    assert_eq!(left.len(), 9);
    assert!(!left.contains(&files[3]) && !left.contains(&files[10]), "{left:?}");
    known.returned.insert(files[10].clone(), second(NOW - 600));
    assert_eq!(gone(&index, &policy, &known).len(), 10);
}

#[test]
fn what_is_waited_for_stays_though_its_name_is_unknown_yet() {
    let mut index = Index::default();
    let files: Vec<_> = (1..=2).map(|second| add(&mut index, C, second, 10 << 20)).collect();
    let policy = policy(&json!({"globalPolicy": {"maxCheckpointSize": "5Mi"}}));
    let mut known = now();
    known.awaited.insert(ContainerKey::new("ns", "p", "c"));
    assert_eq!(gone(&index, &policy, &known), [(files[0].clone(), "size")]);
    assert_eq!(gone(&index, &policy, &now()).len(), 2);
}

#[test]
fn names_that_only_look_alike_are_others() {
    let mut index = Index::default();
    for second in 1..=2 {
        add(&mut index, ["a", "p", "b-c"], second, 10);
        add(&mut index, ["a-b", "p", "c"], second + 10, 10);
    }
    let policy = policy(&json!({"globalPolicy": {"maxCheckpointsPerContainer": 2, "maxCheckpointsPerNamespace": 2}}));
    assert_eq!(gone(&index, &policy, &now()), []);
}

#[test]
fn sums_are_of_what_the_numbers_leave() {
    let mut index = Index::default();
    let files: Vec<_> = (1..=4).map(|second| add(&mut index, C, second, 10)).collect();
    let policy = policy(&json!({"globalPolicy": {"maxCheckpointsPerContainer": 3, "maxTotalSizePerContainer": "30"}}));
    // 30 is below a mebibyte and so means 30 of them.
    assert_eq!(gone(&index, &policy, &now()), [(files[0].clone(), "number")]);
    let mut index = Index::default();
    let mib = 1 << 20;
    let files: Vec<_> = (1..=5).map(|second| add(&mut index, C, second, 10 * mib)).collect();
    let policy =
        self::policy(&json!({"globalPolicy": {"maxCheckpointsPerContainer": 4, "maxTotalSizePerContainer": 25}}));
    let expected = [(files[0].clone(), "number"), (files[1].clone(), "sum"), (files[2].clone(), "sum")];
    assert_eq!(gone(&index, &policy, &now()), expected);
}

#[test]
fn a_pods_policy_does_not_count_what_is_under_its_containers() {
    let mut index = Index::default();
    for second in 1..=3 {
        add(&mut index, ["ns", "p", "own"], second, 10);
    }
    let other: Vec<_> = (11..=13).map(|second| add(&mut index, ["ns", "p", "other"], second, 10)).collect();
    let policy = policy(&json!({
        "containerPolicies": [{"namespace": "ns", "pod": "p", "container": "own", "maxCheckpoints": 3}],
        "podPolicies": [{"namespace": "ns", "pod": "p", "maxCheckpoints": 2}],
    }));
    assert_eq!(gone(&index, &policy, &now()), [(other[0].clone(), "number")]);
}

#[test]
fn the_global_levels_come_one_after_the_other() {
    let mut index = Index::default();
    let mut files = Vec::new();
    for (pod, container, first) in [("p", "a", 1), ("p", "b", 11), ("q", "a", 21)] {
        files.extend((first..first + 3).map(|second| add(&mut index, ["ns", pod, container], second, 10)));
    }
    let policy = policy(&json!({"globalPolicy": {
        "maxCheckpointsPerContainer": 2, "maxCheckpointsPerPod": 3, "maxCheckpointsPerNamespace": 4,
    }}));
    // One of each container; then the oldest of p; then the oldest of all.
    let expected: Vec<_> = [0, 1, 2, 3, 6].iter().map(|at: &usize| (files[*at].clone(), "number")).collect();
    assert_eq!(gone(&index, &policy, &now()), expected);
}

#[test]
fn orphans_go_when_their_owner_is_gone_and_the_policy_says_so() {
    let (index, _) = eleven();
    let mut known = now();
    known.gone.insert(Owner::Pod("ns".to_owned(), "p".to_owned()));
    let keep = policy(&json!({"globalPolicy": {"maxCheckpointsPerContainer": 20}}));
    assert_eq!(gone(&index, &keep, &known), []);
    let drop = policy(&json!({"globalPolicy": {"maxCheckpointsPerContainer": 20, "retainOrphan": false}}));
    assert!(gone(&index, &drop, &known).iter().all(|(_, why)| *why == "orphan"));
    assert_eq!(gone(&index, &drop, &known).len(), 11);
    assert_eq!(gone(&index, &drop, &now()), []);
    let namespaces = policy(&json!({"namespacePolicies": [{"namespace": "ns", "retainOrphan": false}]}));
    assert_eq!(gone(&index, &namespaces, &known), [], "its namespace is there");
    known.gone.insert(Owner::Namespace("ns".to_owned()));
    assert_eq!(gone(&index, &namespaces, &known).len(), 11);
}

#[test]
fn the_oldest_make_room_on_the_disk_and_no_more_than_needed() {
    let (index, files) = eleven();
    let policy = policy(&json!({"minFreeSpace": "2Mi", "globalPolicy": {"maxCheckpointsPerContainer": 20}}));
    let mut known = now();
    known.room = Some(Room { free: (2 << 20) - 15, capacity: 1 << 30 });
    let expected: Vec<_> = files[..2].iter().map(|file| (file.clone(), "room")).collect();
    assert_eq!(gone(&index, &policy, &known), expected);
    known.room = None;
    assert_eq!(gone(&index, &policy, &known), [], "what is not known is no reason");
}

#[test]
fn what_was_left_unfinished_goes_after_a_day_and_not_before() {
    let mut index = Index::default();
    let at =
        |second: i64| Stamp { inode: 1, size: 10, modified: second * 1_000_000_000, changed: second * 1_000_000_000 };
    let broken = |second| SeenFile { stamp: at(second), beside: None, found: Found::Broken("cut".to_owned()) };
    index.put("checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar", broken(NOW - 86_399));
    assert_eq!(gone(&index, &Policy::default(), &now()), []);
    index.put("checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar", broken(NOW - 86_400));
    assert_eq!(gone(&index, &Policy::default(), &now()).len(), 1);
    let unknown = SeenFile { stamp: at(1), beside: None, found: Found::Unknown("no spec.dump".to_owned()) };
    index.put("checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar", unknown);
    assert_eq!(gone(&index, &policy(&json!({"maxAge": "1h", "maxTotalSizePerNode": "1Mi"})), &now()), []);
}

#[test]
fn a_sealed_archive_and_its_plain_one_count_once() {
    let (mut index, files) = eleven();
    index.forget(&files[0]);
    put(&mut index, &format!("{}.age", files[10]), C, 11, 10);
    assert_eq!(gone(&index, &Policy::default(), &now()), []);
}

#[test]
fn an_archive_is_as_old_as_the_earlier_of_its_two_times() {
    let mut index = Index::default();
    let file = add(&mut index, C, NOW - 10, 10);
    let policy = policy(&json!({"maxAge": "1h"}));
    assert_eq!(gone(&index, &policy, &now()), []);
    let claims_the_future = Stamp { inode: 1, size: 1, modified: 0, changed: (NOW - 3601) * 1_000_000_000 };
    let found = Found::Whole { key: Arc::new(ContainerKey::new("ns", "p", "c")), checkpointed: Some(Timestamp::MAX) };
    index.put(&file, SeenFile { stamp: claims_the_future, beside: None, found });
    assert_eq!(gone(&index, &policy, &now()), [(file, "age")]);
}
