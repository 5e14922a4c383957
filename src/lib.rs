//! `pod-checkpointer` keeps annotated pods recoverable on a node that loses power while its API server is away.
//!
//! Three wings stand on common ground: [`agent`] (`run`), [`serve`] and, when it comes, `controller`. The agent's way is
//! *observe → decide → act*: `agent::reconcile::observe` fills one [`pod::snapshot::Snapshot`], `pod::lifecycle` turns it into
//! [`pod::plan::Step`]s without touching anything, `agent::reconcile::apply` carries them out. See `docs/architecture.md`.

pub(crate) mod accept_loop;
pub mod agent;
pub mod archive;
pub mod backoff;
pub mod checkpoint_api;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod disk;
pub mod dns_name;
pub mod duration;
pub mod error_chain;
pub mod hex;
pub mod http_client;
pub mod image;
pub mod logs;
pub mod loopback;
pub mod moment;
pub mod node;
pub mod openmetrics;
pub mod percent;
pub mod pod;
pub(crate) mod quantity;
pub mod registry;
pub mod seal;
pub mod serve;
pub mod signals;
