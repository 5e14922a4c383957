//! The parser of the runtime's lists, opened for `fuzz/`; compiled with `cfg(fuzzing)` alone.

use prost::Message;

use super::cri_pods::node_pods;
use super::cri_proto as proto;

/// Reads both lists as the runtime sends them.
pub fn lists(sandboxes: &[u8], containers: &[u8]) {
    let sandboxes = proto::ListPodSandboxResponse::decode(sandboxes).unwrap_or_default();
    let containers = proto::ListContainersResponse::decode(containers).unwrap_or_default();
    node_pods(sandboxes.items, containers.containers);
}
