//! What the kubelet refuses in a static pod: references to API objects. Its own rule, of Kubernetes 1.36 (feature
//! `PreventStaticPodAPIReferences`), held against a finished manifest.

use serde_json::Value;

/// Volumes that a static pod may have.
const ALLOWED: [&str; 24] = [
    "awsElasticBlockStore",
    "azureDisk",
    "cephfs",
    "cinder",
    "downwardAPI",
    "emptyDir",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
    // A volume's own name stands beside its source.
    "name",
];

/// What the kubelet would refuse this manifest for; `None` where it would take it.
pub fn has_api_object_reference(manifest: &Value) -> Option<String> {
    let spec = &manifest["spec"];
    let is_set = |value: &Value| !value.is_null();
    let filled = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    for field in ["serviceAccountName", "serviceAccount"] {
        if spec[field].as_str().is_some_and(|name| !name.is_empty()) {
            return Some(format!("spec.{field}"));
        }
    }
    for field in ["imagePullSecrets", "resourceClaims", "ephemeralContainers", "schedulingGates"] {
        if filled(&spec[field]) {
            return Some(format!("spec.{field}"));
        }
    }
    let volumes = list(&spec["volumes"]).find_map(|volume| {
        let name = volume["name"].as_str().unwrap_or_default();
        volume_reference(volume).map(|what| format!("{what} of volume {name}"))
    });
    let containers = list(&spec["initContainers"]).chain(list(&spec["containers"]));
    volumes.or_else(|| {
        containers.into_iter().find_map(|container| {
            let name = container["name"].as_str().unwrap_or_default();
            let from = list(&container["envFrom"])
                .find(|f| is_set(&f["secretRef"]) || is_set(&f["configMapRef"]))
                .map(|_| format!("envFrom of container {name}"));
            from.or_else(|| {
                list(&container["env"])
                    .find(|e| {
                        let source = &e["valueFrom"];
                        is_set(&source["secretKeyRef"]) || is_set(&source["configMapKeyRef"])
                    })
                    .map(|e| format!("variable {} of container {name}", e["name"]))
            })
        })
    })
}

fn volume_reference(volume: &Value) -> Option<String> {
    for (kind, source) in volume.as_object()? {
        if source.is_null() {
            continue;
        }
        if !ALLOWED.contains(&kind.as_str()) || mentions_secret(source) {
            return Some(kind.clone());
        }
        for projection in list(&source["sources"]) {
            let kinds = projection.as_object().into_iter().flatten().filter(|(_, p)| !p.is_null());
            if let Some((other, _)) = kinds.into_iter().find(|(kind, _)| *kind != "downwardAPI") {
                return Some(format!("projected {other}"));
            }
        }
    }
    None
}

/// Network volumes name their credentials in one of these fields.
fn mentions_secret(source: &Value) -> bool {
    ["secretRef", "secretName"].iter().any(|field| source.get(field).is_some_and(|s| !s.is_null()))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
