//! Two descriptions of one file stand for two processes: both locks belong to the description.

use std::fs::File;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::{LockError, NodeLock, ofd_lock};

fn path() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("lock");
    (dir, path)
}

fn taken(path: &std::path::Path) -> bool {
    NodeLock::try_acquire(path).expect("a lockable file").is_none()
}

#[test]
fn one_holds_it_until_it_lets_go() {
    let (_dir, path) = path();
    let lock = NodeLock::try_acquire(&path).expect("a lockable file");
    assert!(lock.is_some() && taken(&path));
    drop(lock);
    assert!(!taken(&path));
}

#[test]
fn whoever_holds_either_lock_excludes_us_from_both() {
    let (_dir, path) = path();
    let original = Flock::lock(File::create(&path).expect("a file"), FlockArg::LockExclusiveNonblock).expect("free");
    assert!(taken(&path));
    let other = File::options().write(true).open(&path).expect("a file");
    ofd_lock(&other, false).expect("a failed attempt leaves the OFD lock free");
    drop(original);
    assert!(taken(&path), "the OFD lock is held by another");
    drop(other);
    assert!(!taken(&path));
}

#[tokio::test]
async fn who_waits_gets_it_when_it_is_free() {
    let (_dir, path) = path();
    let held = NodeLock::try_acquire(&path).expect("a lockable file").expect("free");
    let waiting = tokio::spawn({
        let path = path.clone();
        async move { NodeLock::acquire(&path).await }
    });
    // Let it begin to wait; were it to finish early, the assertion below would tell.
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(held);
    let lock = tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("soon").expect("no panic");
    assert!(lock.is_ok() && taken(&path));
}

#[tokio::test]
async fn who_gave_up_waiting_does_not_keep_it() {
    let (_dir, path) = path();
    let held = NodeLock::try_acquire(&path).expect("a lockable file").expect("free");
    let waited = tokio::time::timeout(Duration::from_millis(50), NodeLock::acquire(&path)).await;
    assert!(waited.is_err());
    drop(held);
    let next = tokio::time::timeout(Duration::from_secs(60), NodeLock::acquire(&path)).await;
    assert!(next.expect("the one that gave up lets go at once").is_ok());
}

#[test]
fn a_directory_that_is_not_there_is_made() {
    let (_dir, path) = path();
    let below = path.with_file_name("run").join("lock/lock");
    assert!(NodeLock::try_acquire(&below).expect("it is made").is_some());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let (_dir, path) = path();
    std::fs::write(&path, "").expect("a sound disk");
    let error = NodeLock::try_acquire(&path.join("none/lock")).expect_err("a file stands in the way");
    assert!(matches!(&error, LockError::Open { path: named, .. } if named.ends_with("none/lock")), "{error}");
}
