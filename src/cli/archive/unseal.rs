//! `archive unseal`: one sealed archive, with the private key.

use std::path::PathBuf;

use clap::Args;

use super::pem;
use crate::archive::name::SEALED;
use crate::cli::progress::Progress;
use crate::cli::{FAILED, MISUSED, output};
use crate::seal::unseal_file;

pub(super) const EXAMPLES: &str = "\
Examples:
  # with the key of a TLS Secret; the certificate lets it say if the key is another one's
  pod-checkpointer archive unseal checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar.age --key tls.key --cert tls.crt

  # elsewhere
  pod-checkpointer archive unseal FILE.tar.age --key tls.key -O /tmp/web.tar

The plain archive gets its name only after the last byte of the sealed one was verified; the sealed file stays. That it opens \
says who can read it, not who made it.";

/// What `archive unseal` takes.
#[derive(Debug, Clone, Args)]
pub struct UnsealArgs {
    /// The sealed archive
    file: PathBuf,
    /// Private key in PEM, not encrypted
    #[arg(long, value_name = "KEY.pem")]
    key: PathBuf,
    /// The certificate that it was sealed to, to tell another one's key from a damaged file
    #[arg(long, value_name = "CERT.pem")]
    cert: Option<PathBuf>,
    /// Where to; default: the sealed file's name without .age
    #[arg(short = 'O', long = "out", value_name = "OUT")]
    out: Option<PathBuf>,
}

impl UnsealArgs {
    fn out(&self) -> Result<PathBuf, String> {
        if let Some(out) = &self.out {
            return Ok(out.clone());
        }
        let name = self.file.to_str().and_then(|name| name.strip_suffix(SEALED));
        name.map(PathBuf::from)
            .ok_or_else(|| format!("{} does not end in {SEALED}; say with -O where to", self.file.display()))
    }
}

/// Opens, says the new name, and what the exit code is.
pub(super) fn run(args: &UnsealArgs) -> u8 {
    let inputs = || Ok::<_, String>((args.out()?, pem(&args.key)?, args.cert.as_deref().map(pem).transpose()?));
    let (out, key, certificate) = match inputs() {
        Ok(inputs) => inputs,
        Err(why) => return output::failed(&why, MISUSED),
    };
    let total = std::fs::metadata(&args.file).map_or(0, |file| file.len());
    let progress = Progress::bytes("opening", total);
    let certificate = certificate.as_ref().map(|text| text.as_slice());
    let outcome = unseal_file(&key, certificate, &args.file, &out, &mut |done| progress.at(done));
    drop(progress);
    match outcome {
        Ok(_) => output::print_bytes(format!("{}\n", out.display()).as_bytes()),
        Err(why) => output::failed(&format!("{}: {why}", args.file.display()), FAILED),
    }
}
