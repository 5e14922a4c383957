//! The keeper on a real directory, with archives as the runtime writes them.

use std::path::Path;

use jiff::Timestamp;
use pod_checkpointer::serve::retention::archive_dir::{ArchiveDir, DeletionOutcome};
use pod_checkpointer::serve::retention::metrics::RetentionMetrics;
use pod_checkpointer::serve::retention::policy::Policy;
use pod_checkpointer::serve::retention::select::{Circumstances, Deletion, SelectionScope, select};

use super::archives::{name, names, put, unfinished};

const C: [&str; 3] = ["shop", "web-0", "web"];

struct SortKey {
    dir: tempfile::TempDir,
    state: tempfile::TempDir,
    metrics: RetentionMetrics,
}

impl SortKey {
    fn new() -> Self {
        let dir = || tempfile::tempdir().unwrap();
        Self { dir: dir(), state: dir(), metrics: RetentionMetrics::default() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn keeper(&self) -> ArchiveDir {
        let mut keeper = ArchiveDir::open(self.path(), Some(self.state.path()), self.metrics.clone()).unwrap();
        assert!(keeper.may_delete().unwrap());
        keeper
    }
}

fn chosen(keeper: &ArchiveDir) -> Vec<Deletion> {
    select(keeper.index(), &Policy::default(), &Circumstances::at(Timestamp::now()), SelectionScope::All)
}

fn sweep(keeper: &mut ArchiveDir) -> usize {
    let chosen = chosen(keeper);
    let removed = chosen.iter().filter(|deletion| keeper.delete(deletion).unwrap() == DeletionOutcome::Removed).count();
    keeper.settle().unwrap();
    removed
}

#[test]
fn eleven_archives_become_the_ten_newest() {
    let place = SortKey::new();
    let files: Vec<_> = (1..=11).map(|second| put(place.path(), C, 1_000_000 + second)).collect();
    let mut keeper = place.keeper();
    keeper.rescan().unwrap();
    assert_eq!(sweep(&mut keeper), 1);
    assert_eq!(names(place.path()), files[1..]);
    assert_eq!((place.metrics.reads(), place.metrics.archives("whole")), (11, 10));
    assert_eq!(place.metrics.deletions("number"), 1);
}

#[test]
fn each_archive_is_read_once_ever() {
    let place = SortKey::new();
    for second in 1..=5 {
        put(place.path(), C, second);
    }
    let mut keeper = place.keeper();
    for _ in 0..3 {
        keeper.rescan().unwrap();
    }
    keeper.save().unwrap();
    drop(keeper);
    let mut keeper = place.keeper();
    assert!(!keeper.rescan().unwrap().is_empty());
    assert_eq!(place.metrics.reads(), 5, "after a restart too");
    let file = put(place.path(), C, 3);
    keeper.look(&[file].into()).unwrap();
    assert_eq!(place.metrics.reads(), 6, "it was written anew");
}

#[test]
fn an_index_damaged_or_of_another_directory_is_made_anew() {
    let place = SortKey::new();
    let file = put(place.path(), C, 1);
    for damage in ["", "{}", "{\"format\":1,\"directory\":\"/elsewhere\"}\n", "\u{0}\n\n"] {
        std::fs::write(place.state.path().join("index"), damage).unwrap();
        let mut keeper = place.keeper();
        keeper.rescan().unwrap();
        assert!(keeper.index().seen(&file).is_some());
        keeper.save().unwrap();
    }
    assert_eq!(place.metrics.reads(), 4);
}

#[test]
fn an_archive_being_written_becomes_one_when_it_is_whole() {
    let place = SortKey::new();
    let at = Timestamp::from_second(1_000_000).unwrap();
    let file = name(C, at);
    let mut bytes = unfinished(C, at, 5000);
    std::fs::write(place.path().join(&file), &bytes).unwrap();
    let mut keeper = place.keeper();
    keeper.rescan().unwrap();
    assert_eq!(keeper.unsettled(), [file.clone()].into());
    bytes.extend([0; 1024]);
    std::fs::write(place.path().join(&file), &bytes).unwrap();
    assert_eq!(keeper.look(&[file].into()).unwrap().len(), 1);
    assert!(keeper.unsettled().is_empty());
    assert_eq!(keeper.index().totals().archives, 1);
}

#[test]
fn a_pin_that_came_after_the_selection_holds() {
    let place = SortKey::new();
    let files: Vec<_> = (1..=11).map(|second| put(place.path(), C, second)).collect();
    let mut keeper = place.keeper();
    keeper.rescan().unwrap();
    let chosen = chosen(&keeper);
    std::fs::write(place.path().join(format!("{}.keep", files[0])), "").unwrap();
    assert_eq!(keeper.delete(&chosen[0]).unwrap(), DeletionOutcome::Left);
    assert_eq!(names(place.path()).len(), 12);
    keeper.rescan().unwrap();
    assert_eq!(sweep(&mut keeper), 1, "the next oldest goes in its place");
    assert!(place.path().join(&files[0]).exists() && !place.path().join(&files[1]).exists());
    std::fs::remove_file(place.path().join(format!("{}.keep", files[0]))).unwrap();
    keeper.rescan().unwrap();
    assert_eq!(keeper.index().pins().count(), 0);
}

#[test]
fn an_archive_that_was_written_anew_after_the_selection_stays() {
    let place = SortKey::new();
    let files: Vec<_> = (1..=11).map(|second| put(place.path(), C, second)).collect();
    let mut keeper = place.keeper();
    keeper.rescan().unwrap();
    let chosen = chosen(&keeper);
    put(place.path(), C, 1);
    assert_eq!(keeper.delete(&chosen[0]).unwrap(), DeletionOutcome::Left);
    assert!(place.path().join(&files[0]).exists());
}

#[test]
fn of_two_instances_one_deletes() {
    let place = SortKey::new();
    for second in 1..=11 {
        put(place.path(), C, second);
    }
    let mut one = place.keeper();
    let mut other = ArchiveDir::open(place.path(), None, RetentionMetrics::default()).unwrap();
    assert!(!other.may_delete().unwrap());
    other.rescan().unwrap();
    assert_eq!(other.delete(&chosen(&other)[0]).unwrap(), DeletionOutcome::Left);
    one.rescan().unwrap();
    assert_eq!(sweep(&mut one), 1);
    drop(one);
    assert!(other.may_delete().unwrap());
}

#[test]
fn a_sealed_archive_goes_with_what_describes_it() {
    use pod_checkpointer::archive::reader;
    use pod_checkpointer::archive::sidecar::Sidecar;
    let place = SortKey::new();
    let plain = put(place.path(), C, 1);
    let content = std::fs::File::open(place.path().join(&plain)).unwrap();
    let metadata = reader::read(&content).unwrap().metadata;
    let sidecar = Sidecar::new(metadata, 1, "CN=x".to_owned()).to_json().unwrap();
    std::fs::remove_file(place.path().join(&plain)).unwrap();
    std::fs::write(place.path().join(format!("{plain}.age.json")), sidecar).unwrap();
    std::fs::write(place.path().join(format!("{plain}.age")), "sealed").unwrap();
    for second in 2..=11 {
        put(place.path(), C, second);
    }
    let mut keeper = place.keeper();
    keeper.rescan().unwrap();
    assert_eq!(sweep(&mut keeper), 1);
    assert_eq!(names(place.path()).len(), 10);
    assert!(names(place.path()).iter().all(|name| !name.starts_with(&plain)));
}

#[test]
fn a_description_left_alone_goes_a_day_later_and_not_before() {
    let place = SortKey::new();
    let stem = name(C, Timestamp::from_second(1).unwrap());
    let left = place.path().join(format!("{stem}.age.json"));
    std::fs::write(&left, "of a sealed archive that is gone").unwrap();
    let mut keeper = place.keeper();
    keeper.rescan().unwrap();
    let later = |keeper: &ArchiveDir, hours: i64| {
        let known = Circumstances::at(Timestamp::now() + jiff::SignedDuration::from_hours(hours));
        select(keeper.index(), &Policy::default(), &known, SelectionScope::All)
    };
    assert!(later(&keeper, 23).is_empty());
    let chosen = later(&keeper, 25);
    assert_eq!((chosen.len(), chosen[0].why.label()), (1, "unfinished"));
    std::fs::write(place.path().join(format!("{stem}.age")), "it came back").unwrap();
    keeper.look(&[format!("{stem}.age")].into()).unwrap();
    assert!(later(&keeper, 25).is_empty());
    std::fs::remove_file(place.path().join(format!("{stem}.age"))).unwrap();
    keeper.rescan().unwrap();
    std::fs::write(place.path().join(format!("{stem}.keep")), "").unwrap();
    keeper.rescan().unwrap();
    assert!(later(&keeper, 25).is_empty(), "it is pinned");
    std::fs::remove_file(place.path().join(format!("{stem}.keep"))).unwrap();
    keeper.rescan().unwrap();
    assert_eq!(keeper.delete(&later(&keeper, 25)[0]).unwrap(), DeletionOutcome::Removed);
    assert!(!left.exists());
}
