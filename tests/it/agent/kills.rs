//! The agent is killed again and again, at whatever it is doing; what it has to do is done in the end.

use std::time::Duration;

use super::is_home;
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, pod};
use crate::support::site::Site;

const NAMES: [&str; 3] = ["web", "gateway", "all"];

/// Starts and kills the agent a few times, each time sooner or later; then lets it run.
async fn harass(site: &mut Site, dice: &mut fastrand::Rng) {
    for _ in 0..8 {
        site.start_agent();
        tokio::time::sleep(Duration::from_micros(dice.u64(0..60_000))).await;
        site.kill_agent();
    }
    site.start_agent();
}

#[tokio::test]
async fn an_agent_killed_at_any_moment_does_in_the_end_what_it_must() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut site = Site::new().await.unwrap();
    site.api.add_secret(NAMESPACE, "tls", &[("key", "1")]).add_config_map(NAMESPACE, "settings", &[("a", "1")]);
    site.add(pod("web")).add(pod("gateway").on_port(8443).secret("tls")).add(pod("all").projected("tls", "settings"));
    let all = |so: fn(&Site, &str) -> bool| move |s: &Site| NAMES.iter().all(|name| so(s, name));
    harass(&mut site, &mut dice).await;
    site.until("all are saved", all(Site::is_saved)).await;

    site.api.go(Mode::Down).await;
    site.power_cut().unwrap();
    site.power_on().unwrap();
    harass(&mut site, &mut dice).await;
    site.until("all come back", all(Site::twin_runs)).await;

    site.api.go(Mode::Up).await;
    harass(&mut site, &mut dice).await;
    site.until("all are handed back", all(is_home)).await;

    site.api.delete_pod(NAMESPACE, "all");
    harass(&mut site, &mut dice).await;
    site.until("the deleted one goes", |s| s.is_removed("all")).await;
    assert!(site.is_saved("web") && site.is_saved("gateway"));
    site.kill_agent();
    let temporary = |line: &String| line.contains(".pod-checkpointer-");
    let tree = crate::support::tree::lines(&site.config.node.etc_dir);
    assert!(!tree.iter().any(temporary), "{tree:#?}");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn an_agent_killed_while_a_twin_makes_room_goes_on_with_that() {
    let mut site = super::site_with([pod("gateway").on_port(8443)]).await;
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("its twin runs", |s| s.twin_runs("gateway")).await;
    site.api.go(Mode::Up).await;
    site.until("the twin makes room", |s| !s.is_active("gateway")).await;
    site.start_agent();
    site.until("it is handed back", |s| is_home(s, "gateway")).await;
    site.assert_no_unexpected();
}
