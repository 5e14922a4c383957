//! Objects that tests speak of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::FakeApi;

/// A Ready, annotated pod of that node, of no owner.
pub fn parent(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": format!("uid-of-{name}"),
            "annotations": {"checkpointer.alpha.coreos.com/checkpoint": "true"},
        },
        "spec": {
            "nodeName": node,
            "restartPolicy": "Always",
            "containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// The same object with another value at a JSON pointer's place, whose parent must exist.
pub fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
    let key = key.replace("~1", "/").replace("~0", "~");
    object.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"))[key] = value;
    object
}

impl FakeApi {
    /// A Secret with these keys.
    pub fn add_secret(&self, namespace: &str, name: &str, data: &[(&str, &str)]) -> &Self {
        let data: Map<String, Value> = data.iter().map(|(k, v)| ((*k).to_owned(), json!(STANDARD.encode(v)))).collect();
        let metadata = json!({"namespace": namespace, "name": name});
        let secret = json!({"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data});
        self.add(&format!("/api/v1/namespaces/{namespace}/secrets/{name}"), secret)
    }

    /// A ConfigMap with these keys.
    pub fn add_config_map(&self, namespace: &str, name: &str, data: &[(&str, &str)]) -> &Self {
        let data: Map<String, Value> = data.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let metadata = json!({"namespace": namespace, "name": name});
        let map = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data});
        self.add(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}"), map)
    }

    /// A Node with these labels.
    pub fn add_node(&self, name: &str, labels: &Value) -> &Self {
        let metadata = json!({"name": name, "uid": format!("uid-of-{name}"), "labels": labels});
        let node = json!({"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": {}});
        self.add(&format!("/api/v1/nodes/{name}"), node)
    }

    /// A DaemonSet whose pods have this spec.
    pub fn add_daemonset(&self, namespace: &str, name: &str, pod_spec: &Value) -> &Self {
        let metadata = json!({"namespace": namespace, "name": name});
        let spec = json!({"template": {"spec": pod_spec}});
        let set = json!({"kind": "DaemonSet", "apiVersion": "apps/v1", "metadata": metadata, "spec": spec});
        self.add(&format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"), set)
    }
}
