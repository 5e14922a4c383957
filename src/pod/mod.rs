//! Pods that survive a power cut: the feature that this program exists for.

pub mod apply;
pub mod capture;
pub mod checkpoint;
pub mod key;
pub mod lifecycle;
pub mod memory;
pub mod moment;
pub mod observe;
pub mod parent;
pub mod plan;
pub mod reconciler;
pub mod report;
pub mod sanitize;
pub mod snapshot;
pub mod status;
pub mod store;
pub mod timings;
pub mod volatile;
pub mod volume;
pub mod wanted;
