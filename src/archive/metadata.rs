//! Whose checkpoint it is, of which image, and when: from the two files in the archive that say so. Pure.
//!
//! `config.dump` is the metadata library's `ContainerConfig` of checkpointctl; `spec.dump` is the OCI runtime specification
//! that the container ran with, whose annotations are the runtime's. Names in it become paths and tags: they are held to
//! what Kubernetes allows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{is_label, is_subdomain};

/// Longest reference of an image that is believed, and longest name of a runtime.
const LONGEST_TEXT: usize = 1024;
const LONGEST_UID: usize = 64;

/// The runtime that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Taken by containerd.
    Containerd,
    /// Taken by CRI-O.
    CriO,
}

impl Engine {
    /// As the annotation `org.criu.checkpoint.engine.name` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "CRI-O",
        }
    }
}

/// What an archive says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The runtime that wrote it.
    pub engine: Engine,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod, where the runtime noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Name of the container.
    pub container: String,
    /// The OCI runtime: `runc`, `io.containerd.runc.v2`, …; may be empty.
    pub runtime: String,
    /// `rootfsImageName`: the image by name and tag; may be empty.
    pub image_name: String,
    /// `rootfsImageRef`: the image by digest or id, which a restore must resolve; may be empty.
    pub image_ref: String,
    /// `rootfsImage`: the image as its user asked for it; may be empty.
    pub image: String,
    /// When the container was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When it was checkpointed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpointed: Option<Timestamp>,
}

/// The two files are no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Not JSON of its form. What stands there is not repeated: it may be a secret.
    #[error("its {file} cannot be read: {why}")]
    Form {
        /// Name of the file in the archive.
        file: &'static str,
        /// Line and column.
        why: String,
    },
    /// Neither runtime's annotations.
    #[error("its spec.dump has no annotation of containerd or CRI-O that says its {0}")]
    Silent(&'static str),
    /// The sources of one value differ.
    #[error("its spec.dump says two things about its {what}: {one:?} and {other:?}; it was changed after it was taken")]
    Disagree {
        /// The value that they should agree on, as in "its …".
        what: &'static str,
        /// What the first source says.
        one: String,
        /// What another source says.
        other: String,
    },
    /// No name that Kubernetes knows.
    #[error("its {what} is {value:?}, which Kubernetes does not allow")]
    Name {
        /// What the name is of, as in "its …".
        what: &'static str,
        /// As it stands there, cut to 100 characters.
        value: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    rootfs_image: String,
    #[serde(default)]
    rootfs_image_ref: String,
    #[serde(default)]
    rootfs_image_name: String,
    #[serde(default)]
    runtime: String,
    created_time: Option<String>,
    checkpointed_time: Option<String>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Each value by the annotation that has it: containerd's, checkpointctl's, and the kubelet's label that CRI-O keeps as JSON.
struct Value {
    what: &'static str,
    containerd: &'static str,
    criu: &'static str,
    label: &'static str,
}

const LABELS: &str = "io.kubernetes.cri-o.Labels";
const NAMESPACE: Value = Value {
    what: "namespace",
    containerd: "io.kubernetes.cri.sandbox-namespace",
    criu: "org.criu.checkpoint.pod.namespace",
    label: "io.kubernetes.pod.namespace",
};
const POD: Value = Value {
    what: "pod",
    containerd: "io.kubernetes.cri.sandbox-name",
    criu: "org.criu.checkpoint.pod.name",
    label: "io.kubernetes.pod.name",
};
const CONTAINER: Value = Value {
    what: "container",
    containerd: "io.kubernetes.cri.container-name",
    criu: "org.criu.checkpoint.container.name",
    label: "io.kubernetes.container.name",
};
const UID: Value = Value {
    what: "pod's UID",
    containerd: "io.kubernetes.cri.sandbox-uid",
    criu: "org.criu.checkpoint.pod.uid",
    label: "io.kubernetes.pod.uid",
};

impl Metadata {
    /// Reads `config.dump` and `spec.dump` together, whose values must agree.
    pub fn parse(config: &[u8], spec: &[u8]) -> Result<Self, MetadataError> {
        let config: Config = json("config.dump", config)?;
        let annotations = json::<Spec>("spec.dump", spec)?.annotations;
        let labels: BTreeMap<String, String> = match annotations.get(LABELS) {
            Some(labels) => json("spec.dump", labels.as_bytes())?,
            None => BTreeMap::new(),
        };
        let sources = Sources { annotations: &annotations, labels: &labels };
        Ok(Self {
            engine: sources.engine()?,
            namespace: sources.name(&NAMESPACE, is_label)?,
            pod: sources.name(&POD, is_subdomain)?,
            pod_uid: sources.agreed(&UID)?.map(|uid| checked(UID.what, uid, is_uid)).transpose()?,
            container: sources.name(&CONTAINER, is_label)?,
            runtime: checked("runtime", &config.runtime, is_text)?,
            image_name: checked("image", &config.rootfs_image_name, is_text)?,
            image_ref: checked("image", &config.rootfs_image_ref, is_text)?,
            image: checked("image", &config.rootfs_image, is_text)?,
            created: time(config.created_time.as_deref())?,
            checkpointed: time(config.checkpointed_time.as_deref())?,
        })
    }
}

struct Sources<'a> {
    annotations: &'a BTreeMap<String, String>,
    labels: &'a BTreeMap<String, String>,
}

impl<'a> Sources<'a> {
    fn engine(&self) -> Result<Engine, MetadataError> {
        const WHAT: &str = "runtime";
        let has = |prefix: &str| self.annotations.keys().any(|key| key.starts_with(prefix));
        match (has("io.kubernetes.cri."), has("io.kubernetes.cri-o.")) {
            (true, false) => return Ok(Engine::Containerd),
            (false, true) => return Ok(Engine::CriO),
            (true, true) => {
                let (one, other) = (Engine::Containerd.name().to_owned(), Engine::CriO.name().to_owned());
                return Err(MetadataError::Disagree { what: WHAT, one, other });
            }
            (false, false) => {}
        }
        match self.annotations.get("org.criu.checkpoint.engine.name").map(String::as_str) {
            Some("containerd") => Ok(Engine::Containerd),
            Some("CRI-O") => Ok(Engine::CriO),
            _ => Err(MetadataError::Silent(WHAT)),
        }
    }

    /// The one value of all sources that have it.
    fn agreed(&self, value: &Value) -> Result<Option<&'a str>, MetadataError> {
        let sources =
            [self.annotations.get(value.containerd), self.annotations.get(value.criu), self.labels.get(value.label)];
        let mut found: Option<&str> = None;
        for said in sources.into_iter().flatten() {
            match found {
                Some(one) if one != said => {
                    let (one, other) = (shown(one), shown(said));
                    return Err(MetadataError::Disagree { what: value.what, one, other });
                }
                _ => found = Some(said),
            }
        }
        Ok(found)
    }

    fn name(&self, value: &Value, allowed: fn(&str) -> bool) -> Result<String, MetadataError> {
        checked(value.what, self.agreed(value)?.ok_or(MetadataError::Silent(value.what))?, allowed)
    }
}

fn json<'a, T: Deserialize<'a>>(file: &'static str, text: &'a [u8]) -> Result<T, MetadataError> {
    serde_json::from_slice(text).map_err(|why| {
        let why = format!("{:?} error at line {}, column {}", why.classify(), why.line(), why.column());
        MetadataError::Form { file, why }
    })
}

fn checked(what: &'static str, value: &str, allowed: fn(&str) -> bool) -> Result<String, MetadataError> {
    if allowed(value) { Ok(value.to_owned()) } else { Err(MetadataError::Name { what, value: shown(value) }) }
}

fn shown(value: &str) -> String {
    value.chars().take(100).collect()
}

fn is_uid(uid: &str) -> bool {
    (1..=LONGEST_UID).contains(&uid.len()) && uid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

/// One line that a terminal and a label can show.
fn is_text(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && text.bytes().all(|c| c.is_ascii_graphic())
}

/// Go writes the year 1 where there is no time.
fn time(text: Option<&str>) -> Result<Option<Timestamp>, MetadataError> {
    let Some(text) = text else { return Ok(None) };
    let why = || MetadataError::Form { file: "config.dump", why: "a time in it is not of RFC 3339".to_owned() };
    let at: Timestamp = text.parse().map_err(|_| why())?;
    Ok((at > Timestamp::UNIX_EPOCH).then_some(at))
}
