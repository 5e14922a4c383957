//! `archive pin` and `archive unpin`: keeps an archive whatever the retention policy says, by the file beside it that says so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output;
use crate::cli::{DONE, FAILED, MISUSED};
use crate::serve::retention::{archive_dir, index};

pub(super) const PIN_EXAMPLES: &str = "\
Examples:
  # keep this one for the investigation, whatever the policy says
  cd /var/lib/kubelet/checkpoints
  pod-checkpointer archive pin checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar

A pin is an empty file beside the archive, with .keep after its name. It holds for the sealed archive too. Pinned archives \
still count: what is above the limit is taken from those that are not.";

pub(super) const UNPIN_EXAMPLES: &str = "\
Examples:
  pod-checkpointer archive unpin checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar

The policy holds for the archive again, from the next time that it is applied.";

/// What `archive pin` and `archive unpin` take.
#[derive(Debug, Clone, Args)]
pub struct PinArgs {
    /// Archives, plain or sealed
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Pins, and says what the exit code is.
pub(super) fn pin(args: &PinArgs) -> u8 {
    each(args, |path, pins| {
        if !path.try_exists().map_err(|why| format!("cannot look at {}: {why}", path.display()))? {
            return Err(format!("{} is not there; `archive ls` shows what is", path.display()));
        }
        let made = OpenOptions::new().write(true).create(true).truncate(false).open(&pins[0]);
        made.and_then(|file| file.sync_all()).map_err(|why| format!("cannot write {}: {why}", pins[0].display()))
    })
}

/// Removes the pin, and says what the exit code is.
pub(super) fn unpin(args: &PinArgs) -> u8 {
    each(args, |_, pins| {
        for pin in pins {
            match fs::remove_file(pin) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("cannot remove {}: {why}", pin.display()));
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// Does it for every file, and makes it durable.
fn each(args: &PinArgs, act: impl Fn(&Path, &[PathBuf; 2]) -> Result<(), String>) -> u8 {
    let mut code = DONE;
    for path in &args.files {
        let stem = path.file_name().and_then(|name| name.to_str()).and_then(index::stem);
        let Some(stem) = stem else {
            let why = format!("{} is not called like a checkpoint archive, so no policy is for it", path.display());
            code = output::failed(&why, MISUSED);
            continue;
        };
        let pins = archive_dir::pins(stem).map(|pin| path.with_file_name(pin));
        if let Err(why) = act(path, &pins).and_then(|()| settle(path)) {
            code = output::failed(&why, FAILED);
        }
    }
    code
}

fn settle(path: &Path) -> Result<(), String> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|why| format!("cannot make it durable in {}: {why}", parent.display()))
}
