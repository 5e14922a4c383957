//! The signals that tell the process to stop.

use std::pin::Pin;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Over when the process is told to stop; says how.
pub type Stop = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// Listens from now on for SIGTERM and SIGINT, which no longer end the process by themselves.
///
/// # Errors
/// The system does not let us listen.
pub fn stop() -> anyhow::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => "told to stop",
            _ = interrupt.recv() => "interrupted",
        }
    }))
}
