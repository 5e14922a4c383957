//! From a parent to its checkpoint.

pub(crate) mod schema;

use serde_json::Value;

/// Annotation on a parent: `"true"` lets Secrets that its environment reads stand in the checkpoint's manifest, and
/// so in the mirror pod, for anyone to see who may read pods.
pub const INLINE_SECRET_ENV_ANNOTATION: &str = "checkpointer.alpha.coreos.com/inline-secret-env";

/// Prefix of our own annotations.
const OWN_ANNOTATIONS: &str = "checkpointer.alpha.coreos.com/";
/// Prefix of the annotations that the kubelet itself puts on every pod it runs.
pub(crate) const KUBELET_ANNOTATIONS: &str = "kubernetes.io/config.";

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
