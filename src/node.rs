//! This node without the API server: its container runtime and its kubelet, as the deciding code sees them.

pub mod cri;
mod cri_pods;
#[doc(hidden)]
pub mod cri_proto;
pub mod cri_socket;
pub mod criu;
pub mod environment;
#[cfg(fuzzing)]
pub mod fuzzed;
pub mod images;
pub mod kubelet;
pub mod kubelet_api;
pub mod pull_records;
pub mod runtime_watch;
