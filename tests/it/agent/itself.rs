//! The agent as a pod of its own DaemonSet: it saves itself, comes back by itself, gives way and goes.

use std::time::Duration;

use pod_checkpointer::pod::timings::Timings;
use serde_json::json;

use super::{A_WHILE, is_home};
use crate::support::agents::AGENT;
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, agent_pod, pod};
use crate::support::site::Site;

const FIRST: &str = "pod-checkpointer-aaaaa";
const SECOND: &str = "pod-checkpointer-bbbbb";
const DAEMONSET: &str = "/apis/apps/v1/namespaces/plant/daemonsets/pod-checkpointer";

/// A node whose agent is a pod, has saved itself and one application; its twin stands by.
async fn self_hosted() -> Site {
    self_hosted_with(|_| {}).await
}

async fn self_hosted_with(change: impl FnOnce(&mut Timings)) -> Site {
    let site = Site::with(change).await.unwrap();
    site.install_agent(FIRST).add(pod("web").on_port(8443));
    site.until("the application is saved", |s| s.is_saved("web")).await;
    site.until("the agent has saved itself", |s| s.is_active(FIRST)).await;
    site.until("its twin stands by", |s| s.twin_runs(FIRST)).await;
    site
}

#[tokio::test]
async fn after_a_power_cut_the_kubelet_starts_it_and_it_the_others() {
    let mut site = self_hosted().await;
    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    site.power_on().unwrap();
    site.until("the application runs", |s| s.twin_runs("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn its_twin_steps_down_for_the_daemonset_after_the_hand_back() {
    let mut site = self_hosted().await;
    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    site.power_on().unwrap();
    site.until("the application runs", |s| s.twin_runs("web")).await;
    site.api.go(Mode::Up).await;
    site.until("the DaemonSet's instance leads", |s| s.agent_leads(FIRST)).await;
    site.until("the application is handed back", |s| is_home(s, "web")).await;
    site.throughout("it leads on, its twin stands by", A_WHILE, |s| {
        s.agent_leads(FIRST) && s.twin_runs(FIRST) && is_home(s, "web")
    })
    .await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_twin_steps_down_though_the_api_server_refuses_its_token() {
    let mut site = self_hosted().await;
    site.power_cut().unwrap();
    site.power_on().unwrap();
    site.api.forbid("/api/v1/namespaces/plant/pods");
    site.until("the DaemonSet's instance leads", |s| s.agent_leads(FIRST)).await;
    assert!(site.is_saved("web"));
    site.api.allow_all();
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_rollout_of_its_own_daemonset_keeps_every_checkpoint() {
    let site = self_hosted().await;
    site.api.delete_pod(NAMESPACE, FIRST);
    site.until("the old one ends", |s| !s.parent_runs(FIRST)).await;
    site.throughout("its twin keeps the node", A_WHILE, |s| s.twin_runs(FIRST) && s.is_saved("web")).await;
    site.add(agent_pod(SECOND).arg("--new-version"));
    site.until("the new one leads", |s| s.agent_leads(SECOND)).await;
    site.until("the new one has saved itself", |s| s.is_active(SECOND) && s.twin_runs(SECOND)).await;
    site.until("nothing of the old one is left", |s| s.is_removed(FIRST) && !s.twin_runs(FIRST)).await;
    assert!(is_home(&site, "web"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_version_that_is_never_ready_does_not_replace_the_good_one() {
    let mut site = self_hosted().await;
    site.kubelet.set_crashing(&format!("{NAMESPACE}/{SECOND}"), true);
    site.api.delete_pod(NAMESPACE, FIRST);
    site.add(agent_pod(SECOND).arg("--new-version"));
    let crashes = |s: &Site| s.kubelet.statuses().iter().any(|p| p.pod.ends_with(SECOND) && p.restarts > 1);
    site.until("the new one crashes", crashes).await;
    site.throughout("the old one's twin keeps the node", site.config.timings.grace + A_WHILE, |s| {
        s.is_active(FIRST) && s.twin_runs(FIRST) && !s.is_active(SECOND)
    })
    .await;
    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    site.power_on().unwrap();
    site.until("and brings the application back", |s| s.twin_runs("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn its_daemonset_deleted_it_removes_all_its_own_and_itself_last() {
    let site = self_hosted().await;
    site.add(pod("other"));
    site.until("another is saved", |s| s.is_saved("other")).await;
    site.api.remove(DAEMONSET);
    site.api.delete_pod(NAMESPACE, FIRST);
    let in_order = |s: &Site| s.is_active(FIRST) || (s.is_removed("web") && s.is_removed("other"));
    site.throughout("not before the grace period", site.config.timings.grace / 2, |s| s.is_saved("web")).await;
    site.until("everything is gone", |s| {
        assert!(in_order(s), "the agent went before the others");
        s.is_removed("web") && s.is_removed("other") && s.is_removed(FIRST)
    })
    .await;
    site.until("its twin has ended", |s| !s.twin_runs(FIRST)).await;
    assert!(site.parent_runs("web") && site.parent_runs("other"));
    assert!(!site.etc("checkpoint-cluster").exists(), "nor what says whose they were");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_daemonset_that_excludes_the_node_removes_it_too() {
    let site = self_hosted_with(|timings| timings.refresh = Duration::from_millis(500)).await;
    site.api.delete_pod(NAMESPACE, FIRST);
    site.throughout("its DaemonSet wants it here", site.config.timings.grace + A_WHILE, |s| s.is_saved("web")).await;
    site.api.add_daemonset(NAMESPACE, AGENT, &json!({"nodeSelector": {"role": "other"}}));
    site.until("everything is gone", |s| s.is_removed("web") && s.is_removed(FIRST)).await;
    assert!(site.parent_runs("web"));
    site.assert_no_unexpected();
}
