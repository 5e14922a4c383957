//! This node without the API server: its container runtime and its kubelet, as the deciding code sees them.

pub mod cri;
pub mod criu;
pub mod endpoint;
#[cfg(fuzzing)]
pub mod fuzzed;
pub mod images;
pub mod kubelet;
pub mod kubelet_api;
mod listing;
pub mod pull_records;
pub mod runtime_watch;
