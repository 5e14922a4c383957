//! The power goes while the API server is away, in every way in which it can be away.

use std::time::Duration;

use rstest::rstest;

use super::{A_WHILE, is_home, site_with};
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, pod};
use crate::support::site::Site;

#[rstest]
#[case::refuses_connections(Mode::Down)]
#[case::swallows_packets(Mode::BlackHole)]
#[case::answers_500(Mode::Status(500))]
#[case::answers_429(Mode::Status(429))]
#[case::answers_like_a_web_server(Mode::Garbage)]
#[tokio::test]
async fn after_a_power_cut_every_pod_runs_though_the_api_server(#[case] mode: Mode) {
    let mut site = Site::new().await.unwrap();
    site.api.add_secret(NAMESPACE, "tls", &[("tls.key", "secret")]);
    let pods = [pod("gateway").on_port(8443).secret("tls"), pod("control"), pod("telemetry").projected("tls", "none")];
    site.api.add_config_map(NAMESPACE, "none", &[]);
    for pod in pods {
        site.add(pod);
    }
    let all =
        |so: fn(&Site, &str) -> bool| move |s: &Site| ["gateway", "control", "telemetry"].iter().all(|n| so(s, n));
    site.start_agent();
    site.until("all are saved", all(Site::is_saved)).await;
    site.kubelet.set_registry(false);
    site.api.go(mode).await;
    site.reboot().unwrap();
    site.until("all run as static pods", all(Site::twin_runs)).await;
    site.api.go(Mode::Up).await;
    site.until("all run as themselves again", all(is_home)).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn pods_that_run_are_left_alone_while_the_api_server_is_away() {
    let mut site = site_with([pod("web"), pod("gateway").on_port(8443)]).await;
    site.api.go(Mode::Down).await;
    site.until("the agent knows", |s| s.status().api.starts_with("unavailable")).await;
    let untouched = |s: &Site| !s.is_active("web") && !s.is_active("gateway");
    // Longer than any delay after which a pod that is down is taken over.
    site.throughout("not activated", site.config.timings.down_aware + A_WHILE, untouched).await;
    site.start_agent();
    site.throughout("not by an agent that starts in the outage either", A_WHILE * 2, untouched).await;
    assert!(site.parent_runs("web") && site.parent_runs("gateway"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn an_api_server_that_flaps_ten_times_activates_nothing() {
    let site = site_with([pod("web"), pod("gateway").on_port(8443)]).await;
    let untouched =
        |s: &Site| !s.is_active("web") && !s.is_active("gateway") && s.parent_runs("web") && s.parent_runs("gateway");
    for round in 0..10 {
        site.api.go(if round % 2 == 0 { Mode::Down } else { Mode::Status(503) }).await;
        site.throughout("not activated", A_WHILE / 7, untouched).await;
        site.api.go(Mode::Up).await;
        site.throughout("not activated", A_WHILE / 7, untouched).await;
    }
    site.until("the agent sees it again", |s| s.status().api == "ok").await;
    site.throughout("not activated", A_WHILE, untouched).await;
    assert_eq!(site.runtime.calls().removed, Vec::<String>::new());
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_refusing_api_server_delays_activation_and_retires_nothing() {
    let mut site = site_with([pod("web"), pod("deleted")]).await;
    site.config.timings.activation_delay = Duration::from_secs(3);
    site.api.go(Mode::Status(401)).await;
    site.api.delete_pod(NAMESPACE, "deleted");
    site.reboot().unwrap();
    site.until("the agent knows", |s| s.status().api.starts_with("refused")).await;
    site.throughout("not activated yet", Duration::from_secs(1), |s| !s.is_active("web")).await;
    site.until("activated after the delay", |s| s.twin_runs("web") && s.twin_runs("deleted")).await;
    site.throughout("nothing retired", site.config.timings.grace + A_WHILE, |s| s.is_active("deleted")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_power_cut_while_the_api_answers_is_the_kubelets_business() {
    let mut site = site_with([pod("web"), pod("gateway").on_port(8443)]).await;
    site.reboot().unwrap();
    let untouched = |s: &Site| !s.is_active("web") && !s.is_active("gateway");
    site.throughout("not activated", A_WHILE * 3, untouched).await;
    assert!(is_home(&site, "web") && is_home(&site, "gateway"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn two_power_cuts_in_one_outage_end_as_one_does() {
    let mut site = site_with([pod("web"), pod("gateway").on_port(8443)]).await;
    site.api.go(Mode::Down).await;
    for _ in 0..2 {
        site.reboot().unwrap();
        site.until("both run as static pods", |s| s.twin_runs("web") && s.twin_runs("gateway")).await;
    }
    site.api.go(Mode::Up).await;
    site.until("both run as themselves", |s| is_home(s, "web") && is_home(s, "gateway")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_down_parent_is_taken_over_though_its_kubelet_saw_the_api() {
    let site = site_with([pod("web")]).await;
    site.api.go(Mode::Down).await;
    // The kubelet and what it ran die, the agent does not: nobody restarts the pod, and nobody is known to be blind.
    site.kubelet.power_cut();
    site.throughout("not at once", site.config.timings.down_aware / 3, |s| !s.is_active("web")).await;
    site.until("it is taken over", |s| s.is_active("web")).await;
    site.kubelet.power_on().unwrap();
    site.until("its twin runs", |s| s.twin_runs("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn damage_beside_the_checkpoints_keeps_no_pod_away() {
    let mut site = Site::new().await.unwrap();
    site.add(pod("gateway").on_port(8443));
    site.start_agent();
    site.until("it is saved", |s| s.is_saved("gateway")).await;
    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    // A kubeconfig without a scheme, no directory for locks, and a file where the run directory has to be.
    let kubeconfig = r#"{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "x", "cluster": {"server": "10.0.0.1:6443"}}]}"#;
    std::fs::write(site.root().join("kubelet.conf"), kubeconfig).unwrap();
    std::fs::remove_dir_all(site.root().join("run")).unwrap();
    std::fs::create_dir(site.root().join("run")).unwrap();
    std::fs::write(site.root().join("run/pod-checkpointer"), "").unwrap();
    site.power_on().unwrap();
    site.start_agent();
    site.until("its twin runs", |s| s.twin_runs("gateway")).await;
}
