//! `pod-checkpointer` keeps annotated pods recoverable on a node that loses power while its API server is away.
//!
//! The way of the data is *observe → decide → act*: `reconcile::observe` fills one [`pod::snapshot::Snapshot`],
//! `pod::lifecycle` turns it into [`pod::plan::Step`]s without touching anything, `reconcile::apply` carries them out.
//! See `docs/architecture.md`.

pub mod agent;
pub mod archive;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod container;
pub mod disk;
pub mod duration;
pub mod http;
pub mod node;
pub mod pod;
pub(crate) mod quantity;
pub mod reconcile;
pub mod registry;
pub mod retention;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod wire;
