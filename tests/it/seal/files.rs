//! Sealing on disk: names appear only when what they name is good, and the plain archive goes only then.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pod_checkpointer::archive::sidecar::Sidecar;
use pod_checkpointer::seal::{SealError, UnsealError, seal_file, unseal_file};

use super::{EC, RSA};
use crate::support::archives::containerd;

const NAME: &str = "checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar";

fn with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join(NAME);
    fs::write(&archive, bytes).unwrap();
    (dir, archive)
}

fn archive() -> Vec<u8> {
    containerd(&vec![9; 300_000]).end()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_sealed_file_with_description_replaces_the_plain_one() {
    let plain = archive();
    let (dir, path) = with(&plain);
    let mut told = Vec::new();
    let sealed = seal_file(&EC.recipient(), &path, &mut |done| told.push(done)).unwrap();
    assert_eq!(names(dir.path()), [format!("{NAME}.age"), format!("{NAME}.age.json")]);
    assert_eq!(sealed, dir.path().join(format!("{NAME}.age")));
    assert!(told.is_sorted() && told.last() == Some(&(plain.len() as u64)));
    let described = Sidecar::parse(&fs::read(dir.path().join(format!("{NAME}.age.json"))).unwrap()).unwrap();
    assert_eq!((described.metadata.pod.as_str(), described.size), ("web-0", plain.len() as u64));
    assert!(described.recipient.contains("CN=ec"));
    for name in names(dir.path()) {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let out = dir.path().join("out.tar");
    assert_eq!(unseal_file(EC.key.as_bytes(), None, &sealed, &out, &mut |_| {}).unwrap(), plain.len() as u64);
    assert!(fs::read(&out).unwrap() == plain);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn what_is_no_whole_archive_is_not_sealed() {
    let whole = archive();
    for bytes in [&whole[..whole.len() / 2], &[&whole[..], b"a tail"].concat(), b"", b"something else"] {
        let (dir, path) = with(bytes);
        let why = seal_file(&EC.recipient(), &path, &mut |_| {}).unwrap_err();
        assert!(matches!(why, SealError::Incomplete { .. }), "{why}");
        assert_eq!(names(dir.path()), [NAME]);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    let (dir, path) = with(&[0; 1024]);
    assert!(matches!(seal_file(&EC.recipient(), &path, &mut |_| {}), Err(SealError::Archive { .. })));
    assert!(matches!(
        seal_file(&EC.recipient(), &dir.path().join("none.tar"), &mut |_| {}),
        Err(SealError::Archive { .. })
    ));
    assert_eq!(names(dir.path()), [NAME]);
}

#[test]
fn an_archive_that_grows_while_it_is_sealed_stays() {
    let (dir, path) = with(&archive());
    let growing = path.clone();
    let mut once = Some(());
    let why = seal_file(&EC.recipient(), &path, &mut |_| {
        if once.take().is_some() {
            let mut bytes = fs::read(&growing).unwrap();
            bytes.extend([0; 512]);
            fs::write(&growing, bytes).unwrap();
        }
    });
    assert!(matches!(why, Err(SealError::Changed { .. })), "{why:?}");
    assert_eq!(names(dir.path()), [NAME]);
}

#[test]
fn a_sealed_file_that_is_there_is_neither_replaced_nor_removed() {
    let (dir, path) = with(&archive());
    let sealed = dir.path().join(format!("{NAME}.age"));
    fs::write(&sealed, b"of another day").unwrap();
    let why = seal_file(&EC.recipient(), &path, &mut |_| {}).unwrap_err();
    assert!(matches!(why, SealError::Exists { .. }) && why.to_string().contains(".age"), "{why}");
    fs::remove_file(&sealed).unwrap();
    // Not even if it comes while the work is done.
    let why = seal_file(&EC.recipient(), &path, &mut |_| fs::write(&sealed, b"of another day").unwrap());
    assert!(matches!(why, Err(SealError::Exists { .. })), "{why:?}");
    assert_eq!(fs::read(&sealed).unwrap(), b"of another day");
    assert!(fs::read(&path).unwrap() == archive(), "the plain one stays");
}

#[test]
fn a_plain_one_that_cannot_go_leaves_the_way_free_for_a_retry() {
    let (dir, path) = with(&archive());
    let aside = dir.path().join("aside");
    // What is read is open; under its name there is now what no file's removal removes.
    let mut once = Some(());
    let why = seal_file(&EC.recipient(), &path, &mut |_| {
        if once.take().is_some() {
            fs::rename(&path, &aside).unwrap();
            fs::create_dir(&path).unwrap();
        }
    });
    assert!(matches!(why, Err(SealError::File(_))), "{why:?}");
    assert_eq!(names(dir.path()), ["aside", NAME]);
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    seal_file(&EC.recipient(), &path, &mut |_| {}).unwrap();
    assert_eq!(names(dir.path()), [format!("{NAME}.age"), format!("{NAME}.age.json")]);
}

#[test]
fn a_process_killed_while_sealing_or_opening_leaves_no_name() {
    let (dir, path) = with(&archive());
    let sealed = seal_file(&EC.recipient(), &path, &mut |_| assert_eq!(names(dir.path()), [NAME])).unwrap();
    let out = dir.path().join("out.tar");
    unseal_file(EC.key.as_bytes(), None, &sealed, &out, &mut |_| assert_eq!(names(dir.path()).len(), 2)).unwrap();
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn nothing_has_the_final_name_unless_all_of_it_is_good() {
    let (dir, path) = with(&archive());
    let sealed = seal_file(&EC.recipient(), &path, &mut |_| {}).unwrap();
    let (good, before) = (fs::read(&sealed).unwrap(), names(dir.path()));
    let out = dir.path().join("out.tar");
    let opening = |bytes: &[u8], key: &str| {
        fs::write(&sealed, bytes).unwrap();
        let why = unseal_file(key.as_bytes(), None, &sealed, &out, &mut |_| {}).unwrap_err();
        assert_eq!(names(dir.path()), before, "{why}");
    };
    opening(&good[..good.len() - 1], &EC.key);
    opening(&good[..good.len() - 65_552], &EC.key);
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    opening(&changed, &EC.key);
    opening(&good, &RSA.key);
    opening(b"", &EC.key);
}

#[test]
fn what_is_there_already_is_not_replaced() {
    let (dir, path) = with(&archive());
    let sealed = seal_file(&EC.recipient(), &path, &mut |_| {}).unwrap();
    let out = dir.path().join("out.tar");
    fs::write(&out, b"mine").unwrap();
    let why = unseal_file(EC.key.as_bytes(), None, &sealed, &out, &mut |_| {}).unwrap_err();
    assert!(matches!(why, UnsealError::Exists { .. }), "{why}");
    fs::remove_file(&out).unwrap();
    // Not even if it comes while the work is done.
    let why = unseal_file(EC.key.as_bytes(), None, &sealed, &out, &mut |_| fs::write(&out, b"mine").unwrap());
    assert!(matches!(why, Err(UnsealError::Exists { .. })), "{why:?}");
    assert_eq!((fs::read(&out).unwrap(), names(dir.path()).len()), (b"mine".to_vec(), 3));
}

#[test]
fn a_name_with_no_room_for_endings_is_refused_beforehand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("{}.tar", "x".repeat(243)));
    fs::write(&path, "not read").unwrap();
    let why = seal_file(&EC.recipient(), &path, &mut |_| panic!("it began")).unwrap_err();
    assert!(matches!(why, SealError::LongName { .. }) && why.to_string().contains("rename"), "{why}");
    assert!(path.exists());
}
