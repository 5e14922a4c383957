//! From what people keep in files to pods as the API server would return them.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::pod::annotation::{CHECKPOINT, CHECKPOINT_OF, CONFIG_SOURCE};
use crate::pod::parent::BadPod;

/// Where the kubelet's credentials for a pod are mounted; a constant of the API.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Input of which nothing can be rendered.
#[derive(Debug, thiserror::Error)]
pub enum BadInput {
    /// It does not parse.
    #[error("this is neither YAML nor JSON: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// Nothing in it has pods.
    #[error("there is no Pod, DaemonSet, Deployment, ReplicaSet, StatefulSet or List of them in it")]
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
                admit(&mut pod, namespace, node);
                annotate(&mut pod, &mut notes);
                pods.push(pod);
            }
            None => notes.push(format!("{kind} has no pods; left out")),
        }
    }
    if pods.is_empty() { Err(BadInput::NoPods) } else { Ok((pods, notes)) }
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
        "DaemonSet" | "ReplicaSet" => (json!({"kind": kind, "name": name}), "-xxxxx"),
        "Deployment" => (json!({"kind": "ReplicaSet", "name": format!("{name}-xxxxxxxxxx")}), "-xxxxxxxxxx-xxxxx"),
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
    if kind == "Deployment" {
        pod["metadata"]["labels"]["pod-template-hash"] = json!("xxxxxxxxxx");
    }
    if kind == "StatefulSet" {
        pod["spec"]["hostname"] = json!(pod_name);
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

/// What the API server adds to a pod that has not been there yet, as far as a checkpoint shows it.
fn admit(pod: &mut Value, namespace: &str, node: &str) {
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    if !pod["metadata"]["namespace"].is_string() {
        pod["metadata"]["namespace"] = json!(namespace);
    }
    let Some(spec) = pod["spec"].as_object_mut() else { return };
    if let Some(modes) = spec.get_mut("volumes") {
        octal_modes(modes);
    }
    spec.insert("nodeName".to_owned(), json!(node));
    if !spec.get("serviceAccountName").is_some_and(Value::is_string) {
        let account = spec.get("serviceAccount").cloned().unwrap_or(json!("default"));
        spec.insert("serviceAccountName".to_owned(), account);
    }
    let admitted = pod["metadata"]["uid"].is_string();
    if !admitted {
        pod["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
        if pod["spec"]["automountServiceAccountToken"] != false {
            mount_token(&mut pod["spec"]);
        }
    }
}

/// The volume with the pod's credentials, for each container that has none there.
fn mount_token(spec: &mut Value) {
    let name = "kube-api-access-xxxxx";
    let mut needed = false;
    for field in ["initContainers", "containers"] {
        for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let mut mounts = container["volumeMounts"].as_array().into_iter().flatten();
            if container.is_object() && !mounts.any(|mount| mount["mountPath"] == TOKEN_MOUNT) {
                push(container, "volumeMounts", json!({"name": name, "mountPath": TOKEN_MOUNT, "readOnly": true}));
                needed = true;
            }
        }
    }
    if needed {
        let sources = json!([
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]);
        push(spec, "volumes", json!({"name": name, "projected": {"defaultMode": 0o644, "sources": sources}}));
    }
}

fn push(object: &mut Value, field: &str, item: Value) {
    match object[field].as_array_mut() {
        Some(list) => list.push(item),
        None => object[field] = json!([item]),
    }
}

/// Kubernetes reads `0644` in YAML as an octal number, as YAML 1.1 has it; YAML 1.2 does not.
fn octal_modes(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let octal = inner.as_str().and_then(|text| text.strip_prefix('0'));
                match octal.and_then(|digits| u32::from_str_radix(digits, 8).ok()) {
                    Some(mode) if key == "mode" || key == "defaultMode" => *inner = json!(mode),
                    _ => octal_modes(inner),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(octal_modes),
        _ => {}
    }
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
