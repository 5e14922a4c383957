//! From a parent to its checkpoint: a static pod that today's kubelet accepts and that needs no API server, with the
//! directories that stand in for API objects. Pure: everything it may know is in its arguments. Writing is `store`'s.

mod container;
mod environment;
pub(crate) mod field;
mod kubelet_rule;
mod mounts;
mod ports;
pub(crate) mod schema;
mod spec;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::checkpoint::{AssetVolume, Checkpoint, FORMAT, annotation};
use super::key::CHECKPOINT_OF_ANNOTATION;
use super::parent::{MAX_OFFLINE_ANNOTATION, Parent};
use super::volume::{Placed, fill, one_each, place};
use super::wanted::Assets;
use super::wanted::lack::Lack;
use crate::pod::runtime::Images;

pub use kubelet_rule::has_api_object_reference;

/// Annotation on a parent: `"true"` lets Secrets that its environment reads stand in the checkpoint's manifest, and
/// so in the mirror pod, for anyone to see who may read pods.
pub const INLINE_SECRET_ENV_ANNOTATION: &str = "checkpointer.alpha.coreos.com/inline-secret-env";

/// Prefix of our own annotations.
const OWN_ANNOTATIONS: &str = "checkpointer.alpha.coreos.com/";
/// Prefix of the annotations that the kubelet itself puts on every pod it runs.
pub(crate) const KUBELET_ANNOTATIONS: &str = "kubernetes.io/config.";

/// What `sanitize` has to know of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// The node's name.
    pub node_name: String,
    /// `KUBERNETES_SERVICE_HOST` for containers that do not set it; empty: left out.
    pub api_host: String,
    /// `KUBERNETES_SERVICE_PORT`, likewise.
    pub api_port: String,
    /// Which images are on the node; one that is not in it is not known about.
    pub images: Images,
    /// Where our trees are, as the kubelet sees it: `/etc/kubernetes`.
    pub etc_kubernetes: PathBuf,
    /// Prefixes of annotations that a checkpoint keeps (`--keep-annotation`), e.g. a CNI's.
    pub keep_annotations: Vec<String>,
}

impl Default for NodeFacts {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            api_host: String::new(),
            api_port: String::new(),
            images: Images::new(),
            etc_kubernetes: PathBuf::from("/etc/kubernetes"),
            keep_annotations: Vec::new(),
        }
    }
}

/// Why a pod cannot be kept: all reasons at once, each a sentence with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotRestorable {
    /// In the order of the pod's spec; at least one.
    pub reasons: Vec<String>,
}

impl fmt::Display for NotRestorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not restorable: {}", self.reasons.join("; "))
    }
}

/// What was found on the way.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Why there can be no checkpoint.
    pub reasons: Vec<String>,
    /// What the twin will lack.
    pub degraded: Vec<String>,
}

impl Findings {
    fn refuse(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn lacks(&mut self, lack: Lack) {
        if lack.degrades {
            self.degraded.push(lack.sentence);
        } else {
            self.refuse(lack.sentence);
        }
    }
}

/// What the parts of `sanitize` look at.
pub(crate) struct Pod<'a> {
    pub parent: &'a Parent,
    pub facts: &'a NodeFacts,
    pub assets: &'a Assets,
    pub placed: &'a [Placed<'a>],
    pub host_network: bool,
    pub inlines_secret_env: bool,
}

impl Pod<'_> {
    /// The volume is one of our directories.
    fn is_asset(&self, volume: &str) -> bool {
        self.placed.iter().any(|placed| placed.name == volume)
    }
}

/// Makes the checkpoint of `parent`. The same arguments give the same bytes.
pub fn sanitize(parent: &Parent, facts: &NodeFacts, assets: &Assets) -> Result<Checkpoint, NotRestorable> {
    let mut findings = Findings::default();
    let known = spec::known(&parent.object["spec"], &mut findings);
    let placed = place(parent, &known["volumes"], &mut findings.reasons);
    let volumes = fill_all(parent, assets, &placed, &mut findings);
    let pod = Pod {
        parent,
        facts,
        assets,
        placed: &placed,
        host_network: known["hostNetwork"] == true,
        inlines_secret_env: inlines_secret_env(&parent.object),
    };
    let spec = spec::freeze(&pod, &known, &mut findings);
    mounts::check(&pod, &spec, &volumes, &mut findings);
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": parent.key.name(),
            "namespace": parent.key.namespace(),
            "annotations": annotations(&pod, &volumes, &mut findings),
        },
        "spec": spec,
    });
    if findings.reasons.is_empty()
        && let Some(what) = has_api_object_reference(&manifest)
    {
        findings.refuse(format!("the kubelet would refuse the checkpoint for {what}; do without it in this pod"));
    }
    if findings.reasons.is_empty() {
        Ok(Checkpoint { manifest, volumes })
    } else {
        Err(NotRestorable { reasons: findings.reasons })
    }
}

fn fill_all(parent: &Parent, assets: &Assets, placed: &[Placed<'_>], findings: &mut Findings) -> Vec<AssetVolume> {
    let mut volumes = Vec::new();
    for one in placed {
        let filled = fill(parent, assets, one);
        filled.lacks.into_iter().for_each(|lack| findings.lacks(lack));
        volumes.extend(filled.volume);
    }
    one_each(&mut volumes);
    volumes
}

fn annotations(pod: &Pod<'_>, volumes: &[AssetVolume], findings: &mut Findings) -> Value {
    let parent = pod.parent;
    let theirs = parent.object["metadata"]["annotations"].as_object().into_iter().flatten();
    let mut all: Map<String, Value> = theirs
        .filter(|(key, _)| *key == MAX_OFFLINE_ANNOTATION || kept_annotation(key, &pod.facts.keep_annotations))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Err(sentence) = parent.max_offline() {
        findings.refuse(sentence);
    }
    let (namespace, name) = (parent.key.namespace(), parent.key.name());
    let directories: BTreeSet<_> =
        volumes.iter().map(|v| format!("{}/{namespace}/{name}/{}", v.tree.dir(), v.name)).collect();
    let mut ours = vec![
        (CHECKPOINT_OF_ANNOTATION, name.to_owned()),
        (annotation::FORMAT, FORMAT.to_owned()),
        (annotation::PARENT_UID, parent.uid.to_string()),
        (annotation::LINEAGE, parent.lineage.to_string()),
        (annotation::DIGEST, parent.digest.clone()),
        (annotation::ASSETS, json!(directories).to_string()),
    ];
    if !findings.degraded.is_empty() {
        ours.push((annotation::DEGRADED, json!(findings.degraded).to_string()));
    }
    all.extend(ours.into_iter().map(|(key, value)| (key.to_owned(), json!(value))));
    Value::Object(all)
}

/// The pod's annotation allows inlining Secrets into the environment.
pub(crate) fn inlines_secret_env(pod: &Value) -> bool {
    pod["metadata"]["annotations"][INLINE_SECRET_ENV_ANNOTATION] == "true"
}

/// An annotation of the parent that its checkpoint keeps.
pub(crate) fn kept_annotation(key: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
        && !key.starts_with(OWN_ANNOTATIONS)
        && !key.starts_with(KUBELET_ANNOTATIONS)
}
