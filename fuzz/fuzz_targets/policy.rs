//! A retention policy as somebody wrote it into a resource or a file, and what it would have deleted.
#![no_main]

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pod_checkpointer::disk::open_dir::{Room, Stamp};
use pod_checkpointer::serve::retention::effective_policy;
use pod_checkpointer::serve::retention::effective_policy::EffectivePolicy;
use pod_checkpointer::serve::retention::index::{Found, Index, SeenFile};
use pod_checkpointer::serve::retention::policy::ContainerKey;
use pod_checkpointer::serve::retention::policy_watch;
use pod_checkpointer::serve::retention::select::{Circumstances, SelectionScope, select};
use pod_checkpointer::serve::retention::spec;

const SECOND: i64 = 1_000_000_000;

/// Two containers with eight archives each, of 1 MiB, an hour apart; the second of all is pinned.
static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index::default();
    for hour in 0..16_u64 {
        let pod = if hour % 2 == 0 { "web-0" } else { "web-1" };
        let at = i64::try_from(hour).expect("below 16") * 3600;
        let name = format!("checkpoint-{pod}_shop-web-{}.tar", Timestamp::from_second(at).expect("of this century"));
        let found = Found::Whole { key: Arc::new(ContainerKey::new("shop", pod, "web")), checkpointed: None };
        let stamp = Stamp { inode: hour, size: 1 << 20, modified: at * SECOND, changed: at * SECOND };
        index.put(&name, SeenFile { stamp, beside: None, found });
        if hour == 1 {
            index.pin(&name, true);
        }
    }
    index
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = policy_watch::document(text) else { return };
    let orders = effective_policy::of_document(&document, &EffectivePolicy::default());
    assert_eq!(orders.policy.is_some(), orders.refused.is_empty());
    let Ok(read) = spec::read_document(&document) else { return };
    let mut known = Circumstances::at(Timestamp::from_second(100 * 3600).expect("of this century"));
    known.room = Some(Room { free: 1 << 20, capacity: 32 << 20 });
    known.gone = INDEX.containers().filter_map(|(key, _)| read.policy.owner(key)).collect();
    let chosen = select(&INDEX, &read.policy, &known, SelectionScope::All);
    assert!(chosen.iter().all(|deletion| !INDEX.is_pinned(&deletion.file)));
    assert!(chosen.is_sorted_by_key(|deletion| deletion.at));
    assert!(chosen.iter().all(|deletion| !deletion.why.to_string().contains('\n')));
});
