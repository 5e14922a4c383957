//! What the agent answers: HTTP on loopback for people and Prometheus (`server`), a unix socket for probes
//! (`probe_socket`), both from the one [`View`] that a pass leaves. Asks and decides nothing.

pub mod health;
pub mod probe_socket;
pub mod server;

use crate::pod::status::StatusDoc;

/// What the agent publishes after every pass, through a `tokio::sync::watch` of `Arc<View>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// For `/status`.
    pub status: StatusDoc,
    /// For `/livez`, `/readyz` and `probe`.
    pub health: health::Health,
}
