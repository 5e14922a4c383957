//! A directory in which somebody else makes names.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use jiff::Timestamp;
use pod_checkpointer::serve::retention::archive_dir::ArchiveDir;
use pod_checkpointer::serve::retention::metrics::RetentionMetrics;
use pod_checkpointer::serve::retention::select::{Circumstances, SelectionScope, select};
use pod_checkpointer::serve::retention::spec;
use serde_json::json;

use super::archives::{name, names, put};

const C: [&str; 3] = ["shop", "web-0", "web"];

fn called(second: i64) -> String {
    name(C, Timestamp::from_second(second).unwrap())
}

/// Everything that may go does.
fn sweep(dir: &std::path::Path) -> (ArchiveDir, usize) {
    let policy = spec::read(&json!({"maxAge": "1ms", "maxTotalSizePerNode": "1Mi"})).unwrap().policy;
    let mut keeper = ArchiveDir::open(dir, None, RetentionMetrics::default()).unwrap();
    assert!(keeper.may_delete().unwrap());
    keeper.rescan().unwrap();
    let all = select(keeper.index(), &policy, &Circumstances::at(Timestamp::now()), SelectionScope::All);
    for deletion in &all {
        keeper.delete(deletion).unwrap();
    }
    (keeper, all.len())
}

#[test]
fn links_sockets_and_directories_named_like_archives_are_none() {
    let outside = tempfile::tempdir().unwrap();
    let target = put(outside.path(), C, 1);
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path().join(&target), dir.path().join(called(1))).unwrap();
    std::fs::create_dir(dir.path().join(called(2))).unwrap();
    let _socket = UnixListener::bind(dir.path().join(called(3))).unwrap();
    nix::unistd::mkfifo(&dir.path().join(called(4)), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let before = names(dir.path());
    let (keeper, chosen) = sweep(dir.path());
    assert_eq!((chosen, keeper.index().files().count()), (0, 0));
    assert_eq!(names(dir.path()), before);
    assert!(outside.path().join(target).exists());
}

#[test]
fn names_with_newlines_or_of_something_else_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let odd: [&[u8]; 6] = [
        b"checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar\n",
        b"checkpoint-p\n_ns-c-2026-11-21T07:12:53Z.tar",
        b"checkpoint-\xff_ns-c-2026-11-21T07:12:53Z.tar",
        b"notes.txt",
        b".keep",
        b"checkpoint-.._ns-c-2026-11-21T07:12:53Z.tar",
    ];
    for name in odd {
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let (keeper, chosen) = sweep(dir.path());
    assert_eq!((chosen, keeper.index().files().count()), (0, 0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), odd.len());
}

#[test]
fn what_is_no_archive_inside_or_says_nothing_of_its_owner_stays() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(called(1)), "this is no archive, whatever it is called").unwrap();
    std::fs::write(dir.path().join(called(2)), [0; 1024]).unwrap();
    std::fs::write(dir.path().join(format!("{}.age", called(3))), "sealed, but nobody knows for whom").unwrap();
    let described = called(4);
    std::fs::write(dir.path().join(format!("{described}.age")), "sealed").unwrap();
    let lies = json!({
        "format": 1, "size": 1, "recipient": "CN=x",
        "metadata": {"engine": "containerd", "namespace": "../../secrets", "pod": "p", "container": "c", "runtime": "", "image_name": "", "image_ref": "", "image": ""},
    });
    std::fs::write(dir.path().join(format!("{described}.age.json")), lies.to_string()).unwrap();
    let (keeper, chosen) = sweep(dir.path());
    assert_eq!((chosen, keeper.index().files().count()), (0, 4));
    assert_eq!(keeper.index().totals().archives, 0);
}

#[test]
fn a_missing_directory_is_an_error_and_a_replaced_one_is_seen() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("checkpoints");
    assert!(ArchiveDir::open(&dir, None, RetentionMetrics::default()).is_err());
    std::fs::create_dir(&dir).unwrap();
    put(&dir, C, 1);
    let mut keeper = ArchiveDir::open(&dir, None, RetentionMetrics::default()).unwrap();
    keeper.rescan().unwrap();
    std::fs::rename(&dir, base.path().join("old")).unwrap();
    assert!(keeper.rescan().is_err());
    assert_eq!(keeper.index().totals().archives, 1, "not to be seen is not to be gone");
    std::fs::create_dir(&dir).unwrap();
    put(&dir, C, 2);
    keeper.rescan().unwrap();
    assert_eq!(keeper.index().totals().archives, 1);
    assert!(keeper.index().seen(&called(2)).is_some());
}

#[test]
fn files_that_claim_more_than_any_disk_are_counted_and_go() {
    use pod_checkpointer::disk::open_dir::Stamp;
    use pod_checkpointer::serve::retention::index::{Found, Index, SeenFile};
    use pod_checkpointer::serve::retention::policy::ContainerKey;
    let mut index = Index::default();
    for second in 1..=3 {
        let stamp = Stamp { inode: 1, size: u64::MAX, modified: second, changed: second };
        let key = Arc::new(ContainerKey::new(C[0], C[1], C[2]));
        index.put(&called(second), SeenFile { stamp, beside: None, found: Found::Whole { key, checkpointed: None } });
    }
    assert_eq!(index.totals().bytes, u64::MAX, "more cannot be said");
    let policy = spec::read(&json!({"maxTotalSizePerNode": "1Gi"})).unwrap().policy;
    let chosen = select(&index, &policy, &Circumstances::at(Timestamp::UNIX_EPOCH), SelectionScope::All);
    assert_eq!(chosen.len(), 3);
    chosen.iter().for_each(|deletion| drop(index.forget(&deletion.file)));
    assert_eq!(index.bytes(), 0);
}
