//! Whether an archive is whole: by its end, and by how long nothing has happened to it.

use std::fs::File;
use std::time::{Duration, SystemTime};

use pod_checkpointer::archive::ArchiveError;
use pod_checkpointer::archive::complete::{Completeness, QUIET, read};
use pod_checkpointer::archive::reader;

use crate::support::archives::{Tar, containerd, opened};

fn aged(bytes: &[u8], age: Duration) -> Completeness {
    let file = opened(bytes);
    file.set_modified(SystemTime::now() - age).unwrap();
    read(&file).unwrap()
}

#[test]
fn one_that_ends_with_the_marker_is_whole_at_once() {
    let tar = containerd(b"memory");
    assert!(matches!(aged(&tar.clone().end(), Duration::ZERO), Completeness::Complete(_)));
    // Some programs fill the last record.
    let mut padded = tar.end();
    padded.resize(padded.len().next_multiple_of(10_240), 0);
    assert!(matches!(aged(&padded, Duration::ZERO), Completeness::Complete(_)));
}

#[test]
fn one_without_an_end_is_being_written_until_it_rests() {
    let whole = containerd(&[1; 2000]).end();
    for length in (0..whole.len()).step_by(256) {
        assert_eq!(aged(&whole[..length], Duration::ZERO), Completeness::BeingWritten, "{length}");
        let later = aged(&whole[..length], QUIET + Duration::from_secs(1));
        assert!(matches!(later, Completeness::Incomplete(_)), "{length}: {later:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_abandoned() {
    let file = opened(b"");
    file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    assert_eq!(read(&file).unwrap(), Completeness::BeingWritten);
}

#[test]
fn a_stale_tail_is_seen_at_once() {
    let mut two = containerd(b"short").end();
    two.extend(Tar::default().file("tail", b"of a longer one").0);
    for tail in
        [&two[..], &[Tar::default().end(), vec![0; 20_000]].concat(), &[Tar::default().end(), vec![0, 1]].concat()]
    {
        let found = aged(tail, Duration::ZERO);
        assert!(matches!(&found, Completeness::Incomplete(why) if why.contains("follows its end")), "{found:?}");
    }
}

#[test]
fn a_directory_is_an_error_and_no_state() {
    assert!(read(&File::open("/").unwrap()).is_err());
}

#[test]
fn what_is_wrong_inside_matters_once_the_end_is_there() {
    let nobodys = Tar::default().file("checkpoint/pages-1.img", b"memory");
    let file = opened(&nobodys.0);
    assert_eq!(read(&file).unwrap(), Completeness::BeingWritten, "the files that say whose it is may come still");
    assert!(matches!(read(&opened(&nobodys.end())), Err(ArchiveError::Missing("config.dump"))));
    let twice = containerd(b"memory").file("spec.dump", b"{}");
    assert_eq!(read(&opened(&twice.0)).unwrap(), Completeness::BeingWritten);
    assert!(matches!(read(&opened(&twice.end())), Err(ArchiveError::Refused { .. })));
}

#[test]
fn a_whole_one_says_what_is_in_it_in_the_same_pass() {
    let tar = containerd(b"memory").end();
    let file = opened(&tar);
    let Completeness::Complete(contents) = read(&file).unwrap() else { panic!("it is whole") };
    assert_eq!(*contents, reader::read(&file).unwrap());
}
