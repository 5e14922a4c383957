//! Retention: the kubelet's directory of archives within a policy, on every node. What is wanted (`resource`, `spec`,
//! `policy`), what is there (`inspect`, `index`, `persisted`), what goes and why (`select`), and the hands (`keeper`,
//! `sweeper`). Archives are not taken here, nor read beyond their headers.

pub mod index;
pub mod policy;
pub mod resource;
pub mod select;
pub mod spec;
