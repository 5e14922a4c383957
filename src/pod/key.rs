//! Names: which pod, which lineage, which container. Says nothing about what state they are in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Annotation on a parent: `"true"` asks for this pod to be kept recoverable.
pub const CHECKPOINT_ANNOTATION: &str = "checkpointer.alpha.coreos.com/checkpoint";
/// Annotation on a checkpoint: names its parent. Its presence, whatever the value, makes a pod a checkpoint.
pub const CHECKPOINT_OF_ANNOTATION: &str = "checkpointer.alpha.coreos.com/checkpoint-of";
/// Set by the kubelet on every pod it runs: `api` or `file`.
pub const CONFIG_SOURCE_ANNOTATION: &str = "kubernetes.io/config.source";

/// A name that the API server would refuse, so nothing that could become a path outside our directories.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not a DNS-1123 name; refusing to use it as a file name")]
pub struct InvalidName {
    /// Which of the names was bad.
    pub what: &'static str,
    /// The value as it came.
    pub value: String,
}

/// RFC 1123 subdomain as the API server checks names of pods, Secrets and ConfigMaps: 1..=253 of `[a-z0-9.-]`,
/// beginning and ending alphanumeric, no empty label.
pub fn check_name(what: &'static str, value: &str) -> Result<(), InvalidName> {
    let label = |l: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(l.chars().next())
            && edge(l.chars().last())
            && l.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if value.len() <= 253 && value.split('.').all(label) {
        Ok(())
    } else {
        Err(InvalidName { what, value: value.to_owned() })
    }
}

/// Namespace and name of a pod. Both are valid DNS names, so they are safe as parts of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PodKey {
    namespace: String,
    name: String,
}

impl PodKey {
    /// Checks both names.
    pub fn new(namespace: &str, name: &str) -> Result<Self, InvalidName> {
        check_name("namespace", namespace)?;
        check_name("pod name", name)?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `<ns>_<pod>`: an underscore cannot stand in either name, so no two pods share a file.
    pub fn file_stem(&self) -> String {
        format!("{}_{}", self.namespace, self.name)
    }

    /// The inverse of [`Self::file_stem`].
    pub fn from_file_stem(stem: &str) -> Result<Self, InvalidName> {
        let (namespace, name) =
            stem.split_once('_').ok_or_else(|| InvalidName { what: "file name", value: stem.to_owned() })?;
        Self::new(namespace, name)
    }

    /// The static pod that the kubelet of `node` makes from this pod's manifest.
    #[must_use]
    pub fn twin(&self, node: &str) -> Self {
        Self { namespace: self.namespace.clone(), name: format!("{}-{node}", self.name) }
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for PodKey {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (namespace, name) =
            text.split_once('/').ok_or_else(|| InvalidName { what: "namespace/name", value: text.to_owned() })?;
        Self::new(namespace, name)
    }
}

impl TryFrom<String> for PodKey {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<PodKey> for String {
    fn from(key: PodKey) -> String {
        key.to_string()
    }
}

/// The parents that replace one another: namespace, and kind and name of the controlling owner
/// (for a ReplicaSet its name without the pod-template-hash). A bare pod is its own lineage, of kind `Pod`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lineage {
    /// Namespace of the pods.
    pub namespace: String,
    /// Kind of the controlling owner, or `Pod`.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}

impl FromStr for Lineage {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(kind), Some(name)) if !kind.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: namespace.to_owned(), kind: kind.to_owned(), name: name.to_owned() })
            }
            _ => Err(InvalidName { what: "lineage", value: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for Lineage {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Lineage> for String {
    fn from(lineage: Lineage) -> String {
        lineage.to_string()
    }
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }
    };
}

opaque_id!(
    /// `metadata.uid` of a pod.
    Uid
);
opaque_id!(
    /// The runtime's identifier of a container.
    ContainerId
);
opaque_id!(
    /// The runtime's identifier of a pod sandbox.
    SandboxId
);
