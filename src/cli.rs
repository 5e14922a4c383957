//! The command line: which commands there are, and what each exit code means. What they do is in the modules.

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::agent::config::RunArgs;
use crate::serve::config::ServeArgs;

pub mod archive;
mod checkpoint;
pub mod doctor;
mod lock_holder;
mod node_view;
mod output;
pub mod probe;
mod progress;
mod proxy;
pub mod render;
mod run;
mod serve;
mod service_api;
pub mod status;

/// It did what was asked.
const DONE: u8 = 0;
/// It could not, or the answer is no.
const FAILED: u8 = 1;
/// What was asked makes no sense: flags, files or sockets that cannot be used.
const MISUSED: u8 = 2;
/// `status --check`: a pod is not restorable.
const NOT_RESTORABLE: u8 = 3;

/// Every exit code, with its meaning.
pub const EXIT_CODES: [(u8, &str); 4] = [
    (DONE, "It did what was asked; `run` and `serve`: it was told to stop"),
    (FAILED, "It failed, or the answer is no"),
    (MISUSED, "What was asked makes no sense: flags, variables, files or sockets that cannot be used"),
    (NOT_RESTORABLE, "`status --check` alone: a pod would not come back, or that cannot be told"),
];

const LONG_ABOUT: &str = "\
Keeps annotated pods recoverable on a node that loses power while its API server is away.

Pods annotated checkpointer.alpha.coreos.com/checkpoint=true are saved on their node as static pods, with their \
Secrets and ConfigMaps. The kubelet runs those when the pod and the API server are gone; they go when the pod is back.";

const EXAMPLES: &str = "\
Examples:
  # would this node's pods come back? (no API server needed)
  pod-checkpointer status

  # reboot only if they would
  pod-checkpointer status --check && reboot

  # is this node fit for it, and if not: what to do
  pod-checkpointer doctor

  # the same in a cluster
  kubectl -n kube-system exec ds/pod-checkpointer -- /pod-checkpointer status

Exit codes: 0 done; 1 failed, or the answer is no; 2 flags or files that cannot be used; \
3 status --check found a pod that would not come back, or could not tell.";

#[derive(Debug, Parser)]
#[command(version, about, long_about = LONG_ABOUT, after_long_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The agent: save annotated pods of this node, run them while the API server is away, hand them back
    #[command(after_long_help = run::EXAMPLES)]
    Run(Box<RunArgs>),
    /// Take, seal and push checkpoints of this node's containers, for whoever may ask over HTTPS
    #[command(after_long_help = serve::EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Show which pods of this node would come back after a power cut, and why not
    Status(status::StatusArgs),
    /// Check everything that this node needs, with the remedy for what is missing
    Doctor(doctor::DoctorArgs),
    /// Print the checkpoint that would be made of a pod, from a file and without a cluster
    Render(render::Render),
    /// Look at checkpoint archives of containers, encrypt and open them, push them as images
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Ask the agent of this pod whether it is live or ready (for the container's probes)
    Probe(probe::ProbeArgs),
    /// Checkpoint a pod's containers, from anywhere with a kubeconfig
    #[command(after_long_help = checkpoint::EXAMPLES)]
    Checkpoint(Box<checkpoint::CheckpointArgs>),
    /// Serve the checkpoint URLs on localhost with your kubeconfig, in place of `kubectl proxy`
    #[command(after_long_help = proxy::EXAMPLES)]
    Proxy(proxy::ProxyArgs),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff): `pod-checkpointer man | man -l -`
    Man,
}

/// The command line as data: `docs/reference.md` is made of it.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    // Help and version are printed by clap; so are unknown flags, with exit code 2.
    ExitCode::from(dispatch(Cli::parse().command))
}

fn dispatch(command: Command) -> u8 {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Serve(args) => serve::run(*args),
        Command::Status(args) => status::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Render(args) => render::run(&args),
        Command::Archive(command) => archive::run(&command),
        Command::Probe(args) => probe::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pod-checkpointer", &mut script);
            output::print_bytes(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut page) {
                Ok(()) => output::print_bytes(&page),
                Err(why) => output::failed(&why, FAILED),
            }
        }
    }
}

/// One thread: the agent waits far more than it works, and every thread costs memory.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
