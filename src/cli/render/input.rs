//! From what people keep in files to pods as the API server would return them.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::admission::{admit, push};

use crate::pod::annotation::{CHECKPOINT, CHECKPOINT_OF, CONFIG_SOURCE};
use crate::pod::parent::BadPod;

/// Input of which nothing can be rendered.
#[derive(Debug, thiserror::Error)]
pub enum BadInput {
    /// It does not parse.
    #[error("this is neither YAML nor JSON: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// Nothing in it has pods.
    #[error(
        "there is no Pod, DaemonSet, Deployment, ReplicaSet, ReplicationController, StatefulSet, Rollout, CloneSet or List of them in it"
    )]
    NoPods,
    /// A pod is not what the API server would return.
    #[error("{0}; give a complete Pod")]
    Pod(BadPod),
    /// A checkpoint or a static pod.
    #[error("it is a checkpoint or a static pod itself, of which no checkpoint is made; give its parent")]
    NoParent,
}

/// All pods of `text`, and what has to be said about them.
pub(super) fn pods(text: &str, namespace: &str, node: &str) -> Result<(Vec<Value>, Vec<String>), BadInput> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document)?;
        flatten(value, &mut objects);
    }
    let mut pods = Vec::new();
    let mut notes = Vec::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or("an object without kind").to_owned();
        match pod_of(object, &kind) {
            Some(mut pod) => {
                admit(&mut pod, namespace, node, &mut notes);
                annotate(&mut pod, &mut notes);
                pods.push(pod);
            }
            None => notes.push(format!("{kind} has no pods; left out")),
        }
    }
    if pods.is_empty() { Err(BadInput::NoPods) } else { Ok((pods, notes)) }
}

/// Labels that a controller adds to its pods. Hashes, which only it knows, are `xxxxxxxxxx`.
fn labels(kind: &str, name: &str, pod: &str) -> Vec<(&'static str, String)> {
    const HASH: &str = "xxxxxxxxxx";
    match kind {
        "Deployment" => vec![("pod-template-hash", HASH.to_owned())],
        "Rollout" => vec![("rollouts-pod-template-hash", HASH.to_owned())],
        "DaemonSet" => vec![("controller-revision-hash", HASH.to_owned()), ("pod-template-generation", "1".to_owned())],
        "StatefulSet" => vec![
            ("controller-revision-hash", format!("{name}-{HASH}")),
            ("statefulset.kubernetes.io/pod-name", pod.to_owned()),
            ("apps.kubernetes.io/pod-index", "0".to_owned()),
        ],
        _ => Vec::new(),
    }
}

fn flatten(value: Value, into: &mut Vec<Value>) {
    match value {
        Value::Null => {}
        Value::Object(mut object) if object.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = object.remove("items") {
                for item in items {
                    flatten(item, into);
                }
            }
        }
        Value::Object(mut object) => {
            // Items of a typed list (PodList) need not say what they are.
            if !object.contains_key("kind") && object.get("spec").is_some_and(|spec| spec["containers"].is_array()) {
                object.insert("kind".to_owned(), json!("Pod"));
            }
            into.push(Value::Object(object));
        }
        other => into.push(other),
    }
}

/// The pod itself, or the first one that a controller would make.
fn pod_of(object: Value, kind: &str) -> Option<Value> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let (owner, suffix) = match kind {
        "Pod" => return Some(object),
        "DaemonSet" | "ReplicaSet" | "ReplicationController" | "CloneSet" => {
            (json!({"kind": kind, "name": name}), "-xxxxx")
        }
        "Deployment" | "Rollout" => {
            (json!({"kind": "ReplicaSet", "name": format!("{name}-xxxxxxxxxx")}), "-xxxxxxxxxx-xxxxx")
        }
        "StatefulSet" => (json!({"kind": kind, "name": name}), "-0"),
        _ => return None,
    };
    let mut pod = object["spec"]["template"].clone();
    if !pod["spec"].is_object() {
        return None;
    }
    for (object, field) in [("", "metadata"), ("/metadata", "labels")] {
        let object = pod.pointer_mut(object)?;
        if !object[field].is_object() {
            object[field] = json!({});
        }
    }
    let pod_name = format!("{name}{suffix}");
    for (label, value) in labels(kind, &name, &pod_name) {
        pod["metadata"]["labels"][label] = json!(value);
    }
    if kind == "StatefulSet" {
        pod["spec"]["hostname"] = json!(pod_name);
        if let Some(service) = object["spec"]["serviceName"].as_str() {
            pod["spec"]["subdomain"] = json!(service);
        }
        for claim in object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
            let claim = &claim["metadata"]["name"];
            push(&mut pod["spec"], "volumes", json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}));
        }
    }
    pod["metadata"]["name"] = json!(pod_name);
    pod["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
    pod["metadata"]["ownerReferences"] = json!([owner]);
    pod["metadata"]["ownerReferences"][0]["controller"] = json!(true);
    Some(pod)
}

/// Renders pods that ask for nothing as if they did.
fn annotate(pod: &mut Value, notes: &mut Vec<String>) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(metadata) = pod["metadata"].as_object_mut() else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if annotations.is_null() {
        *annotations = json!({});
    }
    let is_static = annotations.get(CHECKPOINT_OF).is_some() || annotations[CONFIG_SOURCE] == "file";
    if annotations.is_object() && !is_static && annotations[CHECKPOINT] != "true" {
        annotations[CHECKPOINT] = json!("true");
        notes.push(format!("{name} has no annotation {CHECKPOINT}: \"true\", and is not kept without"));
    }
}
