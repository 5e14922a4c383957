//! Logs to stderr, as text or JSON. Says nothing itself; everything else logs through `tracing`.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, Logs};

/// See [`filter`].
const API_LIBRARY: &str = "kube_client";

/// Modules by the names that operators may have in `--log-level`, and where what was in them is now.
const MOVED: [(&str, &[&str]); 8] = [
    ("pod_checkpointer::container::seal", &["pod_checkpointer::seal"]),
    ("pod_checkpointer::container", &["pod_checkpointer::serve::jobs", "pod_checkpointer::image"]),
    ("pod_checkpointer::http", &["pod_checkpointer::serve::api", "pod_checkpointer::agent::http"]),
    ("pod_checkpointer::reconcile", &["pod_checkpointer::agent::reconcile"]),
    ("pod_checkpointer::retention", &["pod_checkpointer::serve::retention"]),
    ("pod_checkpointer::service", &["pod_checkpointer::serve"]),
    ("pod_checkpointer::store", &["pod_checkpointer::agent::store"]),
    ("pod_checkpointer::wire", &["pod_checkpointer::http_client"]),
];

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up logging (is it done twice in this process?): {0}")]
pub struct LogsError(#[from] TryInitError);

/// Sends logs to stderr from now on. Once a process.
///
/// # Errors
/// If a logger is already installed.
pub fn init(logs: &Logs) -> Result<(), LogsError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter(&logs.level));
    match logs.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init()?,
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()?,
    }
    Ok(())
}

/// The level was checked when the configuration was read; one that does not parse means `info`. The API client's
/// library calls every failed request an error, so in an outage it is heard only where it is named.
fn filter(level: &str) -> Targets {
    let parsed: Targets = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let targets = parsed
        .clone()
        .with_targets(parsed.iter().flat_map(|(module, level)| moved(module).into_iter().map(move |now| (now, level))));
    if level.contains(API_LIBRARY) { targets } else { targets.with_target(API_LIBRARY, LevelFilter::OFF) }
}

/// Where a module of an earlier version is now.
fn moved(module: &str) -> Vec<String> {
    let found = MOVED.iter().find_map(|(old, now)| {
        let rest = module.strip_prefix(old).filter(|rest| rest.is_empty() || rest.starts_with("::"))?;
        Some(now.iter().map(|now| format!("{now}{rest}")).collect())
    });
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn an_outage_is_not_told_request_by_request_unless_asked_for() {
        assert!(!filter("debug").would_enable("kube_client::client::builder", &Level::ERROR));
        assert!(filter("info,kube_client=debug").would_enable("kube_client::client", &Level::DEBUG));
    }

    #[test]
    fn a_level_of_one_module_leaves_the_others_alone() {
        let targets = filter("info,pod_checkpointer::cluster=debug");
        assert!(targets.would_enable("pod_checkpointer::cluster", &Level::DEBUG));
        assert!(!targets.would_enable("pod_checkpointer::disk", &Level::DEBUG));
        assert!(targets.would_enable("pod_checkpointer::disk", &Level::INFO));
    }

    #[test]
    fn a_module_by_its_old_name_is_heard_where_it_is_now() {
        let targets = filter("info,pod_checkpointer::container=debug,pod_checkpointer::store::save=trace");
        assert!(targets.would_enable("pod_checkpointer::serve::jobs::worker", &Level::DEBUG));
        assert!(targets.would_enable("pod_checkpointer::agent::store::save", &Level::TRACE));
        assert!(!targets.would_enable("pod_checkpointer::serve::retention", &Level::DEBUG));
    }
}
