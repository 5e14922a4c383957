//! Variables of a pod's containers as they were started, by the runtime's word (`ContainerStatus` with `verbose`). Only those
//! that are asked for are read: an environment can hold secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::cri::Cri;
use crate::pod::key::{ContainerId, Uid};
use crate::pod::runtime::Sandbox;
use crate::pod::service_variables::ServiceVariables;

/// Looks the variables `wanted` up in every container of a pod, of each name in the newest. A container that cannot be
/// asked about is left out.
pub async fn look_up(cri: &Cri, pod: &Uid, wanted: &BTreeSet<String>) -> ServiceVariables {
    let mut found = ServiceVariables::new();
    if wanted.is_empty() {
        return found;
    }
    let Ok(pods) = cri.list().await else { return found };
    for (name, id) in newest(pods.sandboxes.iter().filter(|sandbox| sandbox.uid == *pod)) {
        if let Ok(Some(info)) = cri.container_info(id).await
            && let Some(variables) = read(&info, wanted)
        {
            found.insert(name.to_owned(), variables);
        }
    }
    found
}

fn newest<'a>(sandboxes: impl Iterator<Item = &'a Sandbox>) -> BTreeMap<&'a str, &'a ContainerId> {
    let mut containers: Vec<_> = sandboxes.flat_map(|sandbox| &sandbox.containers).collect();
    containers.sort_by_key(|container| container.created_at);
    containers.into_iter().map(|container| (container.name.as_str(), &container.id)).collect()
}

/// containerd's `info`: what the kubelet asked for and what the runtime made of it, which has the image's variables too.
/// CRI-O's has the latter alone.
#[derive(Deserialize)]
struct Info {
    config: Option<Config>,
    #[serde(rename = "runtimeSpec")]
    runtime_spec: Option<RuntimeSpec>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    envs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct RuntimeSpec {
    process: Option<Process>,
}

#[derive(Deserialize)]
struct Process {
    #[serde(default)]
    env: Vec<String>,
}

/// `None`: it does not say.
fn read(info: &str, wanted: &BTreeSet<String>) -> Option<BTreeMap<String, String>> {
    let info: Info = serde_json::from_str(info).ok()?;
    let all: Vec<(String, String)> = match (info.config, info.runtime_spec.and_then(|spec| spec.process)) {
        (Some(config), _) => config.envs.into_iter().map(|one| (one.key, one.value)).collect(),
        (None, Some(process)) => {
            let pairs = process.env.iter().filter_map(|one| one.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
        (None, None) => return None,
    };
    Some(all.into_iter().filter(|(name, _)| wanted.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runtimes_are_read_and_only_what_is_wanted() {
        let wanted = BTreeSet::from(["DB_SERVICE_HOST".to_owned()]);
        let expected = BTreeMap::from([("DB_SERVICE_HOST".to_owned(), "10.0.0.7".to_owned())]);
        let containerd = r#"{"config": {"envs": [{"key": "PASSWORD", "value": "x"}, {"key": "DB_SERVICE_HOST", "value": "10.0.0.7"},
            {"key": "EMPTY"}]}, "runtimeSpec": {"process": {"env": ["DB_SERVICE_HOST=of-the-image"]}}}"#;
        let crio =
            r#"{"pid": 1, "runtimeSpec": {"process": {"env": ["PATH=/bin", "DB_SERVICE_HOST=10.0.0.7", "ODD"]}}}"#;
        for info in [containerd, crio] {
            assert_eq!(read(info, &wanted).as_ref(), Some(&expected), "{info}");
        }
        for silent in ["", "{}", "[]", r#"{"runtimeSpec": {}}"#] {
            assert_eq!(read(silent, &wanted), None, "{silent}");
        }
        assert_eq!(read(r#"{"config": {}}"#, &wanted), Some(BTreeMap::new()));
    }
}
