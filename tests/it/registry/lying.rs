//! Registries that lie, break off, hang, or never stop talking.

use std::time::{Duration, Instant};

use pod_checkpointer::http_client::WireError;
use pod_checkpointer::registry::{Digest, Registry, RegistryError};

use super::{archive, pushed, refused};
use crate::support::registry::{FakeRegistry, Manners, client, options};

const MIB: usize = 1 << 20;

async fn tried(manners: Manners) -> (FakeRegistry, RegistryError) {
    let there = FakeRegistry::start(manners).await;
    let why = refused(pushed(&client(&[&there], None), &there.image(), 3 * MIB).await);
    (there, why)
}

fn patches(there: &FakeRegistry) -> usize {
    there.heard().iter().filter(|asked| asked.starts_with("PATCH")).count()
}

#[tokio::test]
async fn another_digest_in_the_answer_is_an_error_that_names_both() {
    let other = Digest::of(b"something else").to_string();
    let (_, why) = tried(Manners { claims: Some(other.clone()), ..Manners::default() }).await;
    let sent = Digest::of(&archive(3 * MIB).1).to_string();
    assert!(matches!(why, RegistryError::Digest { .. }), "{why}");
    assert!(why.to_string().contains(&sent) && why.to_string().contains(&other), "{why}");
}

#[tokio::test]
async fn a_registry_that_keeps_something_else_is_found_out() {
    let (_, why) = tried(Manners { forgets: true, ..Manners::default() }).await;
    assert!(matches!(&why, RegistryError::Digest { found, .. } if found.contains("no such blob")), "{why}");
    let (_, why) = tried(Manners { shortens: true, ..Manners::default() }).await;
    assert!(matches!(&why, RegistryError::Digest { found, .. } if found.contains("3145727 bytes")), "{why}");
}

#[tokio::test]
async fn manifests_that_come_back_otherwise_are_found_out() {
    let (there, why) = tried(Manners { alters: true, ..Manners::default() }).await;
    assert!(matches!(why, RegistryError::Digest { .. }), "{why}");
    // The manifest was first, and the tag was never put.
    assert!(!there.world().manifests.contains_key(&("cp/counter".to_owned(), "t1".to_owned())));
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_made_anew() {
    let there = FakeRegistry::start(Manners { breaks: Some((2, MIB)), ..Manners::default() }).await;
    let pushed = pushed(&client(&[&there], None), &there.image(), 4 * MIB).await.unwrap();
    assert_eq!(patches(&there), 3);
    let blob = there.world().blobs[&("cp/counter".to_owned(), pushed.layer)].clone();
    assert!(blob == archive(4 * MIB).1);
}

#[tokio::test]
async fn one_that_always_breaks_off_is_given_up() {
    let (there, why) = tried(Manners { breaks: Some((99, MIB)), ..Manners::default() }).await;
    assert!(matches!(why, RegistryError::Wire { .. }), "{why}");
    assert_eq!(patches(&there), 3);
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_but_not_for_ever() {
    let there = FakeRegistry::start(Manners { busy: 2, ..Manners::default() }).await;
    pushed(&client(&[&there], None), &there.image(), 10).await.unwrap();
    let (there, why) = tried(Manners { busy: 999, ..Manners::default() }).await;
    let said = why.to_string();
    assert!(said.contains("429 Too Many Requests (TOOMANYREQUESTS: slow down)"), "{said}");
    assert_eq!(there.heard().len(), 3);
}

#[tokio::test]
async fn a_registry_that_hangs_is_left_in_time() {
    let began = Instant::now();
    let there = FakeRegistry::start(Manners { hangs: true, ..Manners::default() }).await;
    let mut options = options(&[&there], None);
    (options.limits.answer, options.limits.silence) = (Duration::from_millis(300), Duration::from_millis(300));
    let why = refused(pushed(&Registry::new(options).unwrap(), &there.image(), 3 * MIB).await);
    assert!(matches!(why, RegistryError::Wire { why: WireError::Silent { .. }, .. }), "{why}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_whole_has_a_deadline_whatever_its_parts_take() {
    let there = FakeRegistry::start(Manners { hangs: true, ..Manners::default() }).await;
    let mut options = options(&[&there], None);
    options.limits.total = Duration::from_millis(150);
    let registry = Registry::new(options).unwrap();
    let began = Instant::now();
    let why = pushed(&registry, &there.image(), 3 * MIB).await.unwrap_err().to_string();
    assert!(why.contains("within 150ms"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_no_without_end_is_read_no_further() {
    let began = Instant::now();
    let (there, why) = tried(Manners { endless: true, ..Manners::default() }).await;
    assert!(why.to_string().contains("403 Forbidden"), "{why}");
    assert_eq!(patches(&there), 1, "what the registry does not want is not sent again");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn redirects_that_go_round_are_not_followed_for_ever() {
    let there = FakeRegistry::start(Manners::default()).await;
    there.world().manners.leads_to = Some(there.url());
    let why = client(&[&there], None).manifest(&there.image(), "t1").await.unwrap_err();
    assert!(matches!(why, RegistryError::Redirects { .. }), "{why}");
    assert_eq!(there.heard().len(), 4);
}

#[tokio::test]
async fn nobody_is_led_into_plain_text_or_out_of_http() {
    let elsewhere = FakeRegistry::start(Manners::default()).await;
    for place in [elsewhere.url(), "ftp://127.0.0.1".to_owned(), "http://user@127.0.0.1".to_owned()] {
        let manners = Manners { uploads_at: Some(place.clone()), leads_to: Some(place), ..Manners::default() };
        let (there, why) = tried(manners).await;
        assert!(matches!(why, RegistryError::PlainHttp { .. } | RegistryError::Location { .. }), "{why}");
        let read = client(&[&there], None).manifest(&there.image(), "t1").await.unwrap_err();
        assert!(matches!(read, RegistryError::PlainHttp { .. } | RegistryError::Location { .. }), "{read}");
    }
    assert_eq!(elsewhere.heard(), [""; 0]);
}

#[tokio::test]
async fn an_archive_that_changes_on_the_way_is_not_an_image() {
    let there = FakeRegistry::start(Manners { slow: Duration::from_millis(5), ..Manners::default() }).await;
    let (file, _) = archive(64 * MIB);
    let other = file.try_clone().unwrap();
    let cut = move |_| other.set_len(1000).unwrap();
    let why = client(&[&there], None).upload(&there.image(), file, &cut).await.unwrap_err();
    assert!(matches!(why, RegistryError::Changed { .. }), "{why}");
    assert_eq!(patches(&there), 1);
}
