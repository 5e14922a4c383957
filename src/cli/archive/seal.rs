//! `archive seal`: one archive to one certificate.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::pem;
use crate::cli::progress::Progress;
use crate::cli::{FAILED, MISUSED, output};
use crate::seal::{Recipient, seal_file};

pub(super) const EXAMPLES: &str = "\
Examples:
  # to the certificate of a TLS Secret
  kubectl -n shop get secret archive-tls -o jsonpath='{.data.tls\\.crt}' | base64 -d > cert.pem
  pod-checkpointer archive seal checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar --to cert.pem

The certificate's key must be RSA of 2048 to 8192 bits or EC on P-256, P-384 or P-521, and the certificate valid now. Beside \
the sealed file (.age) comes a short description (.age.json), which is not encrypted: whose it is, and of which image. The \
plain archive is removed once the sealed one is safely on disk; its blocks are not overwritten. Open it with `pod-checkpointer \
archive unseal`, or with openssl and age, as docs/formats.md shows.";

/// What `archive seal` takes.
#[derive(Debug, Clone, Args)]
pub struct SealArgs {
    /// The archive; it has to be complete
    file: PathBuf,
    /// Certificate in PEM of whoever is to open it
    #[arg(long, value_name = "CERT.pem")]
    to: PathBuf,
}

/// Seals, says the new name, and what the exit code is.
pub(super) fn run(args: &SealArgs) -> u8 {
    let certificate = match pem(&args.to) {
        Ok(certificate) => certificate,
        Err(why) => return output::failed(&why, MISUSED),
    };
    let recipient = match Recipient::from_pem(&certificate, Timestamp::now()) {
        Ok(recipient) => recipient,
        Err(why) => return output::failed(&format!("{}: {why}", args.to.display()), MISUSED),
    };
    let total = std::fs::metadata(&args.file).map_or(0, |file| file.len());
    let progress = Progress::bytes("sealing", total);
    let outcome = seal_file(&recipient, &args.file, &mut |done| progress.at(done));
    drop(progress);
    match outcome {
        Ok(sealed) => output::print_bytes(format!("{}\n", sealed.display()).as_bytes()),
        Err(why) => output::failed(&why, FAILED),
    }
}
