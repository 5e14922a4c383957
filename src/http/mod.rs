//! What is answered to those who ask. The agent: HTTP on loopback for people and Prometheus (`server`), a unix socket for
//! probes. `serve`: HTTPS for callers near and far (`listener`), who must be known (`identity`).

pub mod apiservice;
pub mod authority;
pub mod checkpoints;
pub mod forward;
pub mod health;
pub mod identity;
pub mod listener;
mod openapi;
pub mod probe_socket;
pub mod refusal;
mod rounds;
pub mod server;
pub mod vitals;

use crate::pod::status::StatusDoc;

/// What the agent publishes after every pass, through a `tokio::sync::watch` of `Arc<View>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// For `/status`.
    pub status: StatusDoc,
    /// For `/livez`, `/readyz` and `probe`.
    pub health: health::Health,
}
