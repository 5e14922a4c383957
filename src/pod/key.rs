//! Names: which pod, which lineage, which container. Says nothing about what state they are in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dns_name::{InvalidName, check_name};

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

    /// Namespace of the pod.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the pod within its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `<ns>_<pod>`: an underscore cannot stand in either name, so no two pods share a file.
    pub fn file_stem(&self) -> String {
        format!("{}_{}", self.namespace, self.name)
    }

    /// Longest ending of a file's name after [`Self::file_stem`], bytes: `.yaml.kept.7`.
    pub const LONGEST_ENDING: usize = 12;

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
/// (of one that is made anew for each version of its pods, as a ReplicaSet is, without their hash). A bare pod is its own lineage, of kind `Pod`.
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
