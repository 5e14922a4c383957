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
    /// Names of its main containers (not init containers, not sidecars).
    pub fn main_containers(&self) -> Vec<String> {
        let containers = self.object.pointer("/spec/containers").and_then(Value::as_array);
        let name = |c: &Value| c.get("name").and_then(Value::as_str).map(str::to_owned);
        containers.map(|list| list.iter().filter_map(name).collect()).unwrap_or_default()
    }
}
