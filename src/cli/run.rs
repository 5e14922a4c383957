//! `run`: the agent itself.

use super::{FAILED, MISUSED, output, runtime};
use crate::config::{Config, RunArgs};

/// Checks the arguments, then runs until told to stop.
pub(super) fn run(args: RunArgs) -> u8 {
    let config = match Config::from_args(args) {
        Ok(config) => config,
        Err(why) => return output::failed(&why, MISUSED),
    };
    if let Err(why) = crate::telemetry::logs::init(&config.logs) {
        return output::failed(&why, FAILED);
    }
    let started = runtime().map_err(anyhow::Error::from);
    match started.and_then(|runtime| runtime.block_on(crate::agent::run(config))) {
        Ok(()) => super::DONE,
        Err(why) => output::failed(&format!("{why:#}"), MISUSED),
    }
}
