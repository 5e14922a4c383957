//! Reads what the runtime lists into [`NodePods`]: pure. The kubelet writes these labels and annotations on all that it
//! makes (kubernetes `pkg/kubelet/types/labels.go`, `pkg/kubelet/kuberuntime/labels.go`); an entry without them is skipped.

use std::collections::BTreeMap;

use super::cri_proto as proto;
use crate::pod::annotation;
use crate::pod::key::{ContainerId, PodKey, SandboxId, Uid};
use crate::pod::runtime::{Container, ContainerState, NodePods, PodSource, Sandbox};

const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";
const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";

/// Puts the two lists together, oldest first, so that equal states compare equal. The lists are two moments: a container
/// whose sandbox is in the other one no longer, or not yet, is left out; an event announces either.
pub(super) fn node_pods(sandboxes: Vec<proto::PodSandbox>, containers: Vec<proto::Container>) -> NodePods {
    let mut of: BTreeMap<String, Vec<Container>> = BTreeMap::new();
    for raw in containers {
        let id = raw.pod_sandbox_id.clone();
        if let Some(container) = container(raw) {
            of.entry(id).or_default().push(container);
        }
    }
    let mut sandboxes: Vec<Sandbox> = sandboxes
        .into_iter()
        .filter_map(|raw| {
            let mut sandbox = sandbox(raw)?;
            sandbox.containers = of.remove(&sandbox.id.0).unwrap_or_default();
            sandbox.containers.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            Some(sandbox)
        })
        .collect();
    sandboxes.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    NodePods { sandboxes }
}

fn sandbox(raw: proto::PodSandbox) -> Option<Sandbox> {
    let ready = raw.state == proto::PodSandboxState::SandboxReady as i32;
    let source = match raw.annotations.get(annotation::CONFIG_SOURCE)?.as_str() {
        "api" => PodSource::Api,
        _ => PodSource::Static,
    };
    Some(Sandbox {
        pod: PodKey::new(raw.labels.get(POD_NAMESPACE)?, raw.labels.get(POD_NAME)?).ok()?,
        uid: Uid(raw.labels.get(POD_UID)?.clone()),
        source,
        annotated: raw.annotations.get(annotation::CHECKPOINT).is_some_and(|v| v == "true"),
        checkpoint_of: raw.annotations.get(annotation::CHECKPOINT_OF).cloned(),
        ready,
        created_at: raw.created_at,
        containers: Vec::new(),
        id: some_id(raw.id).map(SandboxId)?,
    })
}

fn container(raw: proto::Container) -> Option<Container> {
    let state = match proto::ContainerState::try_from(raw.state) {
        Ok(proto::ContainerState::ContainerCreated) => ContainerState::Created,
        Ok(proto::ContainerState::ContainerRunning) => ContainerState::Running,
        Ok(proto::ContainerState::ContainerExited) => ContainerState::Exited,
        Ok(proto::ContainerState::ContainerUnknown) | Err(_) => ContainerState::Unknown,
    };
    Some(Container {
        name: raw.labels.get(CONTAINER_NAME)?.clone(),
        state,
        restarts: raw.annotations.get(RESTART_COUNT).and_then(|n| n.parse().ok()).unwrap_or(0),
        created_at: raw.created_at,
        id: some_id(raw.id).map(ContainerId)?,
    })
}

fn some_id(id: String) -> Option<String> {
    (!id.is_empty()).then_some(id)
}
