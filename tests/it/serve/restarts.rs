//! `serve` dies where it stands and is started again: every job goes on from what is on disk, or fails with a reason.

use std::time::Duration;

use super::archive::archive;
use super::kubelet::{Mode, seconds};
use super::registry;
use super::site::Site;

const IMAGE: &str = "/checkpoint/default/counter/main";
const ASYNC: &str = r#"{"async": true, "deletePod": true}"#;

#[tokio::test]
async fn at_the_kubelet_it_takes_the_archive_though_nobody_listens() {
    let mut site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_secs(2)));
    let identifier = site.post(IMAGE, ASYNC).await.text("checkpointIdentifier");
    site.until("the kubelet is asked", |site| site.kubelet.calls().len() == 1).await;
    site.kill();
    assert_eq!(site.state_of(0), "checkpointing");
    site.start();
    let said = site.outcome(&identifier).await;
    assert_eq!(said.code, 200, "{}", said.body);
    assert_eq!(site.kubelet.calls().len(), 1, "it is not asked twice");
    assert!(!site.cluster.has_pod("counter") && site.registry.tags().len() == 1);
}

#[tokio::test]
async fn an_archive_of_an_earlier_pod_or_moment_is_not_taken_for_it() {
    let mut site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_secs(3)));
    let identifier = site.post(IMAGE, ASYNC).await.text("checkpointIdentifier");
    site.until("the kubelet is asked", |site| site.kubelet.calls().len() == 1).await;
    site.kill();
    let place = |ago: i64, uid: &str| {
        let at = jiff::Timestamp::from_second(seconds() - ago).unwrap();
        let bytes = archive("default", "counter", uid, "main", b"other memory");
        std::fs::write(site.config.checkpoints.join(format!("checkpoint-counter_default-main-{at}.tar")), bytes)
            .unwrap();
    };
    place(3600, "uid-of-counter");
    place(-1, "uid-of-an-earlier-one");
    site.start();
    let said = site.outcome(&identifier).await;
    assert_eq!(said.code, 200, "{}", said.body);
    assert!(site.registry.has(&archive("default", "counter", "uid-of-counter", "main", b"the container's memory")));
}

#[tokio::test]
async fn at_the_registry_it_pushes_again() {
    let mut site = Site::new().await;
    site.registry.go(registry::Mode::Still);
    let identifier = site.post(IMAGE, ASYNC).await.text("checkpointIdentifier");
    site.until("it is at the registry", |site| site.state_of(0) == "pushing").await;
    site.kill();
    site.registry.go(registry::Mode::Well);
    assert!(site.cluster.has_pod("counter"));
    site.start();
    let said = site.outcome(&identifier).await;
    assert_eq!(said.code, 200, "{}", said.body);
    assert_eq!((site.kubelet.calls().len(), site.cluster.has_pod("counter")), (1, false));
}

#[tokio::test]
async fn at_the_pod_it_deletes_that_one_and_no_other() {
    let mut site = Site::new().await;
    site.cluster.world().forbidden.push("/api/v1/namespaces/default/pods/x".to_owned());
    let identifier = site.post(IMAGE, ASYNC).await.text("checkpointIdentifier");
    site.outcome(&identifier).await;
    site.kill();
    // The record as it was before the deletion; meanwhile another pod has the name.
    let path = site.config.storage.join(format!("jobs/{}.json", identifier.strip_prefix("node-1:").unwrap()));
    let mut record = site.records().remove(0);
    record["state"] = "deleting".into();
    std::fs::write(&path, record.to_string()).unwrap();
    site.cluster.add_pod("counter", "node-1", &["main"]);
    let pod = "/api/v1/namespaces/default/pods/counter";
    site.cluster.world().objects.get_mut(pod).unwrap()["metadata"]["uid"] = "uid-of-the-next".into();
    site.start();
    assert_eq!(site.outcome(&identifier).await.code, 200);
    assert!(site.cluster.has_pod("counter"), "it is another");
    assert_eq!(site.cluster.world().deleted, ["uid-of-counter"]);
}

#[tokio::test]
async fn before_the_kubelet_only_what_nobody_waited_for_goes_on() {
    let mut site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_secs(2)));
    let first = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    let asked = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    let waiting = site.post_later(IMAGE, "");
    site.until("three are on disk", |site| site.records().len() == 3).await;
    site.kill();
    assert!(waiting.await.is_err(), "its caller is gone");
    site.start();
    for identifier in [&first, &asked] {
        assert_eq!(site.outcome(identifier).await.code, 200);
    }
    let known = [first, asked];
    let ids = site.records().into_iter().map(|record| format!("node-1:{}", record["id"].as_str().unwrap()));
    let third: Vec<String> = ids.filter(|id| !known.contains(id)).collect();
    let said = site.outcome(&third[0]).await;
    assert!(said.code == 500 && said.text("message").contains("restarted before"), "{}", said.body);
    assert_eq!(site.kubelet.calls().len(), 2);
}

#[tokio::test]
async fn an_archive_that_is_gone_fails_its_job() {
    let mut site = Site::new().await;
    site.registry.go(registry::Mode::Still);
    let identifier = site.post(IMAGE, ASYNC).await.text("checkpointIdentifier");
    site.until("it is at the registry", |site| site.state_of(0) == "pushing").await;
    site.kill();
    std::fs::remove_file(site.config.checkpoints.join(&site.archives()[0])).unwrap();
    site.start();
    let said = site.outcome(&identifier).await;
    assert!(said.code == 500 && said.text("message").contains("--checkpoints-dir"), "{}", said.body);
    assert!(site.cluster.has_pod("counter"));
}

#[tokio::test]
async fn what_is_done_or_failed_is_remembered() {
    let mut site = Site::new().await;
    let done = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    let entry = site.outcome(&done).await.body;
    site.kubelet.go(Mode::Says(500, "CRIU binary not found or too old"));
    let failed = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    let why = site.outcome(&failed).await.body;
    site.kill();
    site.start();
    let said = site.outcome(&done).await;
    assert_eq!((said.code, said.body), (200, entry));
    let said = site.outcome(&failed).await;
    assert_eq!((said.code, said.body), (500, why));
}
