//! `probe live|ready`: exit code 0 if the agent says yes, 1 with its reason if not.

use std::path::PathBuf;

use clap::Args;

use super::{DONE, FAILED, output, runtime};
use crate::agent::http::probe_socket;
use crate::agent::http::probe_socket::Question;

/// What `probe` takes.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// What to ask
    question: Question,
    /// The agent's socket
    #[arg(long, env = "POD_CHECKPOINTER_PROBE_SOCKET", value_name = "FILE", default_value = "/probe/probe.sock")]
    probe_socket: PathBuf,
}

/// Asks, and says what the exit code is.
pub(super) fn run(args: &ProbeArgs) -> u8 {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return output::failed(&why, FAILED),
    };
    match runtime.block_on(probe_socket::ask(&args.probe_socket, args.question)) {
        Ok(()) => DONE,
        Err(why) => output::failed(&why, FAILED),
    }
}
