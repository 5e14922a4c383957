//! What arrives at a registry that keeps to the specification.

use std::sync::atomic::{AtomicU64, Ordering};

use pod_checkpointer::image::push::{PushError, push};
use pod_checkpointer::registry::{Digest, ImageReference, Registry};
use serde_json::Value;

use super::{archive, metadata, pushed};
use crate::support::registry::{FakeRegistry, Manners, client, options};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn an_archive_becomes_one_layer_and_the_tag_names_an_index() {
    let there = FakeRegistry::start(Manners::default()).await;
    let (file, bytes) = archive(5 * MIB + 17);
    let most = AtomicU64::new(0);
    let progress = |done| {
        most.fetch_max(done, Ordering::Relaxed);
    };
    let pushed = push(&client(&[&there], None), &there.image(), file, &metadata(), &progress).await.unwrap();
    assert_eq!(pushed.bytes, bytes.len() as u64);
    assert_eq!(most.into_inner(), pushed.bytes);
    assert_eq!(pushed.layer, Digest::of(&bytes).to_string());
    let world = there.world();
    let at = |name: &str| ("cp/counter".to_owned(), name.to_owned());
    assert!(world.blobs[&at(&pushed.layer)] == bytes);
    let (media_type, index) = &world.manifests[&at("t1")];
    assert_eq!(media_type, "application/vnd.oci.image.index.v1+json");
    assert_eq!(pushed.digest, Digest::of(index).to_string());
    let index: Value = serde_json::from_slice(index).unwrap();
    assert_eq!(index["annotations"]["org.criu.checkpoint.container.name"], "count");
    let (_, manifest) = &world.manifests[&at(index["manifests"][0]["digest"].as_str().unwrap())];
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest["layers"][0]["digest"], pushed.layer);
    assert!(world.blobs.contains_key(&at(manifest["config"]["digest"].as_str().unwrap())));
}

#[tokio::test]
async fn the_file_goes_in_one_request_and_is_looked_for_afterwards() {
    let there = FakeRegistry::start(Manners::default()).await;
    let pushed = pushed(&client(&[&there], None), &there.image(), 3 * MIB).await.unwrap();
    let heard = there.heard();
    assert_eq!(heard.iter().filter(|asked| asked.starts_with("PATCH")).count(), 1);
    assert_eq!(heard[0], "POST /v2/cp/counter/blobs/uploads/");
    assert!(heard[2].starts_with("PUT /v2/cp/counter/blobs/uploads/session-1?state=a%3Db&patched=1&digest=sha256%3A"));
    assert_eq!(heard[3], format!("HEAD /v2/cp/counter/blobs/{}", pushed.layer));
    let patch = there.world().asked[1].clone();
    assert_eq!(patch.headers["content-length"], (3 * MIB).to_string());
    assert_eq!(patch.headers["content-type"], "application/octet-stream");
}

#[tokio::test]
async fn an_empty_file_is_a_blob_too() {
    let there = FakeRegistry::start(Manners::default()).await;
    let layer = pushed(&client(&[&there], None), &there.image(), 0).await.unwrap().layer;
    assert_eq!(layer, Digest::of(b"").to_string());
}

#[tokio::test]
async fn the_same_again_is_the_same_and_its_config_is_not_sent_twice() {
    let there = FakeRegistry::start(Manners::default()).await;
    let registry = client(&[&there], None);
    let first = pushed(&registry, &there.image(), MIB).await.unwrap();
    let uploads = || there.heard().iter().filter(|asked| asked.starts_with("POST")).count();
    let before = uploads();
    assert_eq!(pushed(&registry, &there.image(), MIB).await.unwrap(), first);
    assert_eq!(uploads() - before, 1, "the layer alone");
}

#[tokio::test]
async fn without_streamed_uploads_one_put_has_what_was_hashed_before() {
    for status in [404, 405, 416, 501] {
        let there = FakeRegistry::start(Manners { no_patch: Some(status), ..Manners::default() }).await;
        let pushed = pushed(&client(&[&there], None), &there.image(), 4 * MIB).await.unwrap();
        let blob = there.world().blobs[&("cp/counter".to_owned(), pushed.layer.clone())].clone();
        assert_eq!(Digest::of(&blob).to_string(), pushed.layer, "{status}");
    }
}

#[tokio::test]
async fn a_blob_can_be_looked_for_and_mounted_from_elsewhere() {
    let there = FakeRegistry::start(Manners::default()).await;
    let registry = client(&[&there], None);
    let blob = registry.upload_bytes(&there.image(), b"blob").await.unwrap();
    let other = ImageReference { repository: "other".to_owned(), ..there.image() };
    assert!(!registry.has_blob(&other, blob.digest).await.unwrap());
    assert!(registry.mount(&other, "cp/counter", blob.digest).await.unwrap());
    assert!(registry.has_blob(&other, blob.digest).await.unwrap());
    assert!(!registry.mount(&other, "cp/counter", Digest::of(b"not there")).await.unwrap());
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_none() {
    let there = FakeRegistry::start(Manners::default()).await;
    assert_eq!(client(&[&there], None).manifest(&there.image(), "t1").await.unwrap(), None);
}

#[tokio::test]
async fn a_sealed_archive_is_no_image() {
    let there = FakeRegistry::start(Manners::default()).await;
    let (mut file, _) = archive(0);
    std::io::Write::write_all(&mut file, b"age-encryption.org/v1\n-> X25519 x\n").unwrap();
    let why = push(&client(&[&there], None), &there.image(), file, &metadata(), &|_| {}).await.unwrap_err();
    assert!(matches!(why, PushError::Sealed), "{why}");
    assert_eq!(there.heard(), [""; 0]);
}

#[tokio::test]
async fn nobody_is_asked_in_plain_text_who_was_not_named() {
    let there = FakeRegistry::start(Manners::default()).await;
    let why = pushed(&client(&[], None), &there.image(), 10).await.unwrap_err().to_string();
    assert!(why.contains(&format!("name it with --plain-http {}", there.authority())), "{why}");
    assert_eq!(there.heard(), [""; 0]);
    let mut wrong = options(&[], None);
    wrong.plain_http.push("http://r.example/".to_owned());
    assert!(Registry::new(wrong).err().unwrap().to_string().contains("write HOST or HOST:PORT"));
}

#[tokio::test]
async fn a_push_can_run_on_any_thread() {
    let there = FakeRegistry::start(Manners::default()).await;
    let (registry, to) = (client(&[&there], None), there.image());
    tokio::spawn(async move { pushed(&registry, &to, 10).await }).await.unwrap().unwrap();
}
