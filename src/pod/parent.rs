//! What one pod object from the API server says, read from its raw JSON: who it is, how it stands.

mod digest;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::duration;
use crate::pod::runtime::ImageRefs;

use super::annotation;
use super::key::{Lineage, PodKey, Uid};
use crate::dns_name::InvalidName;

/// How a parent stands in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is meant to run here.
    Here {
        /// Its `Ready` condition is true.
        ready: bool,
    },
    /// A bare or DaemonSet pod that the kubelet refused; its object is still there and blocks its replacement.
    Rejected {
        /// `status.reason`.
        reason: String,
    },
    /// Ended by the node's own orderly shutdown (KEP-2000); its object is still there. Its owner did not want it away.
    ShutDown,
    /// It will not run here again.
    Gone {
        /// Why, for the log.
        why: String,
    },
}

/// An annotated pod of this node, as the API server told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// Namespace and name.
    pub key: PodKey,
    /// `metadata.uid`.
    pub uid: Uid,
    /// What it replaces and is replaced by.
    pub lineage: Lineage,
    /// What the API says of its state.
    pub standing: Standing,
    /// SHA-256 of everything in the object that a checkpoint is made of (metadata that matters and spec).
    pub digest: String,
    /// The object itself, without `managedFields` and `status`.
    pub object: Arc<Value>,
}

/// A pod object that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadPod {
    /// A required string is missing.
    #[error("pod object has no {0}")]
    Missing(&'static str),
    /// A name that no API server would give.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl Parent {
    /// Images of all its containers, and those that it mounts as volumes.
    pub fn images(&self) -> ImageRefs {
        let references = |list: &str, image: &str| {
            let entries = self.object["spec"][list].as_array().into_iter().flatten();
            entries.filter_map(|entry| entry.pointer(image)?.as_str()).map(str::to_owned).collect::<Vec<_>>()
        };
        let all = [("initContainers", "/image"), ("containers", "/image"), ("volumes", "/image/reference")];
        all.into_iter().flat_map(|(list, image)| references(list, image)).collect()
    }

    /// Names of its main containers (not init containers, not sidecars).
    pub fn main_containers(&self) -> Vec<String> {
        let containers = self.object.pointer("/spec/containers").and_then(Value::as_array);
        let name = |c: &Value| c.get("name").and_then(Value::as_str).map(str::to_owned);
        containers.map(|list| list.iter().filter_map(name).collect()).unwrap_or_default()
    }

    /// Reads a pod object of the API server; `node` is this node's name. `None`: not a parent (not annotated, static
    /// or the mirror of a static pod, itself a checkpoint).
    pub fn from_api(pod: &Value, node: &str) -> Result<Option<Self>, BadPod> {
        Self::from_api_keeping(pod, node, &[])
    }

    /// [`Self::from_api`] where annotations with these prefixes enter the checkpoint (`--keep-annotation`), so that
    /// the digest changes with them.
    pub fn from_api_keeping(pod: &Value, node: &str, keep_annotations: &[String]) -> Result<Option<Self>, BadPod> {
        if !annotation::is_parent(pod) {
            return Ok(None);
        }
        let metadata = |field: &'static str, what| match pod["metadata"][field].as_str() {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(BadPod::Missing(what)),
        };
        let key = PodKey::new(metadata("namespace", "metadata.namespace")?, metadata("name", "metadata.name")?)?;
        let uid = Uid::from(metadata("uid", "metadata.uid")?);
        let spec = pod.get("spec").and_then(Value::as_object).ok_or(BadPod::Missing("spec"))?;
        if !spec.get("containers").is_some_and(Value::is_array) {
            return Err(BadPod::Missing("spec.containers"));
        }
        let lineage = lineage(pod, &key);
        let standing = standing(pod, node, &lineage);
        let digest = digest::of(pod, &lineage.to_string(), keep_annotations);
        Ok(Some(Self { key, uid, lineage, standing, digest, object: Arc::new(trimmed(pod)) }))
    }

    /// The parent's `max-offline` annotation.
    ///
    /// # Errors
    /// A value that is not a duration, as a sentence: whoever wrote it wanted a limit, so none must be guessed.
    pub fn max_offline(&self) -> Result<Option<Duration>, String> {
        let Some(text) = annotation::of(&self.object, annotation::MAX_OFFLINE) else { return Ok(None) };
        duration::parse(text).map(Some).map_err(|why| format!("annotation {}: {why}", annotation::MAX_OFFLINE))
    }
}

fn lineage(pod: &Value, key: &PodKey) -> Lineage {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
    let (kind, name) = match controller.and_then(|owner| Some((owner["kind"].as_str()?, owner["name"].as_str()?))) {
        // They stay over all rollouts, so their names are the users' own to the last letter.
        Some(owner @ ("DaemonSet" | "StatefulSet", _)) => owner,
        Some((kind, name)) => (kind, without_hash(&pod["metadata"]["labels"], name)),
        None => ("Pod", key.name()),
    };
    Lineage { namespace: key.namespace().to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}

/// The name of an owner that is made anew for each version of its pods, without what tells the versions apart: the value
/// of a label `…-hash` of the pod (`pod-template-hash` of a Deployment, `rollouts-pod-template-hash` of an Argo Rollout), or
/// the number behind the name of an OpenShift `DeploymentConfig`.
fn without_hash<'a>(labels: &Value, name: &'a str) -> &'a str {
    let before = |hash: &str| name.strip_suffix(hash)?.strip_suffix('-').filter(|stem| !stem.is_empty());
    let all = labels.as_object().into_iter().flatten();
    let hashes = all.filter(|(key, _)| key.ends_with("-hash")).filter_map(|(_, value)| value.as_str());
    let numbered = labels["deploymentconfig"].as_str().filter(|stem| {
        let number = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
    });
    let stem = hashes.filter(|hash| !hash.is_empty()).find_map(before);
    stem.or(numbered.and_then(|stem| name.get(..stem.len()))).unwrap_or(name)
}

fn standing(pod: &Value, node: &str, lineage: &Lineage) -> Standing {
    let gone = |why: String| Standing::Gone { why };
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return gone("being deleted".to_owned());
    }
    match pod["spec"]["nodeName"].as_str() {
        Some(name) if name == node => {}
        Some(name) if !name.is_empty() => return gone(format!("bound to node {name}")),
        _ => return gone("not bound to a node".to_owned()),
    }
    let status = &pod["status"];
    let reason = status["reason"].as_str().unwrap_or_default();
    match status["phase"].as_str() {
        Some("Succeeded") => gone("succeeded".to_owned()),
        Some("Failed") if matches!(lineage.kind.as_str(), "Pod" | "DaemonSet") && is_rejection(reason) => {
            Standing::Rejected { reason: reason.to_owned() }
        }
        Some("Failed") if is_shutdown(status, reason) => Standing::ShutDown,
        Some("Failed") if reason.is_empty() => gone("failed".to_owned()),
        Some("Failed") => gone(format!("failed: {reason}")),
        _ => Standing::Here { ready: is_ready(status) },
    }
}

/// Reasons with which the kubelet refuses or throws out a pod that another one, a twin perhaps, has no room beside.
fn is_rejection(reason: &str) -> bool {
    matches!(reason, "NodePorts" | "Preempting" | "Evicted" | "UnexpectedAdmissionError") || reason.starts_with("OutOf")
}

/// The marks of a node's graceful shutdown: reason `Terminated` (kubelets from 1.22 on) or `NodeShutdown` (before, and for
/// pods refused while it lasts); a later kubelet may leave only the condition (`DisruptionTarget` with reason
/// `TerminationByKubelet`), which evictions and preemptions carry too.
fn is_shutdown(status: &Value, reason: &str) -> bool {
    let by_kubelet = || {
        let conditions = status["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "DisruptionTarget" && c["status"] == "True" && c["reason"] == "TerminationByKubelet")
    };
    match reason {
        "Terminated" | "NodeShutdown" => true,
        "Evicted" | "Preempting" => false,
        _ => by_kubelet(),
    }
}

fn is_ready(status: &Value) -> bool {
    let conditions = status["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn trimmed(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(object) = pod.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    pod
}
