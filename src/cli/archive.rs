//! `archive`: what can be done with a checkpoint archive on this machine.

use clap::Subcommand;

mod push;

/// What can be done with archives.
#[derive(Debug, Clone, Subcommand)]
pub enum ArchiveCommand {
    /// Make an image of an archive and push it to a registry
    #[command(after_long_help = push::EXAMPLES)]
    Push(push::PushArgs),
}

/// Does it, and says what the exit code is.
pub(super) fn run(command: &ArchiveCommand) -> u8 {
    match command {
        ArchiveCommand::Push(args) => push::run(args),
    }
}
