//! Pods that survive a power cut: what is known of them, and what is decided. Values in, values out; nothing here looks or acts.

pub mod annotation;
pub mod asset_refs;
pub mod checkpoint;
pub mod key;
pub mod kubelet_version;
pub mod lifecycle;
pub mod memory;
pub mod parent;
pub mod plan;
pub mod report;
pub mod runtime;
pub mod sanitize;
pub(crate) mod schema;
pub mod service_variables;
pub mod snapshot;
pub mod status;
pub mod timings;
