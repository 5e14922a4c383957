//! The real agent against an API server, a kubelet and a container runtime in this process: one behaviour a test. Every
//! test ends by making sure that nobody was asked for anything that the agent has no business with.

mod assets;
mod files;
mod hand_back;
mod itself;
mod kills;
mod outage;
mod removal;
mod runtime;
mod saving;

use std::time::Duration;

use crate::support::pods::PodSpec;
use crate::support::site::Site;
use pod_checkpointer::pod::report::Phase;

/// Long enough for what must not happen to happen, several times over.
const A_WHILE: Duration = Duration::from_millis(700);

/// A node on which these pods run, saved by an agent that runs.
async fn site_with(pods: impl IntoIterator<Item = PodSpec>) -> Site {
    let mut site = Site::new().await.unwrap();
    let names: Vec<String> = pods.into_iter().map(|pod| add(&site, pod)).collect();
    site.start_agent();
    site.until("all are saved", |s| names.iter().all(|name| s.is_saved(name))).await;
    site
}

fn add(site: &Site, pod: PodSpec) -> String {
    let object = pod.object();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    site.api.add_pod(object);
    name
}

fn phase(site: &Site, name: &str) -> Option<Phase> {
    site.status_of(name).map(|pod| pod.report.phase)
}

fn reasons(site: &Site, name: &str) -> String {
    site.status_of(name).map(|pod| pod.report.reasons.join("; ")).unwrap_or_default()
}

fn restorable(site: &Site, name: &str) -> bool {
    site.status_of(name).is_some_and(|pod| pod.report.restorable)
}

/// The parent runs alone, and its checkpoint waits for the next time.
fn is_home(site: &Site, name: &str) -> bool {
    site.parent_runs(name)
        && !site.twin_runs(name)
        && !site.is_active(name)
        && phase(site, name) == Some(Phase::Standby)
}
