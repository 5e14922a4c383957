//! `archive ls`, `inspect`, `seal` and `unseal`, as they are typed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use assert_cmd::Command;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::support::archives::containerd;

const NAME: &str = "checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar";

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let done = Command::cargo_bin("pod-checkpointer").unwrap().current_dir(dir).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code().unwrap(), text(&done.stdout), text(&done.stderr))
}

/// A directory with an archive, a certificate and its key.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(NAME), containerd(&vec![5; 200_000]).end()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["archive".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(dir.path().join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.path().join("tls.key"), key.serialize_pem()).unwrap();
    dir
}

#[test]
fn a_listing_shows_also_what_cannot_be_read() {
    let dir = place();
    let bad = dir.path().join("checkpoint-cut_shop-web-2026-11-21T07:13:00Z.tar");
    std::fs::write(&bad, b"short").unwrap();
    std::fs::File::open(&bad).unwrap().set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("checkpoint-l_n-c-2026-11-21T07:13:00Z.tar")).unwrap();
    let (code, text, _) = run(dir.path(), &["archive", "ls", "."]);
    assert_eq!(code, 0);
    let words = |line: usize| text.lines().nth(line).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(1)[..4], ["shop", "web-0", "web", "2026-11-21T07:12:53Z"], "{text}");
    assert_eq!(words(2)[..3], ["?", "cut", "?"], "{text}");
    assert!(text.contains("incomplete") && !text.contains(" l "), "{text}");

    let (code, json, _) = run(dir.path(), &["archive", "ls", ".", "-o", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json[0]["metadata"]["container"], &json[1]["state"]), (0, &"web".into(), &"incomplete".into()));

    let (code, _, why) = run(dir.path(), &["archive", "ls", "nowhere"]);
    assert!(code == 1 && why.contains("nowhere"), "{why}");
}

#[test]
fn an_inspection_shows_the_image_and_the_entries() {
    let dir = place();
    let (code, text, _) = run(dir.path(), &["archive", "inspect", NAME]);
    assert!(code == 0 && text.contains("shop/web-0/web") && text.contains("checkpoint/pages-1.img"), "{text}");
    assert!(!text.contains("hunter2"));
    let (_, json, _) = run(dir.path(), &["archive", "inspect", NAME, "-o", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["metadata"]["image_ref"], "registry.example/shop/web@sha256:5a");
    assert_eq!(json["entries"][2]["size"], 200_000);
    let (code, _, why) = run(dir.path(), &["archive", "inspect", "tls.key"]);
    assert!(code == 1 && why.contains("tls.key: it is"), "{why}");
}

#[test]
fn what_is_sealed_is_listed_and_opens_again() {
    let dir = place();
    let plain = std::fs::read(dir.path().join(NAME)).unwrap();
    let (code, out, why) = run(dir.path(), &["archive", "seal", NAME, "--to", "tls.crt"]);
    assert_eq!((code, out.trim()), (0, format!("./{NAME}.age").as_str()), "{why}");
    assert!(!dir.path().join(NAME).exists());
    let (_, text, _) = run(dir.path(), &["archive", "ls", "."]);
    assert!(text.contains("shop") && text.contains("yes"), "{text}");
    let sealed = format!("{NAME}.age");
    let (code, _, why) = run(dir.path(), &["archive", "inspect", &sealed]);
    assert!(code == 1 && why.contains("archive unseal"), "{why}");
    let (code, _, why) = run(dir.path(), &["archive", "unseal", &sealed, "--key", "tls.key", "--cert", "tls.crt"]);
    assert_eq!(code, 0, "{why}");
    assert_eq!(std::fs::read(dir.path().join(NAME)).unwrap(), plain);
    let (code, _, why) = run(dir.path(), &["archive", "unseal", &sealed, "--key", "tls.key"]);
    assert!(code == 1 && why.contains("is there already"), "{why}");
    let (code, _, why) = run(dir.path(), &["archive", "unseal", "tls.crt", "--key", "tls.key"]);
    assert!(code == 2 && why.contains("-O"), "{why}");
}

#[test]
fn what_cannot_be_sealed_to_is_refused_with_what_would_do() {
    let dir = place();
    let (code, _, why) = run(dir.path(), &["archive", "seal", NAME, "--to", "tls.key"]);
    assert!(code == 2 && why.contains("no X.509 certificate"), "{why}");
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/rsa-1024.pem");
    let (code, _, why) = run(dir.path(), &["archive", "seal", NAME, "--to", small]);
    assert!(code == 2 && why.contains("2048"), "{why}");
    assert!(dir.path().join(NAME).exists());
}
