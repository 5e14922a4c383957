//! What is to be checkpointed: the pod as the API server has it, and which of its containers run. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A pod, as far as checkpoints go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTarget {
    /// `metadata.uid`
    pub uid: String,
    /// Where it is bound; none while it is not scheduled.
    pub node: Option<String>,
    containers: Vec<Container>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Container {
    name: String,
    /// Is it one that "all" means?
    lasting: bool,
    /// The runtime's id, while it runs.
    running: Option<String>,
    /// What the kubelet says instead.
    otherwise: String,
}

/// A container that a checkpoint can be taken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningContainer {
    /// Its name in the pod.
    pub name: String,
    /// The runtime's identifier, without the runtime's name before it.
    pub id: String,
}

/// Why there is nothing to checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The object is not what an API server would send.
    #[error("the API server's answer is not a pod: {0} is missing")]
    Garbled(&'static str),
    /// The pod has no such container.
    #[error("the pod has no container {name:?}; it has {has}")]
    NoContainer {
        /// The name that was asked for.
        name: String,
        /// Names of those that the pod has.
        has: String,
    },
    /// A container that does not run has no state to be saved.
    #[error("container {name:?} does not run ({state}); a checkpoint can only be taken of one that does")]
    NotRunning {
        /// Name of the container.
        name: String,
        /// What the kubelet says of it.
        state: String,
    },
}

impl PodTarget {
    /// Reads the object that the API server has of it.
    pub fn of(pod: &Value) -> Result<Self, Unfit> {
        let uid = pod["metadata"]["uid"].as_str().ok_or(Unfit::Garbled("metadata.uid"))?.to_owned();
        let node = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()).map(str::to_owned);
        let mut containers = Vec::new();
        for (list, statuses) in [
            ("containers", "containerStatuses"),
            ("initContainers", "initContainerStatuses"),
            ("ephemeralContainers", "ephemeralContainerStatuses"),
        ] {
            for container in pod["spec"][list].as_array().into_iter().flatten() {
                let name = container["name"].as_str().ok_or(Unfit::Garbled("a container's name"))?;
                let sidecar = list == "initContainers" && container["restartPolicy"] == "Always";
                let status = pod["status"][statuses].as_array().into_iter().flatten().find(|s| s["name"] == name);
                containers.push(read(name, list == "containers" || sidecar, status));
            }
        }
        if containers.is_empty() { Err(Unfit::Garbled("spec.containers")) } else { Ok(Self { uid, node, containers }) }
    }

    /// The one that was asked for, or all that are meant to last: init containers that end do not.
    pub fn select(&self, wanted: Option<&str>) -> Result<Vec<RunningContainer>, Unfit> {
        let Some(name) = wanted else {
            return self.containers.iter().filter(|c| c.lasting).map(Container::running).collect();
        };
        if let Some(container) = self.containers.iter().find(|c| c.name == name) {
            return Ok(vec![container.running()?]);
        }
        let has = self.containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        Err(Unfit::NoContainer { name: name.to_owned(), has })
    }
}

impl Container {
    fn running(&self) -> Result<RunningContainer, Unfit> {
        match &self.running {
            Some(id) => Ok(RunningContainer { name: self.name.clone(), id: id.clone() }),
            None => Err(Unfit::NotRunning { name: self.name.clone(), state: self.otherwise.clone() }),
        }
    }
}

fn read(name: &str, lasting: bool, status: Option<&Value>) -> Container {
    let empty = Value::Null;
    let state = status.map_or(&empty, |status| &status["state"]);
    let runs = state["running"].is_object();
    let id = status.and_then(|s| s["containerID"].as_str()).map(|id| id.rsplit('/').next().unwrap_or(id).to_owned());
    let said = state.as_object().and_then(|state| state.iter().find(|(_, detail)| detail.is_object()));
    let otherwise = match said {
        Some((kind, detail)) => match detail["reason"].as_str() {
            Some(reason) => format!("{kind}: {reason}"),
            None => kind.clone(),
        },
        None => "its kubelet has not reported it".to_owned(),
    };
    Container { name: name.to_owned(), lasting, running: if runs { id } else { None }, otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        let runs = |name: &str| json!({"name": name, "containerID": format!("containerd://id-of-{name}"), "state": {"running": {}}});
        json!({
            "metadata": {"uid": "u"},
            "spec": {
                "nodeName": "n1",
                "containers": [{"name": "a"}, {"name": "b"}],
                "initContainers": [{"name": "once"}, {"name": "side", "restartPolicy": "Always"}],
            },
            "status": {
                "containerStatuses": [runs("a"), runs("b")],
                "initContainerStatuses": [{"name": "once", "state": {"terminated": {"reason": "Completed"}}}, runs("side")],
            },
        })
    }

    fn names(found: Vec<RunningContainer>) -> Vec<String> {
        found.into_iter().map(|running| running.name).collect()
    }

    #[test]
    fn all_are_those_that_last() {
        let pod_target = PodTarget::of(&pod()).unwrap();
        assert_eq!((pod_target.uid.as_str(), pod_target.node.as_deref()), ("u", Some("n1")));
        assert_eq!(names(pod_target.select(None).unwrap()), ["a", "b", "side"]);
    }

    #[test]
    fn one_by_name_has_the_runtimes_identifier() {
        let found = PodTarget::of(&pod()).unwrap().select(Some("b")).unwrap();
        assert_eq!(found, [RunningContainer { name: "b".to_owned(), id: "id-of-b".to_owned() }]);
    }

    #[test]
    fn one_that_does_not_run_is_named_with_its_state() {
        let why = PodTarget::of(&pod()).unwrap().select(Some("once")).unwrap_err();
        assert!(why.to_string().contains("terminated: Completed"), "{why}");
        let mut waits = pod();
        waits["status"]["containerStatuses"][1]["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert!(
            matches!(PodTarget::of(&waits).unwrap().select(None), Err(Unfit::NotRunning { name, .. }) if name == "b")
        );
        assert!(PodTarget::of(&waits).unwrap().select(Some("a")).is_ok());
        waits["status"] = Value::Null;
        let why = PodTarget::of(&waits).unwrap().select(None).unwrap_err();
        assert!(why.to_string().contains("not reported"), "{why}");
    }

    #[test]
    fn one_that_is_not_there_is_told_from_those_that_are() {
        let why = PodTarget::of(&pod()).unwrap().select(Some("c")).unwrap_err();
        assert!(why.to_string().contains("it has a, b, once, side"), "{why}");
    }

    #[test]
    fn what_is_no_pod_is_no_subject() {
        assert_eq!(PodTarget::of(&json!({})), Err(Unfit::Garbled("metadata.uid")));
        assert_eq!(PodTarget::of(&json!({"metadata": {"uid": "u"}})), Err(Unfit::Garbled("spec.containers")));
    }

    #[test]
    fn a_pod_that_is_not_scheduled_is_on_no_node() {
        let mut waits = pod();
        waits["spec"]["nodeName"] = json!("");
        assert_eq!(PodTarget::of(&waits).unwrap().node, None);
    }
}
