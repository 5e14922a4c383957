//! The hermetic tests, in one program: a module for each subject, and the systems around the agent in `tests/support`.
//! They run beside each other in threads, so none may change what the whole process shares: its environment, its working
//! directory, its umask, its signals.

#[path = "../support/mod.rs"]
mod support;

mod agent;
mod archive;
mod cli;
mod client;
mod cluster;
mod damaged_disk;
mod decide;
mod durability;
mod fake_kubelet;
mod front;
mod http;
mod manifests;
mod node;
mod parent;
mod registry;
mod render;
mod retention;
mod runtime_watch;
mod sanitize;
mod seal;
mod serve;
mod steps;
mod store;
