//! Against a real directory: the layout that containers see.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{MountPoint, Volume, VolumeFile, changed_at, read, remove, sweep, write};
use crate::disk::atomic::Written::{Changed, Unchanged};
use crate::disk::rooted_dir::RootedDir;

struct Disk(tempfile::TempDir, RootedDir);

const DIR: &str = "tree/ns/pod/vol";

fn disk() -> Disk {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("tree")).expect("an empty directory");
    let files = RootedDir::new(dir.path());
    Disk(dir, files)
}

fn holding<'a>(files: &[(&'a str, &'a str)]) -> Volume<'a> {
    let file = |text: &'a str| VolumeFile { bytes: text.as_bytes(), mode: 0o640, owner: None };
    Volume { files: files.iter().map(|(path, text)| (*path, file(text))).collect(), ..Volume::default() }
}

impl Disk {
    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(DIR).join(path)
    }

    fn write(&self, volume: &Volume<'_>) -> super::Written {
        write(&self.1, DIR, volume).expect("a sound disk")
    }

    /// Names in the volume; the directory with the time as `..time`.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("")).expect("the volume").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().expect("text")).collect();
        for name in names.iter_mut().filter(|name| name.starts_with("..2")) {
            "..time".clone_into(name);
        }
        names.sort();
        names
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).expect("a file")
    }
}

fn links(path: &Path) -> String {
    fs::read_link(path).expect("a link").display().to_string()
}

#[test]
fn keys_are_links_through_data_nested_ones_by_their_first_part() {
    let disk = disk();
    assert_eq!(disk.write(&holding(&[("key", "1"), ("a/b/c", "2"), ("a/d", "3"), (".dot", "4")])), Changed);
    assert_eq!(disk.names(), ["..data", "..time", ".dot", "a", "key"]);
    assert_eq!((links(&disk.at("key")), links(&disk.at("a"))), ("..data/key".to_owned(), "..data/a".to_owned()));
    assert_eq!((disk.text("key"), disk.text("a/b/c"), disk.text("a/d")), ("1".into(), "2".into(), "3".into()));
    assert_eq!(fs::metadata(disk.at("key")).expect("it resolves").mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(disk.at("a/b")).expect("it resolves").mode() & 0o7777, 0o755);
}

#[test]
fn an_update_swaps_everything_and_removes_what_is_gone() {
    let disk = disk();
    disk.write(&holding(&[("stays", "old"), ("goes", "x"), ("becomes/dir", "x"), ("becomes-file/x", "x")]));
    let open_before = fs::File::open(disk.at("..data")).expect("a directory");
    disk.write(&holding(&[("stays", "new"), ("comes", "y"), ("becomes", "y"), ("becomes-file", "y")]));
    assert_eq!(disk.names(), ["..data", "..time", "becomes", "becomes-file", "comes", "stays"]);
    assert_eq!(
        (disk.text("stays"), disk.text("becomes"), disk.text("becomes-file")),
        ("new".into(), "y".into(), "y".into())
    );
    assert_ne!(
        open_before.metadata().expect("open").ino(),
        fs::metadata(disk.at("..data")).expect("it resolves").ino()
    );
}

type Spoil = fn(&Disk);

#[test]
fn the_same_content_is_not_written_again_but_any_difference_is() {
    let disk = disk();
    let volume = holding(&[("key", "1"), ("a/b", "2")]);
    disk.write(&volume);
    let data = links(&disk.at("..data"));
    assert_eq!(disk.write(&volume), Unchanged);
    assert_eq!(links(&disk.at("..data")), data);

    let spoil: [(&str, Spoil); 5] = [
        ("another mode", |disk| {
            fs::set_permissions(disk.at("..data/key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .expect("ours");
        }),
        ("a file more", |disk| fs::write(disk.at("..data/a/more"), "x").expect("ours")),
        ("a name more", |disk| fs::write(disk.at("more"), "x").expect("ours")),
        ("other bytes", |disk| fs::write(disk.at("..data/key"), "9").expect("ours")),
        ("a link less", |disk| fs::remove_file(disk.at("a")).expect("ours")),
    ];
    for (what, spoil) in spoil {
        spoil(&disk);
        assert_eq!(disk.write(&volume), Changed, "{what}");
        assert_eq!(disk.names(), ["..data", "..time", "a", "key"], "{what}");
        assert_eq!((disk.text("key"), disk.text("a/b")), ("1".into(), "2".into()), "{what}");
        assert_eq!(disk.write(&volume), Unchanged, "{what}");
    }
}

#[test]
fn a_group_owns_files_and_directories_and_new_files_inherit_it() {
    let disk = disk();
    let own = fs::metadata(disk.0.path()).expect("a directory");
    // Only root may give files away; without root this checks the bits alone.
    let (group, owner) = if own.uid() == 0 { (4242, 4343) } else { (own.gid(), own.uid()) };
    let file = VolumeFile { bytes: b"1", mode: 0o440, owner: Some(owner) };
    let mount_points = BTreeMap::from([("dir", MountPoint::Dir), ("file", MountPoint::File)]);
    let volume = Volume { files: BTreeMap::from([("a/key", file)]), group: Some(group), mount_points };
    disk.write(&volume);
    assert_eq!(fs::metadata(disk.at("file")).expect("a file").gid(), group);
    for dir in ["", "..data", "..data/a", "dir"] {
        let meta = fs::metadata(disk.at(dir)).expect("a directory");
        assert_eq!((meta.mode() & 0o7777, meta.gid(), meta.uid()), (0o2755, group, own.uid()), "{dir:?}");
    }
    let meta = fs::metadata(disk.at("a/key")).expect("a file");
    assert_eq!((meta.mode() & 0o7777, meta.gid(), meta.uid()), (0o440, group, owner));
    assert_eq!(disk.write(&volume), Unchanged);

    let file = VolumeFile { owner: None, ..file };
    let volume = Volume { files: BTreeMap::from([("a/key", file)]), group: None, ..volume };
    assert_eq!(disk.write(&volume), Changed);
    for path in ["", "..data", "a/key", "dir", "file"] {
        let meta = fs::metadata(disk.at(path)).expect("it exists");
        assert_eq!((meta.gid(), meta.uid()), (own.gid(), own.uid()), "{path:?} is ours again");
    }
    assert_eq!(disk.write(&volume), Unchanged);
}

#[test]
fn a_sweep_removes_what_data_does_not_lead_to_and_nothing_else() {
    let disk = disk();
    disk.write(&holding(&[("key", "1")]));
    fs::create_dir_all(disk.at("..2001_half_made/a")).expect("ours");
    fs::write(disk.at("..2001_half_made/a/b"), "x").expect("ours");
    std::os::unix::fs::symlink("..2001_half_made", disk.at("..data_tmp")).expect("ours");
    sweep(&disk.1, DIR).expect("a sound disk");
    assert_eq!(disk.names(), ["..data", "..time", "key"]);
    assert_eq!(disk.text("key"), "1");
}

#[test]
fn an_empty_volume_is_whole_and_a_removed_one_is_not() {
    let disk = disk();
    assert_eq!(changed_at(&disk.1, DIR).expect("absence is no failure"), None);
    disk.write(&Volume::default());
    assert!(changed_at(&disk.1, DIR).expect("a sound disk").is_some());
    assert_eq!(disk.write(&Volume::default()), Unchanged);
    remove(&disk.1, DIR).expect("a sound disk");
    assert!(!disk.at("").exists());
}

#[test]
fn a_file_is_read_back_and_one_that_is_not_there_is_absent() {
    let disk = disk();
    disk.write(&holding(&[("a/token", "jwt")]));
    assert_eq!(read(&disk.1, DIR, "a/token", 10).expect("a sound disk").as_deref(), Some(&b"jwt"[..]));
    assert_eq!(read(&disk.1, DIR, "other", 10).expect("a sound disk"), None);
    assert_eq!(read(&disk.1, "tree/ns/pod/none", "token", 10).expect("a sound disk"), None);
    assert!(read(&disk.1, DIR, "a/token", 2).is_err(), "larger than asked for");
}

#[test]
fn a_path_that_would_leave_the_volume_or_hide_in_it_is_refused() {
    let disk = disk();
    for path in ["", "/abs", "../up", "a/../../b", "..data", "..hidden", "a//b", "a/", "./a", "nul\0"] {
        let error = write(&disk.1, DIR, &holding(&[(path, "x")])).expect_err(path);
        assert!(error.to_string().contains("cannot be a file of a volume"), "{error}");
    }
    assert!(!disk.at("").exists());
}

fn with_points<'a>(files: &[(&'a str, &'a str)], points: &[(&'a str, MountPoint)]) -> Volume<'a> {
    Volume { mount_points: points.iter().copied().collect(), ..holding(files) }
}

#[test]
fn mount_points_stand_beside_the_data_and_before_keys() {
    let disk = disk();
    let files = [("key", "1"), ("shadowed", "2"), ("deep/file", "3")];
    let points = [("shadowed", MountPoint::Dir), ("deep/a/b", MountPoint::Dir), ("file", MountPoint::File)];
    let volume = with_points(&files, &points);
    assert_eq!(disk.write(&volume), Changed);
    assert_eq!(disk.names(), ["..data", "..time", "deep", "file", "key", "shadowed"]);
    for dir in ["shadowed", "deep", "deep/a", "deep/a/b"] {
        let meta = fs::symlink_metadata(disk.at(dir)).expect("a directory");
        assert!(meta.is_dir() && meta.mode() & 0o7777 == 0o755, "{dir}: {meta:?}");
    }
    let meta = fs::symlink_metadata(disk.at("file")).expect("a file");
    assert_eq!((meta.is_file(), meta.len(), meta.mode() & 0o7777), (true, 0, 0o644));
    assert_eq!((disk.text("..data/shadowed"), disk.text("..data/deep/file")), ("2".into(), "3".into()));
    assert_eq!(disk.write(&volume), Unchanged);
}

#[test]
fn a_new_content_leaves_the_very_mount_points_in_place() {
    let disk = disk();
    let points = [("dir", MountPoint::Dir), ("file", MountPoint::File)];
    disk.write(&with_points(&[("key", "1"), ("dir", "x")], &points));
    let inodes = || ["dir", "file"].map(|name| fs::symlink_metadata(disk.at(name)).expect("there").ino());
    let before = inodes();
    assert_eq!(disk.write(&with_points(&[("key", "2"), ("file", "y")], &points)), Changed);
    assert_eq!((inodes(), disk.text("key")), (before, "2".to_owned()));
    sweep(&disk.1, DIR).expect("a sound disk");
    assert_eq!(
        (inodes(), disk.names()),
        (before, ["..data", "..time", "dir", "file", "key"].map(str::to_owned).into())
    );
    remove(&disk.1, DIR).expect("a sound disk");
    assert!(!disk.at("").exists());
}

#[test]
fn mount_points_are_mended_and_replaced() {
    let disk = disk();
    let volume = with_points(&[("key", "1")], &[("a/b", MountPoint::Dir), ("file", MountPoint::File)]);
    let spoil: [(&str, Spoil); 4] = [
        ("a directory less", |disk| fs::remove_dir(disk.at("a/b")).expect("ours")),
        ("a link in its place", |disk| {
            fs::remove_file(disk.at("file")).expect("ours");
            std::os::unix::fs::symlink("..data/key", disk.at("file")).expect("ours");
        }),
        ("a file with content", |disk| fs::write(disk.at("file"), "x").expect("ours")),
        ("a file in its place", |disk| {
            fs::remove_dir_all(disk.at("a")).expect("ours");
            fs::write(disk.at("a"), "x").expect("ours");
        }),
    ];
    disk.write(&volume);
    for (what, spoil) in spoil {
        spoil(&disk);
        assert_eq!(disk.write(&volume), Changed, "{what}");
        assert!(fs::symlink_metadata(disk.at("a/b")).expect("there").is_dir(), "{what}");
        assert_eq!(fs::symlink_metadata(disk.at("file")).expect("there").len(), 0, "{what}");
        assert_eq!(disk.write(&volume), Unchanged, "{what}");
    }
    assert_eq!(disk.write(&holding(&[("key", "1"), ("a", "2")])), Changed);
    assert_eq!(
        (disk.names(), disk.text("a")),
        (["..data", "..time", "a", "key"].map(str::to_owned).into(), "2".into())
    );
}

#[test]
fn a_mount_point_cannot_leave_the_volume_or_be_in_a_file() {
    let disk = disk();
    for points in [
        &[("../up", MountPoint::Dir)][..],
        &[("..data", MountPoint::Dir)],
        &[("a", MountPoint::File), ("a/b", MountPoint::Dir)],
    ] {
        let error = write(&disk.1, DIR, &with_points(&[], points)).expect_err("refused");
        assert!(error.to_string().contains("cannot be a file of a volume"), "{error}");
    }
}
