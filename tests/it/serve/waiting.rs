//! Who waits for whom and for how long: the queue, one checkpoint at a time, the second in an archive's name, kubelets
//! that take too long, and the end of the process.

use std::time::{Duration, Instant};

use super::kubelet::Mode;
use super::registry;
use super::site::Site;

const IMAGE: &str = "/checkpoint/default/counter/main";
const ARCHIVE: &str = "/api/v1/namespaces/default/pods/counter/checkpoint";

#[tokio::test]
async fn two_of_one_container_never_run_at_once_nor_share_a_second() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_millis(100)));
    let jobs: Vec<_> = (0..3).map(|_| site.post_later(IMAGE, "")).collect();
    for job in jobs {
        let said = job.await.unwrap();
        assert_eq!(said.code, 201, "{}", said.body);
    }
    assert_eq!((site.kubelet.most_busy(), site.archives().len()), (1, 3), "{:?}", site.archives());
}

#[tokio::test]
async fn different_pods_do_not_wait_for_one_another() {
    let site = Site::new().await;
    site.cluster.add_pod("other", "node-1", &["main"]);
    site.kubelet.go(Mode::Slow(Duration::from_millis(1500)));
    let jobs = [site.post_later(IMAGE, ""), site.post_later("/checkpoint/default/other/main", "")];
    for job in jobs {
        let said = job.await.unwrap();
        assert_eq!(said.code, 201, "{}", said.body);
    }
    assert_eq!(site.kubelet.most_busy(), 2);
}

#[tokio::test]
async fn what_the_queue_has_no_room_for_is_told_when_to_come_again() {
    let site = Site::with(|config| config.max_queue = 2).await;
    site.kubelet.go(Mode::Slow(Duration::from_secs(2)));
    for _ in 0..2 {
        assert_eq!(site.post(IMAGE, r#"{"async": true}"#).await.code, 202);
    }
    let said = site.post(IMAGE, r#"{"async": true}"#).await;
    assert_eq!(said.code, 429, "{}", said.body);
    assert!(said.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(site.records().len(), 2);
    site.until("there is room again", |site| (0..2).all(|job| site.state_of(job) == "done")).await;
    assert_eq!(site.post(IMAGE, "").await.code, 201);
}

#[tokio::test]
async fn who_would_not_wait_gets_an_identifier_and_the_work_goes_on() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_secs(1)));
    let began = Instant::now();
    let said = site.post(&format!("{IMAGE}?wait=0"), "").await;
    assert_eq!(said.code, 202);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(site.outcome(&said.text("checkpointIdentifier")).await.code, 200);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_the_work() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_millis(500)));
    let job = site.post_later(IMAGE, r#"{"deletePod": true}"#);
    site.until("it has begun", |site| !site.records().is_empty()).await;
    job.abort();
    site.until("it is done", |site| site.state_of(0) == "done").await;
    assert!(!site.cluster.has_pod("counter") && site.registry.tags().len() == 1);
}

#[tokio::test]
async fn the_archive_of_a_call_that_timed_out_is_removed_on_arrival() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Mute(Duration::from_millis(2500)));
    let said = site.post(IMAGE, r#"{"timeout": 1, "deletePod": true}"#).await;
    assert_eq!(said.code, 500, "{}", said.body);
    assert!(said.text("message").contains("the kubelet gave no answer"), "{}", said.body);
    assert!(site.cluster.has_pod("counter") && site.registry.tags().is_empty());
    site.until("the archive comes late", |site| !site.archives().is_empty()).await;
    site.until("and goes", |site| site.archives().is_empty()).await;
}

#[tokio::test]
async fn an_archive_without_an_answer_is_taken_while_somebody_waits() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Cuts(Duration::from_millis(700)));
    let said = site.post(IMAGE, "").await;
    assert_eq!(said.code, 201, "{}", said.body);
    assert_eq!((site.archives().len(), site.registry.tags().len()), (1, 1));
}

#[tokio::test]
async fn told_to_stop_it_lets_what_runs_end_and_takes_no_more() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_millis(1500)));
    let running = site.post_later(IMAGE, r#"{"deletePod": true}"#);
    site.until("one runs", |site| site.kubelet.calls().len() == 1).await;
    let waiting = site.post_later(ARCHIVE, "");
    site.until("one waits", |site| site.records().len() == 2).await;
    site.terminate();
    let said = running.await.unwrap();
    assert_eq!(said.code, 201, "{}", said.body);
    let said = waiting.await.unwrap();
    assert!(said.code == 500 && said.text("message").contains("being stopped"), "{}", said.body);
    site.until("it ends", Site::has_ended).await;
    assert_eq!(site.kubelet.calls().len(), 1);
}

#[tokio::test]
async fn a_queued_job_nobody_waits_for_is_left_for_the_next_instance() {
    let mut site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_millis(1500)));
    let one = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    let other = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    site.terminate();
    site.until("it ends", Site::has_ended).await;
    assert_eq!(site.registry.tags().len(), 1);
    site.kill();
    site.start();
    for identifier in [one, other] {
        let said = site.outcome(&identifier).await;
        assert_eq!(said.code, 200, "{}", said.body);
    }
    assert_eq!(site.registry.tags().len(), 2);
}

#[tokio::test]
async fn without_a_record_on_disk_no_checkpoint_is_begun() {
    let site = Site::new().await;
    assert_eq!(site.post(IMAGE, "").await.code, 201);
    let jobs = site.config.storage.join("jobs");
    std::fs::remove_dir_all(&jobs).unwrap();
    std::fs::write(&jobs, "in the way").unwrap();
    let said = site.post(IMAGE, r#"{"deletePod": true}"#).await;
    assert!(said.code == 500 && said.text("message").contains("was not begun"), "{}", said.body);
    assert_eq!(site.kubelet.calls().len(), 1);
}

#[tokio::test]
async fn a_record_that_is_lost_in_the_middle_keeps_the_pod() {
    let site = Site::new().await;
    site.registry.go(registry::Mode::Still);
    let job = site.post_later(IMAGE, r#"{"deletePod": true}"#);
    site.until("it is at the registry", |site| !site.records().is_empty() && site.state_of(0) == "pushing").await;
    let jobs = site.config.storage.join("jobs");
    std::fs::remove_dir_all(&jobs).unwrap();
    std::fs::write(&jobs, "in the way").unwrap();
    site.registry.go(registry::Mode::Well);
    let said = job.await.unwrap();
    assert!(said.code == 500 && said.text("message").contains("record cannot be kept"), "{}", said.body);
    assert!(site.cluster.has_pod("counter"));
}
