//! What an API server makes of a pod before it stores it, as far as a checkpoint shows it: fields that it leaves out, fills
//! in or copies. What only a cluster knows (webhooks, limit ranges, what a ServiceAccount says) is not done here.

use serde_json::{Value, json};

use crate::pod::schema::prune::prune;

/// Where the kubelet's credentials for a pod are mounted; a constant of the API.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// An annotation of before 1.30, with the container's name behind it.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// A pod as the API server would return it; one with a UID has been there already. `notes` gets a line for each field
/// that was left out.
pub(super) fn admit(pod: &mut Value, namespace: &str, node: &str, notes: &mut Vec<String>) {
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    if !pod["metadata"]["namespace"].is_string() {
        pod["metadata"]["namespace"] = json!(namespace);
    }
    if !pod["spec"].is_object() {
        return;
    }
    let admitted = pod["metadata"]["uid"].is_string();
    if !admitted {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        notes.extend(prune(&mut pod["spec"]).into_iter().map(|path| {
            format!(
                "{name}: {path} is no field of Kubernetes 1.36, whose API server leaves it out (kubectl refuses it); left \
                 out. An API server that knows it keeps it, and then this version cannot keep the pod"
            )
        }));
    }
    copy_apparmor(pod);
    let Some(spec) = pod["spec"].as_object_mut() else { return };
    if let Some(modes) = spec.get_mut("volumes") {
        octal_modes(modes);
    }
    spec.insert("nodeName".to_owned(), json!(node));
    if !spec.get("serviceAccountName").is_some_and(Value::is_string) {
        let account = spec.get("serviceAccount").cloned().unwrap_or(json!("default"));
        spec.insert("serviceAccountName".to_owned(), account);
    }
    if !admitted {
        pod["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
        if pod["spec"]["automountServiceAccountToken"] != false {
            mount_token(&mut pod["spec"]);
        }
    }
}

/// From the annotation into the field, where that is not set and the pod's own is another (KEP-24, `applyAppArmorVersionSkew`
/// in kubernetes `pkg/registry/core/pod/strategy.go`).
fn copy_apparmor(pod: &mut Value) {
    let annotations = pod["metadata"]["annotations"].clone();
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    for field in ["initContainers", "containers"] {
        for container in pod["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default();
            let profile = annotations[format!("{APPARMOR}{name}").as_str()].as_str().and_then(apparmor);
            let context = &container["securityContext"];
            let (free, unset) = (context.is_object() || context.is_null(), context["appArmorProfile"].is_null());
            if let Some(profile) = profile
                && container.is_object()
                && free
                && unset
                && profile != of_pod
            {
                container["securityContext"]["appArmorProfile"] = profile;
            }
        }
    }
}

/// The field for an annotation; none where it is not valid.
fn apparmor(annotation: &str) -> Option<Value> {
    match annotation {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        _ => {
            let profile = annotation.strip_prefix("localhost/").filter(|p| !p.is_empty() && p.trim() == *p)?;
            Some(json!({"type": "Localhost", "localhostProfile": profile}))
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

pub(super) fn push(object: &mut Value, field: &str, item: Value) {
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
