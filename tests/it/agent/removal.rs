//! A parent that is gone for good, or only seems to be.

use super::{A_WHILE, is_home, site_with};
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, pod, pod_of};
use crate::support::site::Site;

#[tokio::test]
async fn after_the_grace_period_only_a_deleted_parents_files_go() {
    let mut site = Site::new().await.unwrap();
    site.api.add_secret(NAMESPACE, "tls", &[("tls.key", "secret")]);
    site.add(pod("web").secret("tls")).add(pod("other").secret("tls"));
    site.start_agent();
    site.until("both are saved", |s| s.is_saved("web") && s.is_saved("other")).await;
    site.api.delete_pod(NAMESPACE, "web");
    site.throughout("not at once", site.config.timings.grace / 2, |s| s.is_saved("web")).await;
    site.until("nothing of it is left", |s| s.is_removed("web")).await;
    assert!(site.is_saved("other") && site.etc("checkpoint-secrets/plant/other/tls/tls.key").is_file());
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_pod_no_longer_annotated_is_forgotten_and_runs_on() {
    let site = site_with([pod("web")]).await;
    site.api.edit_pod(NAMESPACE, "web", |pod| pod["metadata"]["annotations"] = serde_json::json!({}));
    site.until("nothing of it is left", |s| s.is_removed("web")).await;
    assert!(site.parent_runs("web"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_parent_back_within_the_grace_period_keeps_its_checkpoint() {
    let site = site_with([pod("web")]).await;
    site.api.delete_pod(NAMESPACE, "web");
    let retiring = |s: &Site| super::phase(s, "web") == Some(pod_checkpointer::pod::report::Phase::Retiring);
    site.until("it is retiring", retiring).await;
    site.add(pod("web").uid("second"));
    site.until("it is kept", |s| is_home(s, "web")).await;
    site.throughout("it stays", site.config.timings.grace + A_WHILE, |s| s.is_saved("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn the_grace_period_does_not_pass_while_the_api_server_is_away() {
    let site = site_with([pod("web"), pod("other")]).await;
    site.api.delete_pod(NAMESPACE, "web");
    let retiring = |s: &Site| super::phase(s, "web") == Some(pod_checkpointer::pod::report::Phase::Retiring);
    site.until("it is retiring", retiring).await;
    site.api.go(Mode::Down).await;
    site.throughout("it stays", site.config.timings.grace + A_WHILE, |s| s.is_saved("web")).await;
    site.api.go(Mode::Up).await;
    site.until("it goes when the API server has confirmed it long enough", |s| s.is_removed("web")).await;
    assert!(site.is_saved("other"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn another_cluster_behind_the_same_address_retires_nothing() {
    let mut site = site_with([pod("web")]).await;
    site.api.become_another_cluster();
    let known = |s: &Site| s.status().notes.iter().any(|note| note.contains("another cluster"));
    site.until("it is said", known).await;
    site.throughout("nothing is retired", site.config.timings.grace + A_WHILE, |s| s.is_saved("web")).await;
    site.start_agent();
    site.until("it is said after a restart", known).await;
    site.throughout("nothing is retired", site.config.timings.grace + A_WHILE, |s| s.is_saved("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_power_cut_in_the_middle_of_a_rollout_runs_one_of_both() {
    let mut site = site_with([pod_of("web-1", "DaemonSet", "web").on_port(8443)]).await;
    site.api.delete_pod(NAMESPACE, "web-1");
    site.add(pod_of("web-2", "DaemonSet", "web").on_port(8443));
    site.until("the second is saved", |s| s.is_saved("web-2")).await;
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("the newest runs", |s| s.twin_runs("web-2")).await;
    site.throughout("the other does not", A_WHILE, |s| !s.is_active("web-1") && s.twin_runs("web-2")).await;
    site.assert_no_unexpected();
}
