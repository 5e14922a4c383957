//! What the parts of `sanitize` look at, and what they find on the way.

use std::fmt;
use std::path::PathBuf;

use super::volume::AssetVolumePlan;
use crate::pod::asset_refs::Assets;
use crate::pod::asset_refs::missing::Lack;
use crate::pod::parent::Parent;
use crate::pod::runtime::Images;
use crate::pod::service_variables::ServiceVariables;

/// What `sanitize` has to know of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// The name by which the API server knows the node.
    pub node_name: String,
    /// `KUBERNETES_SERVICE_HOST` for containers that do not set it; empty: left out.
    pub api_host: String,
    /// `KUBERNETES_SERVICE_PORT`, likewise.
    pub api_port: String,
    /// Which images are on the node; one that is not in it is not known about.
    pub images: Images,
    /// Where our trees are, as the kubelet sees it: `/etc/kubernetes`.
    pub etc_kubernetes: PathBuf,
    /// Values of the variables that [`crate::pod::service_variables::wanted`] names, as the parent's containers have them.
    pub service_variables: ServiceVariables,
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
            service_variables: ServiceVariables::new(),
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
    pub(super) fn refuse(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    pub(super) fn lacks(&mut self, lack: Lack) {
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
    pub placed: &'a [AssetVolumePlan<'a>],
    pub host_network: bool,
    pub inlines_secret_env: bool,
}

impl Pod<'_> {
    /// The volume is one of our directories.
    pub(super) fn is_asset(&self, volume: &str) -> bool {
        self.placed.iter().any(|placed| placed.name == volume)
    }
}
