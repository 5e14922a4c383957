//! Messages and clients made from `proto/cri.proto`.
#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/runtime.v1.rs"));
