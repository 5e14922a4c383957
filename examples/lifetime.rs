//! `cargo run --example lifetime`: everything that the agent ever does to its disk, in a few seconds: a checkpoint is
//! saved, refreshed, saved anew, activated after a power cut, taken away, retired and removed. For
//! `tests/e2e/scenarios/fsync_order.py`, which watches the system calls; prints the directory first.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests use the rest")]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use support::api::Mode;
use support::pods::{NAMESPACE, pod};
use support::site::Site;

/// Being traced, every system call takes many times as long.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match live().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn live() -> Result<(), String> {
    let mut site =
        Site::with(|timings| timings.refresh = Duration::from_millis(500)).await.map_err(|e| e.to_string())?;
    println!("{}", site.etc("").display());
    site.api.add_secret(NAMESPACE, "tls", &[("tls.key", "1"), ("tls.crt", "1"), ("old", "1")]);
    site.api.add_config_map(NAMESPACE, "settings", &[("valves.conf", "open = 3\n")]);
    site.add(pod("web").on_port(8443).secret("tls").config_map("settings"));
    site.add(pod("all").projected("tls", "settings"));
    site.start_agent();
    see(&site, "saved", |s| s.is_saved("web") && s.is_saved("all")).await?;

    site.api.add_secret(NAMESPACE, "tls", &[("tls.key", "2"), ("tls.crt", "2")]);
    let old = site.etc(&format!("checkpoint-secrets/{NAMESPACE}/web/tls/old"));
    see(&site, "refreshed", |_| !old.exists()).await?;

    site.api.edit_pod(NAMESPACE, "web", |pod| {
        pod["metadata"]["annotations"]["checkpointer.alpha.coreos.com/max-offline"] = json!("1h");
    });
    see(&site, "saved anew", |s| s.etc(&format!("inactive-manifests/{NAMESPACE}_web.yaml.prev")).exists()).await?;
    see(&site, "the last read marked", |s| s.etc("checkpoint-last-api-read").exists()).await?;

    site.api.go(Mode::Down).await;
    site.reboot().map_err(|e| e.to_string())?;
    see(&site, "activated", |s| s.twin_runs("web") && s.twin_runs("all")).await?;

    site.api.go(Mode::Up).await;
    let home = |s: &Site, name: &str| s.parent_runs(name) && !s.is_active(name);
    see(&site, "taken away", |s| home(s, "web") && home(s, "all")).await?;

    for name in ["web", "all"] {
        site.api.delete_pod(NAMESPACE, name);
    }
    see(&site, "retired and removed", |s| s.is_removed("web") && s.is_removed("all")).await?;
    // The pass that removed them has ended when it is told.
    see(&site, "told", |s| s.status().pods.is_empty()).await?;
    site.assert_no_unexpected();
    Ok(())
}

async fn see(site: &Site, what: &str, so: impl Fn(&Site) -> bool) -> Result<(), String> {
    site.wait(what, PATIENCE, so).await?;
    println!("{what}");
    Ok(())
}
