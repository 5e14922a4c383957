//! What one pod object from the API server says, read from its raw JSON: who it is, how it stands.

use serde_json::Value;

use super::key::{InvalidName, Lineage, PodKey, Uid};

/// Annotation on a parent: never activate later than this after the last good read of the API.
pub const MAX_OFFLINE_ANNOTATION: &str = "checkpointer.alpha.coreos.com/max-offline";

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
    /// How it stands.
    pub standing: Standing,
    /// SHA-256 of everything in the object that a checkpoint is made of (metadata that matters and spec).
    pub digest: String,
    /// The object itself, without `managedFields` and `status`.
    pub object: std::sync::Arc<Value>,
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
    /// Reads a pod object; `None` where it is no parent of `node`: not annotated, static, a checkpoint, elsewhere.
    pub fn from_api(object: &Value, node: &str) -> Result<Option<Self>, BadPod> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let name = text("/metadata/name").ok_or(BadPod::Missing("metadata.name"))?;
        let namespace = text("/metadata/namespace").ok_or(BadPod::Missing("metadata.namespace"))?;
        let key = PodKey::new(namespace, name)?;
        let annotation = |name: &str| object.get("metadata")?.get("annotations")?.get(name)?.as_str();
        let annotated = annotation(super::key::CHECKPOINT_ANNOTATION) == Some("true");
        let copy = annotation(super::key::CHECKPOINT_OF_ANNOTATION).is_some();
        if !annotated || copy || text("/spec/nodeName") != Some(node) {
            return Ok(None);
        }
        let uid = Uid::from(text("/metadata/uid").ok_or(BadPod::Missing("metadata.uid"))?);
        let lineage = Lineage { namespace: namespace.to_owned(), kind: "Pod".to_owned(), name: name.to_owned() };
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
        let digest = object["spec"].to_string();
        let object = std::sync::Arc::new(object.clone());
        Ok(Some(Self { key, uid, lineage, standing: Standing::Here { ready }, digest, object }))
    }
}
