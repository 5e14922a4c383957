//! A container runtime that does not answer is no evidence of anything.

use super::{A_WHILE, is_home, site_with};
use crate::support::api::Mode;
use crate::support::pods::pod;
use crate::support::site::Site;

#[tokio::test]
async fn while_the_runtime_hangs_nothing_is_decided_then_everything() {
    let mut site = site_with([pod("web"), pod("gateway").on_port(8443)]).await;
    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    site.power_on().unwrap();
    site.runtime.mood(|mood| mood.hangs = true);
    site.start_agent();
    let untouched = |s: &Site| !s.is_active("web") && !s.is_active("gateway");
    site.throughout("nothing is activated", A_WHILE * 4, untouched).await;
    site.runtime.mood(|mood| mood.hangs = false);
    site.until("both come back", |s| s.twin_runs("web") && s.twin_runs("gateway")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_runtime_killed_under_running_pods_activates_nothing() {
    let mut site = site_with([pod("web")]).await;
    site.api.go(Mode::Down).await;
    site.runtime.kill();
    site.until("the agent knows", |s| s.status().runtime.starts_with("unavailable")).await;
    site.throughout("not activated", site.config.timings.down_aware + A_WHILE, |s| !s.is_active("web")).await;
    site.runtime.restart().unwrap();
    site.until("the agent sees it again", |s| s.status().runtime == "ok").await;
    site.throughout("not activated", A_WHILE, |s| !s.is_active("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn an_agent_that_starts_before_the_runtime_waits_for_it() {
    let mut site = site_with([pod("web")]).await;
    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    site.start_agent();
    site.throughout("not activated", A_WHILE, |s| !s.is_active("web")).await;
    site.power_on().unwrap();
    site.until("it comes back", |s| s.twin_runs("web")).await;
    site.api.go(Mode::Up).await;
    site.until("and is handed back", |s| is_home(s, "web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_runtime_without_events_is_asked_again_and_again() {
    let mut site = Site::new().await.unwrap();
    site.runtime.mood(|mood| mood.no_events = true);
    site.add(pod("gateway").on_port(8443));
    site.start_agent();
    site.until("it is saved", |s| s.is_saved("gateway")).await;
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("it comes back", |s| s.twin_runs("gateway")).await;
    site.api.go(Mode::Up).await;
    site.until("and is handed back", |s| is_home(s, "gateway")).await;
    site.assert_no_unexpected();
}
