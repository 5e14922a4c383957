//! The story itself, stage by stage.

use std::time::Duration;

use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, pod};
use crate::support::site::Site;
use crate::teller::{Teller, disk, manifests, observed, say, shown};

/// Pods that can be saved.
const SAVED: [&str; 3] = ["gateway", "control", "telemetry"];
/// The agent's own pod, of its own DaemonSet.
const AGENT: &str = "pod-checkpointer-x7k2m";
const PASSWORD: &str = "correct horse battery staple";

pub async fn tell() -> Result<(), String> {
    let mut teller = Teller::new();
    let mut site = Site::new().await.map_err(|why| format!("cannot set the scene: {why}"))?;
    println!(
        "A node, its kubelet, its runtime and its API server; all delays are 20 to 50 times shorter than real ones."
    );
    save(&mut teller, &site).await?;
    lose_the_api(&mut teller, &site).await?;
    cut_the_power(&mut teller, &mut site)?;
    let twins = come_back_alone(&mut teller, &mut site).await?;
    let parents = give_back(&mut teller, &site).await?;
    remove(&mut teller, &site).await?;
    site.assert_no_unexpected();
    println!(
        "\nFrom power-on to the last twin: {}. From the API server's return to all parents running: {}.",
        shown(twins),
        shown(parents)
    );
    Ok(())
}

async fn save(teller: &mut Teller, site: &Site) -> Result<(), String> {
    teller.stage("Four annotated pods run, and the agent saves what can be saved");
    site.api.add_secret(NAMESPACE, "gateway-tls", &[("tls.key", PASSWORD), ("tls.crt", "certificate")]);
    site.api.add_config_map(NAMESPACE, "settings", &[("valves.conf", "open = 3\n")]);
    site.add(pod("gateway").on_port(8443).secret("gateway-tls"))
        .add(pod("control").config_map("settings"))
        .add(pod("telemetry").projected("gateway-tls", "settings"))
        .add(pod("history").claim("history-data"));
    say("gateway    hostNetwork, port 8443, Secret gateway-tls");
    say("control    ConfigMap settings");
    say("telemetry  one projected volume of both and its own name");
    say("history    a PersistentVolumeClaim");
    site.install_agent(AGENT);
    teller.see(site, "three are saved", |s| SAVED.iter().all(|name| s.is_saved(name))).await?;
    teller
        .see(site, "the fourth cannot be, which is said while there is time:", |s| {
            why_not(s, "history").iter().any(|why| why.contains("history-data"))
        })
        .await?;
    for reason in why_not(site, "history") {
        say(&format!("    history: {reason}"));
    }
    let itself = |s: &Site| s.is_active(AGENT) && s.twin_runs(AGENT);
    teller.see(site, "the agent has saved itself too; its twin runs and waits for the node's lock", itself).await?;
    let key = site.etc(&format!("checkpoint-secrets/{NAMESPACE}/gateway/gateway-tls/tls.key"));
    let saved = std::fs::read(&key).map_err(|why| format!("cannot read {}: {why}", key.display()))?;
    if saved != PASSWORD.as_bytes() {
        return Err("the saved Secret is not what the API server has".to_owned());
    }
    observed("the saved Secret is the API server's, byte for byte");
    disk(site);
    Ok(())
}

fn why_not(site: &Site, name: &str) -> Vec<String> {
    site.status_of(name).filter(|pod| !pod.report.restorable).map(|pod| pod.report.reasons).unwrap_or_default()
}

async fn lose_the_api(teller: &mut Teller, site: &Site) -> Result<(), String> {
    teller.stage("The API server is gone");
    site.api.go(Mode::Down).await;
    teller.see(site, "the agent knows", |s| s.status().api.starts_with("unavailable")).await?;
    let untouched = |s: &Site| SAVED.iter().all(|name| s.parent_runs(name) && !s.is_active(name));
    teller.see_on(site, "the pods run on, so nothing is activated", untouched).await
}

fn cut_the_power(teller: &mut Teller, site: &mut Site) -> Result<(), String> {
    teller.stage("Power cut: every process of the node dies, /run is lost; the registry is out of reach too");
    site.kubelet.set_registry(false);
    site.power_cut().map_err(|why| why.to_string())?;
    if SAVED.iter().any(|name| site.parent_runs(name)) {
        return Err("a pod outlived the power cut".to_owned());
    }
    observed("nothing runs; on disk, nothing has changed");
    Ok(())
}

async fn come_back_alone(teller: &mut Teller, site: &mut Site) -> Result<Duration, String> {
    teller.stage("Power is back, the API server is not");
    site.power_on().map_err(|why| why.to_string())?;
    teller.see(site, "the kubelet starts the agent from its own checkpoint", |s| s.twin_runs(AGENT)).await?;
    for name in SAVED {
        teller.see(site, &format!("{name} runs as a static pod"), |s| s.twin_runs(name)).await?;
    }
    let took = teller.since_stage();
    if site.twin_runs("history") {
        return Err("history runs, which was never saved".to_owned());
    }
    observed("history does not run, as was said");
    manifests(site);
    Ok(took)
}

async fn give_back(teller: &mut Teller, site: &Site) -> Result<Duration, String> {
    teller.stage("The API server is back: the kubelet starts the pods again, beside their twins");
    let before = removals_of_gateway(site);
    site.api.go(Mode::Up).await;
    for name in SAVED {
        let alone = |s: &Site| s.parent_runs(name) && !s.twin_runs(name);
        teller.see(site, &format!("{name} runs again, its twin has made room"), alone).await?;
    }
    let took = teller.since_stage();
    if removals_of_gateway(site) > before {
        observed("gateway had died on the port that its twin held; the agent spared it the kubelet's back-off");
    }
    let aside = |s: &Site| SAVED.iter().all(|name| s.is_saved(name) && !s.is_active(name));
    teller.see(site, "the checkpoints are kept aside for the next time", aside).await?;
    let standby = |s: &Site| {
        let phase =
            |name| s.status_of(name).is_some_and(|p| p.report.phase == pod_checkpointer::pod::report::Phase::Standby);
        SAVED.iter().all(|name| phase(name))
    };
    teller.see(site, "the agent reports all three on standby", standby).await?;
    teller
        .see(site, "the agent's twin has given the node back to the DaemonSet's pod", |s| s.agent_leads(AGENT))
        .await?;
    manifests(site);
    Ok(took)
}

/// Sandboxes of it that the agent removed so far.
fn removals_of_gateway(site: &Site) -> usize {
    site.runtime.calls().removed.iter().filter(|pod| **pod == format!("{NAMESPACE}/gateway")).count()
}

async fn remove(teller: &mut Teller, site: &Site) -> Result<(), String> {
    teller.stage("control is deleted for good");
    site.api.delete_pod(NAMESPACE, "control");
    teller.see(site, "after the grace period nothing of it is left", |s| s.is_removed("control")).await?;
    let kept = |s: &Site| s.is_saved("gateway") && s.is_saved("telemetry");
    teller.see(site, "the others' checkpoints stay", kept).await?;
    disk(site);
    Ok(())
}
