//! Pods that read like sentences: an annotated pod of a DaemonSet, and what it mounts.

use serde_json::{Value, json};

use super::agents::AGENT;

/// Namespace of every pod.
pub const NAMESPACE: &str = "plant";
/// The node.
pub const NODE: &str = "edge-1";

/// A pod under construction.
#[derive(Debug, Clone)]
pub struct PodSpec(Value);

/// An annotated pod of DaemonSet `<name>`, bound to the node, without a status: the kubelet says how it stands.
pub fn pod(name: &str) -> PodSpec {
    pod_of(name, "DaemonSet", name)
}

/// The same, controlled by this owner.
pub fn pod_of(name: &str, kind: &str, owner: &str) -> PodSpec {
    PodSpec(json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "namespace": NAMESPACE, "name": name, "uid": format!("uid-of-{name}"),
            "annotations": {"checkpointer.alpha.coreos.com/checkpoint": "true"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": owner, "controller": true}],
        },
        "spec": {
            "nodeName": NODE, "restartPolicy": "Always", "volumes": [],
            "containers": [{"name": "main", "image": format!("registry.example/{owner}:1"), "args": []}],
        },
        "status": {"phase": "Pending"},
    }))
}

/// The agent's own pod, of its own DaemonSet.
pub fn agent_pod(name: &str) -> PodSpec {
    pod_of(name, "DaemonSet", AGENT)
}

impl PodSpec {
    /// Another object under the same name.
    pub fn uid(mut self, uid: &str) -> Self {
        self.0["metadata"]["uid"] = json!(uid);
        self
    }

    /// In the node's network, its process on this port.
    pub fn on_port(mut self, port: u16) -> Self {
        self.0["spec"]["hostNetwork"] = json!(true);
        self.0["spec"]["containers"][0]["ports"] = json!([{"containerPort": port, "hostPort": port}]);
        self.arg(&format!("--port={port}"))
    }

    /// One more argument.
    pub fn arg(mut self, arg: &str) -> Self {
        push(&mut self.0["spec"]["containers"][0]["args"], json!(arg));
        self
    }

    /// Takes its whole environment from this ConfigMap.
    pub fn env_from(mut self, config_map: &str) -> Self {
        self.0["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": config_map}}]);
        self
    }

    /// Mounts this Secret.
    pub fn secret(self, name: &str) -> Self {
        self.volume(name, json!({"secret": {"secretName": name}}))
    }

    /// Mounts this ConfigMap.
    pub fn config_map(self, name: &str) -> Self {
        self.volume(name, json!({"configMap": {"name": name}}))
    }

    /// Mounts these two and its own name as one volume.
    pub fn projected(self, secret: &str, config_map: &str) -> Self {
        let name = json!({"path": "name", "fieldRef": {"fieldPath": "metadata.name"}});
        let sources = json!([
            {"secret": {"name": secret}},
            {"configMap": {"name": config_map}},
            {"downwardAPI": {"items": [name]}},
        ]);
        self.volume("all-in-one", json!({"projected": {"defaultMode": 0o440, "sources": sources}}))
    }

    /// Mounts a PersistentVolumeClaim, which no static pod may.
    pub fn claim(self, name: &str) -> Self {
        self.volume(name, json!({"persistentVolumeClaim": {"claimName": name}}))
    }

    fn volume(mut self, name: &str, mut volume: Value) -> Self {
        volume["name"] = json!(name);
        push(&mut self.0["spec"]["volumes"], volume);
        let mounts = &mut self.0["spec"]["containers"][0]["volumeMounts"];
        if mounts.is_null() {
            *mounts = json!([]);
        }
        push(mounts, json!({"name": name, "mountPath": format!("/mnt/{name}")}));
        self
    }

    /// The object.
    pub fn object(self) -> Value {
        self.0
    }
}

fn push(list: &mut Value, element: Value) {
    list.as_array_mut().expect("a list").push(element);
}
