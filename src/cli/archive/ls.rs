//! `archive ls`: one line for each archive of a directory. What cannot be read is shown as such.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::size;
use crate::archive::complete::{self, Completeness};
use crate::archive::metadata::Metadata;
use crate::archive::name::ArchiveName;
use crate::archive::sidecar::{self, Sidecar};
use crate::cli::output::{self, Format};
use crate::cli::{DONE, FAILED};

pub(super) const EXAMPLES: &str = "\
Examples:
  # what the kubelet of this node has taken
  pod-checkpointer archive ls

  # the largest first
  pod-checkpointer archive ls -o json | jq 'sort_by(-.size)[] | {file, size}'

The owner is read from the archive itself, for its name cannot say it without doubt. Of a sealed archive it is what the \
description beside it (.json) says. An archive without its end is `being written` for two minutes after its last change, \
then `incomplete`.";

/// What `archive ls` takes.
#[derive(Debug, Clone, Args)]
pub struct LsArgs {
    /// Directory of archives
    #[arg(value_name = "DIR", default_value = "/var/lib/kubelet/checkpoints")]
    dir: PathBuf,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// What is known of one archive.
#[derive(Debug, Serialize)]
struct Line {
    file: String,
    size: u64,
    sealed: bool,
    /// `complete`, `being-written`, `incomplete` or `unreadable`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    at: Timestamp,
    /// Absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    /// By the file's name, for those that cannot be read.
    #[serde(skip)]
    pod: String,
}

/// Looks, prints, and says what the exit code is: unreadable archives are no failure.
pub(super) fn run(args: &LsArgs) -> u8 {
    let mut lines = match list(&args.dir) {
        Ok(lines) => lines,
        Err(why) => {
            let why =
                format!("cannot list {}: {why}; run it as root on the node, or name the directory", args.dir.display());
            return output::failed(&why, FAILED);
        }
    };
    lines.sort_by(|one, other| (one.at, &one.file).cmp(&(other.at, &other.file)));
    match args.output {
        Format::Json => output::print_json(&lines),
        Format::Table if lines.is_empty() => output::failed(&format!("no archive in {}", args.dir.display()), DONE),
        Format::Table => output::print_bytes(table(&lines).as_bytes()),
    }
}

fn list(dir: &Path) -> std::io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some((file, name)) = entry.file_name().to_str().and_then(|f| Some((f.to_owned(), ArchiveName::parse(f)?)))
        else {
            continue;
        };
        // A link may lead anywhere, and a pipe never answers.
        if entry.file_type()?.is_file() {
            lines.push(line(&entry.path(), file, &name));
        }
    }
    Ok(lines)
}

fn line(path: &Path, file: String, name: &ArchiveName) -> Line {
    let pod = name.pod.clone();
    let mut line =
        Line { file, size: 0, sealed: name.sealed, state: "unreadable", why: None, at: name.at, metadata: None, pod };
    let outcome = if name.sealed { sealed(path, &mut line) } else { plain(path, &mut line) };
    if let Err(why) = outcome {
        line.why = Some(why);
    }
    line
}

fn plain(path: &Path, line: &mut Line) -> Result<(), String> {
    let file = File::open(path).map_err(|why| why.to_string())?;
    line.size = file.metadata().map_err(|why| why.to_string())?.len();
    match complete::read(&file).map_err(|why| why.to_string())? {
        Completeness::Complete(contents) => {
            line.metadata = Some(contents.metadata);
            line.state = "complete";
        }
        Completeness::BeingWritten => line.state = "being-written",
        Completeness::Incomplete(why) => {
            line.state = "incomplete";
            line.why = Some(why);
        }
    }
    Ok(())
}

/// A sealed file has its name only once it is whole.
fn sealed(path: &Path, line: &mut Line) -> Result<(), String> {
    line.size = fs::metadata(path).map_err(|why| why.to_string())?.len();
    line.state = "complete";
    let mut text = Vec::new();
    let beside = path.with_file_name(format!("{}{}", line.file, sidecar::ENDING));
    File::open(&beside)
        .and_then(|file| file.take(sidecar::LONGEST).read_to_end(&mut text))
        .map_err(|why| format!("its owner is unknown: cannot read {}: {why}", beside.display()))?;
    line.metadata = Some(Sidecar::parse(&text).map_err(|why| format!("{}: {why}", beside.display()))?.metadata);
    Ok(())
}

fn table(lines: &[Line]) -> String {
    let mut table = output::table(&["NAMESPACE", "POD", "CONTAINER", "TAKEN", "SIZE", "STATE", "SEALED", "WHY"]);
    for line in lines {
        let (namespace, pod, container) = match &line.metadata {
            Some(of) => (of.namespace.as_str(), of.pod.as_str(), of.container.as_str()),
            None => ("?", line.pod.as_str(), "?"),
        };
        let (at, size) = (line.at.to_string(), size(line.size));
        let sealed = if line.sealed { "yes" } else { "no" };
        table.add_row([
            namespace,
            pod,
            container,
            &at,
            &size,
            line.state,
            sealed,
            line.why.as_deref().unwrap_or_default(),
        ]);
    }
    output::trimmed(&table) + "\n"
}
