//! The `pod-checkpointer` binary: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    pod_checkpointer::cli::main()
}
