//! What the hermetic suites and `examples/outage.rs` stand on: the systems around the agent, in this process. An API
//! server on loopback, a container runtime behind a real socket, a kubelet that does what today's was measured to do.

pub mod agents;
pub mod api;
pub mod archives;
pub mod checkpoints;
pub mod cri;
pub mod kubelet;
pub mod machine;
pub mod manifest;
pub mod model_disk;
pub mod parents;
pub mod pod_sync;
pub mod pods;
pub mod registry;
pub mod site;
pub mod tree;
pub mod world;
