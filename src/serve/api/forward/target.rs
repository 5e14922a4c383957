//! Which address a node's instance has: decided from the Node and the list of pods, and only if all of it agrees.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

/// Name of the DaemonSet, and of its pods' label `app`.
pub(super) const DAEMON_SET: &str = "container-checkpoints";

/// A PodList, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Instances {
    kind: String,
    items: Vec<Pod>,
}

#[derive(Debug, Clone, Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    controller: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<String>,
    host_network: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
}

impl Instances {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let list: Self = serde_json::from_slice(bytes).map_err(|why| format!("not a list of pods: {why}"))?;
        if list.kind == "PodList" { Ok(list) } else { Err("not a PodList".to_owned()) }
    }

    /// Our DaemonSet's pods that run on `node`, and the UID of the DaemonSet of each.
    fn running<'a>(&'a self, node: &'a str) -> impl Iterator<Item = (&'a Pod, &'a str)> {
        self.items.iter().filter_map(move |pod| {
            let owner = pod.metadata.owner_references.iter().find(|owner| owner.controller == Some(true))?;
            let ours = owner.kind == "DaemonSet" && owner.api_version == "apps/v1" && owner.name == DAEMON_SET;
            let here = pod.spec.node_name.as_deref() == Some(node) && pod.spec.host_network;
            let runs = pod.status.phase == "Running" && pod.metadata.deletion_timestamp.is_none();
            (ours && here && runs).then_some((pod, owner.uid.as_str()))
        })
    }
}

/// UID of the DaemonSet that runs on our own node.
pub(super) fn daemon_set(instances: &Instances, node: &str) -> Option<String> {
    let mut all = instances.running(node).map(|(_, uid)| uid);
    let first = all.next()?;
    all.all(|uid| uid == first).then(|| first.to_owned())
}

/// The address of the one instance on `node`, which must be the node's own, or what is wrong.
pub(super) fn address(
    node: &Value,
    instances: &Instances,
    name: &str,
    daemon_set: Option<&str>,
) -> Result<IpAddr, String> {
    if node.pointer("/metadata/name").and_then(Value::as_str) != Some(name) {
        return Err("the API server answered with another Node".to_owned());
    }
    let mut all = instances.running(name).filter(|(_, uid)| daemon_set.is_none_or(|ours| ours == *uid));
    let (pod, _) = all.next().ok_or_else(|| format!("no running pod of DaemonSet {DAEMON_SET} is there"))?;
    if all.next().is_some() {
        return Err(format!("more than one running pod of DaemonSet {DAEMON_SET} is there; try again"));
    }
    let address: Option<IpAddr> = pod.status.pod_ip.as_deref().and_then(|text| text.parse().ok());
    let address = address.ok_or("its instance has no address yet; try again")?;
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array).into_iter().flatten();
    let mut own = addresses.filter_map(|entry| entry["address"].as_str()?.parse::<IpAddr>().ok());
    if own.any(|own| own == address) {
        Ok(address)
    } else {
        Err(format!("its instance is at {address}, which is no address of that Node"))
    }
}
