//! `archive push`: an archive becomes an image in a registry, from which a runtime restores it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Error, bail};

use crate::archive::complete::{self, Completeness};
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::cli::{FAILED, MISUSED, runtime};
use crate::http_client::tls;
use crate::image::push;
use crate::image::push::{PushError, Pushed, is_sealed};
use crate::registry::{Credentials, ImageReference, Registry, RegistryLimits, RegistryOptions};

/// Shown below `archive push --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  # to a registry that knows you by `docker login`
  pod-checkpointer archive push checkpoint-web_shop-app-2026-11-21T07:00:00Z.tar quay.io/shop/checkpoints:web-1 \\
    --docker-config ~/.docker/config.json

  # to one in the cluster that speaks plain HTTP
  pod-checkpointer archive push web.tar 10.0.0.5:5000/checkpoints:web-1 --plain-http 10.0.0.5:5000

  # the digest alone, to restore exactly this
  pod-checkpointer archive push web.tar registry.shop.example/checkpoints:web-1 -o json | jq -r .digest

A pod whose container has the pushed image is restored from it where the runtime can do that. Whoever may pull the image \
can read the container's memory: keep the repository private.
Exit codes: 0 pushed; 1 it failed, or the archive is not complete; 2 flags or files that cannot be used.";

/// Flags of `archive push`.
#[derive(Debug, Clone, clap::Args)]
pub struct PushArgs {
    /// The archive, as the kubelet left it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to: HOST[:PORT]/REPOSITORY[:TAG]
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// A registry that speaks plain HTTP, as in REFERENCE; may be given more than once
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,
    /// PEM file of CAs that registries may have besides the public ones
    #[arg(long, value_name = "FILE")]
    registry_ca: Option<PathBuf>,
    /// Name and password by registry, as `docker login` writes them; without it, nobody's
    #[arg(long, value_name = "FILE")]
    docker_config: Option<PathBuf>,
    /// Give up after so long
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = crate::duration::parse)]
    timeout: Duration,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Pushes, and says what the exit code is.
pub(super) fn run(args: &PushArgs) -> u8 {
    let prepared = prepare(args);
    let (registry, reference) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => return output::failed(&format!("{why:#}"), MISUSED),
    };
    match work(args, &registry, &reference) {
        Ok(pushed) => match args.output {
            Format::Json => output::print_json(&pushed),
            Format::Table => output::print_bytes(text(&pushed).as_bytes()),
        },
        Err(why) => output::failed(&format!("{why:#}"), FAILED),
    }
}

/// What the flags say.
fn prepare(args: &PushArgs) -> Result<(Registry, ImageReference), Error> {
    let reference = ImageReference::parse(&args.reference)?;
    let ca = args.registry_ca.as_deref().map(tls::certificates_of).transpose()?.unwrap_or_default();
    let credentials = match &args.docker_config {
        None => Credentials::none(),
        Some(path) => {
            let json = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let json = zeroize::Zeroizing::new(json);
            Credentials::from_docker_config(&json).with_context(|| path.display().to_string())?
        }
    };
    let limits = RegistryLimits { total: args.timeout, ..RegistryLimits::default() };
    Ok((Registry::new(RegistryOptions { plain_http: args.plain_http.clone(), ca, credentials, limits })?, reference))
}

fn work(args: &PushArgs, registry: &Registry, reference: &ImageReference) -> Result<Pushed, Error> {
    let path = args.file.as_path();
    let file = open(path)?;
    let contents = match complete::read(&file).with_context(|| path.display().to_string())? {
        Completeness::Complete(contents) => contents,
        Completeness::BeingWritten => bail!("{} is still being written; push it when it is complete", path.display()),
        Completeness::Incomplete(why) => {
            bail!("{} is not complete and will not be: {why}; take another checkpoint", path.display())
        }
    };
    let progress = Progress::bytes("pushing", contents.size);
    let runtime = runtime().context("cannot begin")?;
    let pushed = runtime.block_on(push::push(registry, reference, file, &contents.metadata, &|done| progress.at(done)));
    // A disk that hangs must not keep the process.
    runtime.shutdown_background();
    Ok(pushed?)
}

/// A regular file with something in it that may be pushed.
fn open(path: &Path) -> Result<File, Error> {
    let shown = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(shown)?;
    if !file.metadata().with_context(shown)?.is_file() {
        return Err(
            Error::from(io::Error::from(io::ErrorKind::InvalidInput)).context(format!("{} is no file", path.display()))
        );
    }
    if is_sealed(&file).with_context(shown)? {
        return Err(Error::from(PushError::Sealed).context(path.display().to_string()));
    }
    Ok(file)
}

fn text(pushed: &Pushed) -> String {
    format!("{}\n{}\n", pushed.reference, pushed.digest)
}
