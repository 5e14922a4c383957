//! Static pods as the kubelet reads them: which files, which names and UIDs, and which pods it refuses.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A pod of the manifest directory, or why the kubelet will not have it.
pub type StaticPod = Result<Value, String>;

/// Every file of the directory but dotfiles, whatever its extension, not those of subdirectories; by file name.
pub fn read_all(dir: &Path, node: &str) -> Vec<(String, StaticPod)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut pods = Vec::new();
    for entry in entries {
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with('.') || !entry.path().is_file() {
            continue;
        }
        // A file may go between listing and reading.
        if let Ok(text) = std::fs::read_to_string(entry.path()) {
            pods.push((file, static_pod(&text, &entry.path(), node)));
        }
    }
    pods.sort_by(|a, b| a.0.cmp(&b.0));
    pods
}

fn static_pod(text: &str, path: &Path, node: &str) -> StaticPod {
    let mut pod: Value = serde_yaml::from_str(text).map_err(|e| format!("not a manifest: {e}"))?;
    if pod["kind"] != "Pod" || pod["apiVersion"] != "v1" {
        return Err("not a v1 Pod".to_owned());
    }
    if let Some(what) = api_reference(&pod["spec"]) {
        return Err(format!("static pods may not reference {what}"));
    }
    let name = pod["metadata"]["name"].as_str().ok_or("no name")?.to_owned();
    if pod["metadata"]["uid"].as_str().is_none_or(str::is_empty) {
        // Any change of content or path is another pod.
        let hash = Sha256::digest(format!("{pod}host:{node}file:{}", path.display()));
        let uid = hash.iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        pod["metadata"]["uid"] = uid.into();
    }
    pod["metadata"]["name"] = format!("{name}-{}", node.to_lowercase()).into();
    if pod["metadata"]["namespace"].as_str().is_none_or(str::is_empty) {
        pod["metadata"]["namespace"] = "default".into();
    }
    Ok(pod)
}

/// What the kubelet's own rule, `HasAPIObjectReference`, finds first.
fn api_reference(spec: &Value) -> Option<&'static str> {
    let set = |v: &Value| !v.is_null() && v != "" && v.as_array().is_none_or(|a| !a.is_empty());
    if set(&spec["serviceAccountName"]) || set(&spec["serviceAccount"]) {
        return Some("serviceaccounts");
    }
    if set(&spec["imagePullSecrets"]) {
        return Some("secrets");
    }
    if set(&spec["resourceClaims"]) {
        return Some("resourceclaims");
    }
    for container in containers(spec) {
        for env in list(&container["env"]) {
            if set(&env["valueFrom"]["secretKeyRef"]) {
                return Some("secrets");
            }
            if set(&env["valueFrom"]["configMapKeyRef"]) {
                return Some("configmaps");
            }
        }
        for from in list(&container["envFrom"]) {
            if set(&from["secretRef"]) || set(&from["configMapRef"]) {
                return Some("secrets or configmaps");
            }
        }
    }
    list(&spec["volumes"]).find_map(volume_reference)
}

fn volume_reference(volume: &Value) -> Option<&'static str> {
    const FORBIDDEN: [&str; 7] =
        ["configMap", "secret", "csi", "glusterfs", "persistentVolumeClaim", "ephemeral", "azureFile"];
    const ALLOWED: [&str; 7] = ["hostPath", "emptyDir", "downwardAPI", "image", "nfs", "iscsi", "projected"];
    let kinds = volume.as_object()?.keys().filter(|key| *key != "name");
    for kind in kinds {
        if let Some(forbidden) = FORBIDDEN.iter().find(|f| *f == kind) {
            return Some(forbidden);
        }
        if !ALLOWED.contains(&kind.as_str()) {
            return Some("an unknown kind of volume");
        }
    }
    let only_downward = |s: &Value| s.as_object().is_some_and(|s| s.keys().all(|key| key == "downwardAPI"));
    (!list(&volume["projected"]["sources"]).all(only_downward)).then_some("projected API objects")
}

/// Main containers, init containers, and those for debugging.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|kind| list(&spec[kind]))
}

/// What the kubelet keeps running: main containers and sidecars.
pub fn lasting(spec: &Value) -> impl Iterator<Item = &Value> {
    let sidecars = list(&spec["initContainers"]).filter(|c| c["restartPolicy"] == "Always");
    sidecars.chain(list(&spec["containers"]))
}

/// The elements of an array, none of anything else.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A string, empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `namespace/name`.
pub fn full_name(pod: &Value) -> String {
    format!("{}/{}", text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]))
}

/// Ports that the kubelet's admission looks at. Under hostNetwork every port is defaulted to a hostPort.
pub fn host_ports(pod: &Value) -> Vec<u64> {
    let on_host = pod["spec"]["hostNetwork"] == true;
    let ports = lasting(&pod["spec"]).flat_map(|c| list(&c["ports"]));
    ports.filter_map(|p| p["hostPort"].as_u64().or(p["containerPort"].as_u64().filter(|_| on_host))).collect()
}

/// Ports of the node that a container's process binds: under hostNetwork its `ports`, and, since a checkpoint has none,
/// what `--port=N` among its arguments says.
pub fn bound_ports(pod: &Value, container: &Value) -> Vec<u64> {
    if pod["spec"]["hostNetwork"] != true {
        return Vec::new();
    }
    let declared = list(&container["ports"]).filter_map(|p| p["containerPort"].as_u64());
    let arguments = list(&container["command"]).chain(list(&container["args"]));
    let named = arguments.filter_map(|a| a.as_str()?.strip_prefix("--port=")?.parse().ok());
    declared.chain(named).collect()
}

/// Directories of the node that must exist before a container starts: hostPath volumes of type Directory.
pub fn needed_directories(pod: &Value) -> impl Iterator<Item = &str> {
    let paths = list(&pod["spec"]["volumes"]).map(|v| &v["hostPath"]).filter(|h| h["type"] == "Directory");
    paths.map(|h| text(&h["path"]))
}
