//! On a real directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::Written::{Changed, Unchanged};
use super::{link, write, write_volatile};
use crate::disk::files::Files;
use crate::disk::rooted_dir::RootedDir;

fn disk() -> (tempfile::TempDir, RootedDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = RootedDir::new(dir.path());
    (dir, files)
}

#[test]
fn a_file_is_written_once_with_its_mode_and_leaves_no_temporary() {
    let (dir, files) = disk();
    for write in [write, write_volatile] {
        assert_eq!(write(&files, "f", b"one", 0o640).expect("a sound disk"), Changed);
        assert_eq!(write(&files, "f", b"one", 0o640).expect("a sound disk"), Unchanged);
        assert_eq!(write(&files, "f", b"one", 0o600).expect("a sound disk"), Changed, "another mode");
        assert_eq!(write(&files, "f", b"two", 0o600).expect("a sound disk"), Changed, "other bytes of the same length");
        assert_eq!(fs::read(dir.path().join("f")).expect("a file"), b"two");
        assert_eq!(fs::metadata(dir.path().join("f")).expect("a file").mode() & 0o7777, 0o600);
        assert_eq!(files.list("").expect("a directory"), ["f"]);
        files.remove_file("f").expect("ours");
    }
}

#[test]
fn a_link_takes_the_place_of_what_is_there_also_of_itself() {
    let (dir, files) = disk();
    let inode = |name: &str| fs::metadata(dir.path().join(name)).expect("a file").ino();
    write(&files, "from", b"new", 0o600).expect("a sound disk");
    write(&files, "to", b"old", 0o600).expect("a sound disk");
    for _ in 0..2 {
        link(&files, "from", "to", 10, 0o600).expect("a sound disk");
        assert_eq!(inode("from"), inode("to"));
        assert_eq!(files.list("").expect("a directory").len(), 2, "no temporary is left");
    }
}

#[test]
fn where_no_link_can_be_made_a_copy_is() {
    let (dir, _) = disk();
    // The other filesystem that any machine with Linux has.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { panic!("mount a tmpfs on /dev/shm for this test") };
    let files = RootedDir::new(dir.path()).mount("manifests", other.path());
    write(&files, "from", b"content", 0o600).expect("a sound disk");
    for _ in 0..2 {
        link(&files, "from", "manifests/to", 100, 0o600).expect("a sound disk");
        assert_eq!(fs::read(other.path().join("to")).expect("a file"), b"content");
    }
    assert_eq!(files.list("manifests").expect("a directory"), ["to"]);
}

#[test]
fn no_name_leads_out_of_the_root() {
    let (dir, files) = disk();
    fs::create_dir_all(dir.path().join("real")).expect("a sound disk");
    symlink("real", dir.path().join("inside")).expect("a sound disk");
    symlink("/tmp", dir.path().join("outside")).expect("a sound disk");
    for path in ["../f", "/f", "real/../f", "inside/f", "outside/f", ".", "", "real//f", "/proc/self/cwd/f"] {
        assert!(write(&files, path, b"x", 0o600).is_err(), "{path:?}");
        assert!(files.read(path, 10).is_err() && files.make_dir(path).is_err(), "{path:?}");
    }
    assert_eq!(fs::read_dir(dir.path().join("real")).expect("a directory").count(), 0);
}

#[test]
fn only_files_of_bounded_size_are_read() {
    let (dir, files) = disk();
    write(&files, "f", b"12345", 0o600).expect("a sound disk");
    assert_eq!(files.read("f", 5).expect("just small enough"), b"12345");
    assert_eq!(files.read("f", 4).expect_err("too large").kind(), std::io::ErrorKind::FileTooLarge);
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a sound disk");
    assert!(files.read("pipe", 5).is_err(), "and nobody waits for a writer");
}
