//! Every annotation that this program reads or writes, and the kubelet's own that it looks at. Pure: raw pods in, answers out.

pub mod effects;

use serde_json::Value;

use effects::{Fate, effect};

/// Version of the manifests that are written, the value of [`FORMAT`].
pub const FORMAT_VERSION: &str = "1";

/// A constant for each key, and [`ALL`] of them with what their documentation says: none can be left out.
macro_rules! annotations {
    ($($(#[doc = $about:literal])+ $name:ident = $key:literal;)+) => {
        $($(#[doc = $about])+ pub const $name: &str = $key;)+
        /// Every key, with its meaning.
        pub const ALL: &[(&str, &str)] = &[$(($key, concat!($($about),+))),+];
    };
}

annotations! {
    /// On a parent: `"true"` asks for this pod to be kept recoverable.
    CHECKPOINT = "checkpointer.alpha.coreos.com/checkpoint";
    /// On a parent, and kept in its checkpoint: never activate later than this after the last good read of the API.
    MAX_OFFLINE = "checkpointer.alpha.coreos.com/max-offline";
    /// On a parent: `"true"` lets Secrets that its environment reads stand in the checkpoint's manifest, and so in the mirror
    /// pod, for anyone to see who may read pods.
    INLINE_SECRET_ENV = "checkpointer.alpha.coreos.com/inline-secret-env";
    // What a manifest of ours carries. None changes while the parent does not: any byte changed in an active manifest makes
    // the kubelet restart the pod.
    /// On a checkpoint: names its parent. Its presence, whatever the value, makes a pod a checkpoint.
    CHECKPOINT_OF = "checkpointer.alpha.coreos.com/checkpoint-of";
    /// On a checkpoint: version of the manifests that are written.
    FORMAT = "checkpointer.alpha.coreos.com/format";
    /// On a checkpoint: UID of the parent.
    PARENT_UID = "checkpointer.alpha.coreos.com/parent-uid";
    /// On a checkpoint: `<namespace>/<kind>/<name>` of the controller whose pod the parent is.
    LINEAGE = "checkpointer.alpha.coreos.com/lineage";
    /// On a checkpoint: digest of the parent as it was captured.
    DIGEST = "checkpointer.alpha.coreos.com/digest";
    /// On a checkpoint: RFC 3339 UTC time, seconds, at which the parent was Ready and captured. Added by the store when it
    /// saves.
    CAPTURED_AT = "checkpointer.alpha.coreos.com/captured-at";
    /// On a checkpoint: a number that grows with every checkpoint that this node saves; orders the copies of a lineage,
    /// whatever a clock says. Added by the store when it saves.
    GENERATION = "checkpointer.alpha.coreos.com/generation";
    /// On a checkpoint: JSON list of asset directories, relative to `/etc/kubernetes`, e.g.
    /// `["checkpoint-secrets/ns/pod/secret"]`.
    ASSETS = "checkpointer.alpha.coreos.com/assets";
    /// On a checkpoint: JSON list of sentences: what the twin will lack. Absent when empty.
    DEGRADED = "checkpointer.alpha.coreos.com/degraded";
    /// Only in inactive manifests: RFC 3339 UTC time of retirement.
    RETIRED = "checkpointer.alpha.coreos.com/retired";
    /// Only in retired inactive manifests, `"true"`: the lineage had a successor on this node.
    SUCCESSOR_SEEN = "checkpointer.alpha.coreos.com/successor-seen";
    /// Set by the kubelet on every pod it runs: `api`, `file` or `http`.
    CONFIG_SOURCE = "kubernetes.io/config.source";
    /// Set by the kubelet on the mirror of a static pod.
    CONFIG_MIRROR = "kubernetes.io/config.mirror";
}

/// Prefix of the annotations that the kubelet itself puts on every pod it runs.
pub(crate) const KUBELET_PREFIX: &str = "kubernetes.io/config.";
/// No prefix of an operator keeps an annotation that begins so: these are ours to write.
const OWN_PREFIX: &str = "checkpointer.alpha.coreos.com/";

/// The value of an annotation of a raw pod, where it is text.
pub(crate) fn of<'a>(pod: &'a Value, key: &str) -> Option<&'a str> {
    pod["metadata"]["annotations"][key].as_str()
}

/// The pod asks to be kept, and is neither static nor a checkpoint itself.
pub(crate) fn is_parent(pod: &Value) -> bool {
    let is_static = matches!(of(pod, CONFIG_SOURCE), Some("file" | "http")) || of(pod, CONFIG_MIRROR).is_some();
    of(pod, CHECKPOINT) == Some("true") && !is_static && pod["metadata"]["annotations"].get(CHECKPOINT_OF).is_none()
}

/// The pod allows Secrets to be inlined into the environment.
pub(crate) fn inlines_secret_env(pod: &Value) -> bool {
    of(pod, INLINE_SECRET_ENV) == Some("true")
}

/// An annotation of the parent that its checkpoint keeps: one that works without an API server, or whose prefix an operator
/// named (`--keep-annotation`).
pub(crate) fn kept_annotation(key: &str, prefixes: &[String]) -> bool {
    let named = || prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()));
    let works = || effect(key).is_some_and(|(fate, _)| fate == Fate::Kept);
    !key.starts_with(OWN_PREFIX) && !key.starts_with(KUBELET_PREFIX) && (works() || named())
}

/// What an annotation of the parent does that its checkpoint does not keep.
pub(crate) fn lost_effect(key: &str, prefixes: &[String]) -> Option<&'static str> {
    effect(key).filter(|_| !kept_annotation(key, prefixes)).map(|(_, what)| what)
}
