//! `archive prune`: holds a directory to a policy file once, without a cluster; with `--dry-run`, says what that would do.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::size;
use crate::cli::output::{self, Format};
use crate::cli::{DONE, FAILED, MISUSED};
use crate::serve::retention::archive_dir::{ArchiveDir, DeletionOutcome};
use crate::serve::retention::metrics::RetentionMetrics;
use crate::serve::retention::policy::Policy;
use crate::serve::retention::policy_watch;
use crate::serve::retention::select::{Circumstances, Deletion, SelectionScope, select};
use crate::serve::retention::spec;
use crate::serve::retention::spec::Read;

pub(super) const EXAMPLES: &str = "\
Examples:
  # what would go, and why
  pod-checkpointer archive prune --policy policy.yaml --dry-run

  # the bytes that a policy would free
  pod-checkpointer archive prune --policy policy.yaml --dry-run -o json | jq 'map(.size) | add'

  # on a node without `serve`
  pod-checkpointer archive prune --policy policy.yaml --yes

The policy is a CheckpointRestoreOperator, or its spec alone. It is applied to everything that lies there, whatever it says \
about doing so at once. Without the API server nobody knows which pods are gone, so no archive is taken for an orphan.";

/// What `archive prune` takes.
#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// Directory of archives; by default the one that the policy names
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The policy, in YAML
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Delete nothing, print what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before deleting
    #[arg(long)]
    yes: bool,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    taken: Timestamp,
    size: u64,
    reason: &'static str,
    why: String,
}

/// Looks, asks, deletes, and says what the exit code is.
pub(super) fn run(args: &PruneArgs) -> u8 {
    let Read { policy, notes } = match read(&args.policy) {
        Ok(read) => read,
        Err(why) => return output::failed(&why, MISUSED),
    };
    for note in notes {
        output::failed(&format!("note: {note}"), DONE);
    }
    match prune(args, &policy) {
        Ok(code) => code,
        Err(why) => output::failed(&why, FAILED),
    }
}

fn read(path: &Path) -> Result<Read, String> {
    let text = fs::read_to_string(path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    let document = policy_watch::document(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    spec::read_document(&document).map_err(|refusals| {
        let all: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        format!("{} is no policy: {}", path.display(), all.join("; "))
    })
}

fn prune(args: &PruneArgs, policy: &Policy) -> Result<u8, String> {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&policy.directory));
    let text = |why: crate::disk::files::FileError| why.to_string();
    let mut archive_dir = ArchiveDir::open(&dir, None, RetentionMetrics::default()).map_err(text)?;
    archive_dir.rescan().map_err(text)?;
    let mut known = Circumstances::at(Timestamp::now());
    known.room = archive_dir.room().ok();
    let chosen = select(archive_dir.index(), policy, &known, SelectionScope::All);
    let shown = show(args.output, &chosen);
    if args.dry_run || policy.dry_run || chosen.is_empty() || shown != DONE {
        return Ok(shown);
    }
    let bytes: u64 = chosen.iter().map(|deletion| deletion.size).sum();
    let question = format!("delete these {} files ({}) of {}?", chosen.len(), size(bytes), dir.display());
    if !(args.yes || agreed(&question)?) {
        return Ok(output::failed(&"nothing was deleted", FAILED));
    }
    if !archive_dir.may_delete().map_err(text)? {
        return Err(format!("another process keeps {}: let `serve` do it, by a policy of its own", dir.display()));
    }
    Ok(delete(&mut archive_dir, &chosen))
}

fn delete(archive_dir: &mut ArchiveDir, chosen: &[Deletion]) -> u8 {
    let mut code = DONE;
    for deletion in chosen {
        match archive_dir.delete(deletion) {
            Ok(DeletionOutcome::Removed) => {}
            Ok(DeletionOutcome::Left) => {
                output::failed(&format!("{} changed or was pinned meanwhile; it stays", deletion.file), DONE);
            }
            Err(why) => code = output::failed(&why, FAILED),
        }
    }
    archive_dir.settle().map_or_else(|why| output::failed(&why, FAILED), |()| code)
}

fn agreed(question: &str) -> Result<bool, String> {
    if !io::stdin().is_terminal() {
        return Err("say --yes to delete, or --dry-run to look".to_owned());
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(|why| format!("cannot ask: {why}"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn show(format: Format, chosen: &[Deletion]) -> u8 {
    match format {
        Format::Json => output::print_json(&chosen.iter().map(line).collect::<Vec<_>>()),
        Format::Table if chosen.is_empty() => output::failed(&"nothing is to be deleted", DONE),
        Format::Table => {
            let mut table = output::table(&["FILE", "OF", "TAKEN", "SIZE", "WHY"]);
            for Line { file, of, taken, size: bytes, why, .. } in chosen.iter().map(line) {
                table.add_row([file, of.as_deref().unwrap_or("?"), &taken.to_string(), &size(bytes), &why]);
            }
            output::print_bytes((output::trimmed(&table) + "\n").as_bytes())
        }
    }
}

fn line(deletion: &Deletion) -> Line<'_> {
    Line {
        file: &deletion.file,
        of: deletion.key.as_ref().map(ToString::to_string),
        taken: deletion.at,
        size: deletion.size,
        reason: deletion.why.label(),
        why: deletion.why.to_string(),
    }
}
