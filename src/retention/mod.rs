//! Retention: the kubelet's directory of archives within a policy, on every node. What is wanted (`resource`, `spec`,
//! `policy`, `orders`, `follow`), what is there (`inspect`, `index`, `persisted`, `orphans`), what goes and why (`select`),
//! and the hands (`keeper`, `sweeper`). Archives are not taken here, nor read beyond their headers.

pub mod counts;
pub mod follow;
pub mod index;
mod inspect;
pub mod keeper;
pub mod orders;
pub mod orphans;
pub mod persisted;
pub mod policy;
mod presence;
pub mod resource;
pub mod select;
pub mod spec;
pub mod status;
pub mod sweeper;
pub mod tell;
