//! `archive`: looking at checkpoint archives on this machine, sealing and opening them, pushing them as images.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::Subcommand;

mod inspect;
mod ls;
mod pin;
mod prune;
mod push;
mod seal;
mod unseal;

/// What can be done with archives.
#[derive(Debug, Clone, Subcommand)]
pub enum ArchiveCommand {
    /// List the archives of a directory: whose they are, when they were taken, whether they are whole
    #[command(after_long_help = ls::EXAMPLES)]
    Ls(ls::LsArgs),
    /// Show what one archive says about itself and what is in it
    #[command(after_long_help = inspect::EXAMPLES)]
    Inspect(inspect::InspectArgs),
    /// Make an image of an archive and push it to a registry
    #[command(after_long_help = push::EXAMPLES)]
    Push(push::PushArgs),
    /// Encrypt an archive to a certificate and remove the plain one
    #[command(after_long_help = seal::EXAMPLES)]
    Seal(seal::SealArgs),
    /// Open a sealed archive with the certificate's private key
    #[command(after_long_help = unseal::EXAMPLES)]
    Unseal(unseal::UnsealArgs),
    /// Keep archives whatever the retention policy says
    #[command(after_long_help = pin::PIN_EXAMPLES)]
    Pin(pin::PinArgs),
    /// Let the retention policy hold for archives again
    #[command(after_long_help = pin::UNPIN_EXAMPLES)]
    Unpin(pin::PinArgs),
    /// Hold a directory to a retention policy, or show what that would delete and why
    #[command(after_long_help = prune::EXAMPLES)]
    Prune(prune::PruneArgs),
}

/// Does it, and says what the exit code is.
pub(super) fn run(command: &ArchiveCommand) -> u8 {
    match command {
        ArchiveCommand::Ls(args) => ls::run(args),
        ArchiveCommand::Inspect(args) => inspect::run(args),
        ArchiveCommand::Push(args) => push::run(args),
        ArchiveCommand::Seal(args) => seal::run(args),
        ArchiveCommand::Unseal(args) => unseal::run(args),
        ArchiveCommand::Pin(args) => pin::pin(args),
        ArchiveCommand::Unpin(args) => pin::unpin(args),
        ArchiveCommand::Prune(args) => prune::run(args),
    }
}

/// A certificate or a key: short, unless it is the wrong file.
fn pem(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    const LONGEST: usize = 1 << 20;
    // All at once, so that no half of a key stays behind where the memory was too small.
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    File::open(path)
        .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut text))
        .map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    if text.len() > LONGEST { Err(format!("{} is longer than any PEM file", path.display())) } else { Ok(text) }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
