//! A node in process: a container runtime behind a real socket and a kubelet that does what today's kubelet was measured
//! to do. Shared by the tests and `examples/outage.rs`.
#![allow(dead_code, unreachable_pub, reason = "every test and example uses its part of this")]

pub mod cri;
pub mod kubelet;
pub mod machine;
pub mod manifest;
pub mod pod_sync;
