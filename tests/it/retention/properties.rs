//! What holds for every directory and every policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use pod_checkpointer::disk::open_dir::{Room, Stamp};
use pod_checkpointer::serve::retention::index::{Found, Index, SeenFile};
use pod_checkpointer::serve::retention::index_file;
use pod_checkpointer::serve::retention::policy::{ContainerKey, Level, Policy, RetentionLimits};
use pod_checkpointer::serve::retention::select::{Circumstances, Deletion, SelectionScope, Why, select};
use pod_checkpointer::serve::retention::spec;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 2_000_000;

#[derive(Debug, Clone)]
struct Archive {
    of: (usize, usize, usize),
    second: i64,
    size: u64,
    pinned: bool,
    /// Of the node's zone in the name, in quarters of an hour.
    zone: i32,
}

const NAMESPACES: [&str; 3] = ["a", "a-b", "b"];
const PODS: [&str; 2] = ["p", "p-q"];
const CONTAINERS: [&str; 2] = ["c", "b-c"];

fn archive() -> impl Strategy<Value = Archive> {
    let of = (0..3_usize, 0..2_usize, 0..2_usize);
    let pinned = prop::bool::weighted(0.15);
    (of, 1..NOW, 0_u64..100, pinned, -50..50_i32).prop_map(|(of, second, size, pinned, zone)| Archive {
        of,
        second,
        size: size << 20,
        pinned,
        zone,
    })
}

fn archives() -> impl Strategy<Value = Vec<Archive>> {
    prop::collection::vec(archive(), 0..60).prop_map(|mut all| {
        // One moment for each, so that there is one order.
        let mut seconds = BTreeSet::new();
        all.retain(|archive| seconds.insert(archive.second));
        all
    })
}

fn limit() -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(Value::Null), 1 => Just(json!(0)), 6 => (1..8_u64).prop_map(|n| json!(n))]
}

fn size() -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(Value::Null), 4 => (20..300_u64).prop_map(|n| json!(format!("{n}Mi")))]
}

fn policy() -> impl Strategy<Value = Policy> {
    let global = (limit(), limit(), limit(), size(), size(), size(), size());
    let own = (limit(), size(), size(), limit(), limit(), size());
    let node = (size(), size(), prop::option::of(1..600_u64));
    (global, own, node).prop_map(|(global, own, (total, free, hours))| {
        let spec = json!({
            "globalPolicy": {
                "maxCheckpointsPerContainer": global.0, "maxCheckpointsPerPod": global.1,
                "maxCheckpointsPerNamespace": global.2, "maxCheckpointSize": global.3,
                "maxTotalSizePerContainer": global.4, "maxTotalSizePerPod": global.5, "maxTotalSizePerNamespace": global.6,
            },
            "containerPolicies": [{"namespace": "a", "pod": "p", "container": "c", "maxCheckpoints": own.0, "maxTotalSize": own.1, "maxCheckpointSize": own.2}],
            "podPolicies": [{"namespace": "a", "pod": "p", "maxCheckpoints": own.3}],
            "namespacePolicies": [{"namespace": "a-b", "maxCheckpoints": own.4, "maxTotalSize": own.5}],
            "maxTotalSizePerNode": total, "minFreeSpace": free, "maxAge": hours.map(|hours| format!("{hours}h")),
        });
        spec::read(&spec).expect("a policy").policy
    })
}

fn file(archive: &Archive, zone: i32) -> String {
    let zone = TimeZone::fixed(Offset::from_seconds(zone * 900).expect("an offset"));
    let at = Timestamp::from_second(archive.second).expect("a time").to_zoned(zone);
    let (namespace, pod, container) = archive.of;
    let offset = at.strftime("%:z").to_string();
    let offset = if offset == "+00:00" { "Z".to_owned() } else { offset };
    let time = at.strftime("%Y-%m-%dT%H:%M:%S");
    format!("checkpoint-{}_{}-{}-{time}{offset}.tar", PODS[pod], NAMESPACES[namespace], CONTAINERS[container])
}

fn key(archive: &Archive) -> Arc<ContainerKey> {
    let (namespace, pod, container) = archive.of;
    Arc::new(ContainerKey::new(NAMESPACES[namespace], PODS[pod], CONTAINERS[container]))
}

fn index<'a>(archives: impl Iterator<Item = &'a Archive>, zone: impl Fn(&Archive) -> i32) -> Index {
    let mut index = Index::default();
    for archive in archives {
        let name = file(archive, zone(archive));
        let time = archive.second * 1_000_000_000;
        let stamp = Stamp { inode: archive.second.unsigned_abs(), size: archive.size, modified: time, changed: time };
        index.put(
            &name,
            SeenFile { stamp, beside: None, found: Found::Whole { key: key(archive), checkpointed: None } },
        );
        if archive.pinned {
            index.pin(&name, true);
        }
    }
    index
}

fn circumstances() -> Circumstances {
    let mut known = Circumstances::at(Timestamp::from_second(NOW).expect("a time"));
    known.room = Some(Room { free: 50 << 20, capacity: 1 << 40 });
    known
}

fn all(index: &Index, policy: &Policy) -> Vec<Deletion> {
    select(index, policy, &circumstances(), SelectionScope::All)
}

fn seconds(deletions: &[Deletion]) -> Vec<i64> {
    deletions.iter().map(|deletion| deletion.at.as_second()).collect()
}

/// Number and bytes of what is left in the group of a level that an archive is in.
fn left(index: &Index, policy: &Policy, level: Level, of: &ContainerKey, gone: &BTreeSet<Arc<str>>) -> (u64, u64) {
    let rank = policy.governing(of).rank();
    let mut left = (0, 0);
    for (key, container) in index.containers() {
        let same = key.namespace == of.namespace
            && (level == Level::Namespace || key.pod == of.pod)
            && (level != Level::Container || key.container == of.container)
            && policy.governing(key).rank() == rank;
        for (_, size) in container.archives.iter().filter(|(place, _)| same && !gone.contains(&place.file)) {
            left.0 += 1;
            left.1 += size;
        }
    }
    left
}

proptest! {
    #[test]
    fn no_pinned_archive_goes(archives in archives(), policy in policy()) {
        let index = index(archives.iter(), |archive| archive.zone);
        for deletion in all(&index, &policy) {
            prop_assert!(!index.is_pinned(&deletion.file), "{deletion:?}");
        }
    }

    #[test]
    fn no_newer_one_goes_before_an_older_one_of_its_container(archives in archives(), policy in policy()) {
        let index = index(archives.iter(), |archive| archive.zone);
        let deletions = all(&index, &policy);
        let times = seconds(&deletions);
        prop_assert!(times.is_sorted());
        let gone: BTreeSet<&str> = deletions.iter().map(|deletion| &*deletion.file).collect();
        for deletion in deletions.iter().filter(|deletion| !matches!(deletion.why, Why::Size { .. })) {
            let container = index.container(deletion.key.as_ref().expect("a key")).expect("a container");
            for (place, _) in container.archives.iter().take_while(|(place, _)| place.at < deletion.at) {
                prop_assert!(gone.contains(&*place.file) || index.is_pinned(&place.file), "{place:?} before {deletion:?}");
            }
        }
    }

    #[test]
    fn neither_the_order_of_looking_nor_the_time_zone_matters(archives in archives(), policy in policy(), zone in -50..50_i32) {
        let expected = all(&index(archives.iter(), |archive| archive.zone), &policy);
        let other = all(&index(archives.iter().rev(), |_| zone), &policy);
        prop_assert_eq!(seconds(&expected), seconds(&other));
        let whys = |all: &[Deletion]| all.iter().map(|deletion| deletion.why.label()).collect::<Vec<_>>();
        prop_assert_eq!(whys(&expected), whys(&other));
    }

    /// Without any one of what goes for a number or a sum, that number or sum would still be too large.
    #[test]
    fn no_more_goes_than_the_policy_demands(archives in archives(), policy in policy()) {
        let index = index(archives.iter(), |archive| archive.zone);
        let deletions = all(&index, &policy);
        // In the order of the rules, as far as it matters for what each of them found.
        let rank = |why: &Why| match why {
            Why::Number { level: Level::Container, .. } => 1,
            Why::Sum { level: Level::Container, .. } => 2,
            Why::Number { level: Level::Pod, .. } => 3,
            Why::Sum { level: Level::Pod, .. } => 4,
            Why::Number { .. } => 5,
            Why::Sum { .. } => 6,
            Why::Node { .. } => 7,
            Why::Room { .. } => 8,
            _ => 0,
        };
        let mut in_order: Vec<&Deletion> = deletions.iter().collect();
        in_order.sort_by_key(|deletion| (rank(&deletion.why), deletion.at));
        let mut gone: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut freed = 0;
        for deletion in in_order {
            let key = deletion.key.as_ref().expect("a key");
            match deletion.why {
                Why::Number { level, limit } => prop_assert!(left(&index, &policy, level, key, &gone).0 > limit, "{deletion:?}"),
                Why::Sum { level, limit } => prop_assert!(left(&index, &policy, level, key, &gone).1 > limit, "{deletion:?}"),
                Why::Node { limit } => prop_assert!(index.bytes() - freed > limit.into()),
                Why::Room { limit } => prop_assert!((50 << 20) + freed < limit.into()),
                Why::Size { limit } => prop_assert!(deletion.size > limit),
                Why::Age { limit } => prop_assert!(NOW - deletion.at.as_second() > i64::try_from(limit.as_secs()).expect("short")),
                _ => prop_assert!(false, "{deletion:?}"),
            }
            gone.insert(Arc::clone(&deletion.file));
            freed += u128::from(deletion.size);
        }
    }

    /// What is left keeps to every limit, unless only pinned ones are left to take.
    #[test]
    fn what_is_left_is_within_the_policy(archives in archives(), policy in policy()) {
        let index = index(archives.iter(), |archive| archive.zone);
        let gone: BTreeSet<Arc<str>> = all(&index, &policy).into_iter().map(|deletion| deletion.file).collect();
        let pinned: BTreeMap<&Arc<ContainerKey>, usize> = index.containers().map(|(key, container)| {
            (key, container.archives.keys().filter(|place| index.is_pinned(&place.file)).count())
        }).collect();
        if pinned.values().any(|count| *count > 0) {
            return Ok(());
        }
        for (key, _) in index.containers() {
            for level in [Level::Container, Level::Pod, Level::Namespace] {
                let Some(RetentionLimits { count, total, .. }) = policy.governing(key).limits(level) else { continue };
                let (number, bytes) = left(&index, &policy, level, key, &gone);
                prop_assert!(count.is_none_or(|most| number <= most) && total.is_none_or(|most| bytes <= most));
            }
        }
    }

    /// One change at a time, each only with its own container, comes to where everything at once does.
    #[test]
    fn looking_at_what_changed_is_as_good_as_looking_at_everything(archives in archives(), policy in policy()) {
        let mut effective_changes = archives.clone();
        effective_changes.sort_by_key(|archive| archive.second);
        let mut index = Index::default();
        for archive in &effective_changes {
            let name = file(archive, archive.zone);
            let time = archive.second * 1_000_000_000;
            let stamp = Stamp { inode: 1, size: archive.size, modified: time, changed: time };
            if archive.pinned {
                index.pin(&name, true);
            }
            let found = Found::Whole { key: key(archive), checkpointed: None };
            let touched = index.put(&name, SeenFile { stamp, beside: None, found });
            for deletion in select(&index, &policy, &circumstances(), SelectionScope::Only(&touched)) {
                index.forget(&deletion.file);
            }
            prop_assert_eq!(all(&index, &policy), vec![]);
        }
    }

    #[test]
    fn an_index_that_was_written_down_is_the_same_again(archives in archives()) {
        let index = index(archives.iter(), |archive| archive.zone);
        let text = index_file::write(&index, "/d");
        let read = index_file::read(&text, "/d").expect("it was just written");
        let mut again = Index::default();
        for (name, seen) in read {
            again.put(&name, seen);
        }
        prop_assert!(index.files().eq(again.files()) && index.by_time().eq(again.by_time()));
        prop_assert!(index_file::read(&text, "/elsewhere").is_none());
    }

    #[test]
    fn an_index_that_was_damaged_is_refused_or_read_in_full_lines(text in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(index_file::read(&text, "/d").is_none());
    }
}
