//! Pods that survive a power cut: the feature that this program exists for.

pub mod checkpoint;
pub mod key;
pub mod memory;
pub mod moment;
pub mod parent;
pub mod plan;
pub mod report;
pub mod snapshot;
pub mod store;
pub mod timings;
pub mod wanted;
