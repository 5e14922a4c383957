//! The API server is back: twins make room, once each, and come back where that was in vain.

use super::{A_WHILE, is_home};
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, PodSpec, pod, pod_of};
use crate::support::site::Site;

/// Its twin runs and the API server is away.
async fn offline_twin(pod: PodSpec, name: &str) -> Site {
    offline_twin_on(Site::new().await.unwrap(), pod, name).await
}

async fn offline_twin_on(mut site: Site, pod: PodSpec, name: &str) -> Site {
    site.add(pod);
    site.start_agent();
    site.until("it is saved", |s| s.is_saved(name)).await;
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("the twin runs", |s| s.twin_runs(name)).await;
    site.until("the parent's dead sandbox is removed", |s| s.is_forgotten(name)).await;
    site
}

#[tokio::test]
async fn a_twin_on_a_host_port_spares_its_parent_the_back_off() {
    // Slow enough that the agent is always there before the kubelet notices that the parent has exited.
    let slow = Site::with_kubelet(2, |_| {}).await.unwrap();
    let site = offline_twin_on(slow, pod("gateway").on_port(8443), "gateway").await;
    site.runtime.calls().removed.clear();
    site.api.go(Mode::Up).await;
    site.until("the parent runs alone", |s| is_home(s, "gateway")).await;
    assert_eq!(site.runtime.calls().removed, ["plant/gateway"], "once, and nobody else's");
    site.throughout("it stays so", A_WHILE, |s| is_home(s, "gateway")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_twin_without_a_port_makes_room_when_its_parent_starts() {
    let site = offline_twin(pod("web"), "web").await;
    site.runtime.calls().removed.clear();
    site.api.go(Mode::Up).await;
    site.until("the parent runs alone", |s| is_home(s, "web")).await;
    assert_eq!(site.runtime.calls().removed, Vec::<String>::new(), "it never exited");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_parent_that_stays_down_gets_its_twin_back_and_must_wait() {
    let site = offline_twin(pod("gateway").on_port(8443), "gateway").await;
    site.kubelet.set_crashing("plant/gateway", true);
    site.api.go(Mode::Up).await;
    site.until("the twin makes room", |s| !s.twin_runs("gateway")).await;
    site.until("the twin is back", |s| s.twin_runs("gateway")).await;
    site.throughout("it stays", A_WHILE * 2, |s| s.is_active("gateway")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_twin_of_a_parent_deleted_meanwhile_goes_after_the_grace() {
    let site = offline_twin(pod("web"), "web").await;
    site.api.delete_pod(NAMESPACE, "web");
    site.api.go(Mode::Up).await;
    site.until("nothing of it is left", |s| s.is_removed("web") && !s.twin_runs("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_twin_makes_room_for_the_pod_that_replaced_its_parent() {
    let site = offline_twin(pod("gateway").on_port(8443), "gateway").await;
    site.api.delete_pod(NAMESPACE, "gateway");
    site.add(pod_of("gateway-2", "DaemonSet", "gateway").on_port(8443));
    site.api.go(Mode::Up).await;
    site.until("the new one runs and is saved", |s| is_home(s, "gateway-2")).await;
    site.until("nothing of the old one is left", |s| s.is_removed("gateway") && !s.twin_runs("gateway")).await;
    site.assert_no_unexpected();
}
