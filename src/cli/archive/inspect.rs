//! `archive inspect`: whose one archive is, whether it is whole, and what is in it.

use std::fmt::Write;
use std::fs::File;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::size;
use crate::archive::complete::{self, Completeness};
use crate::archive::metadata::Metadata;
use crate::archive::reader::{self, Contents, Entry, EntryKind};
use crate::cli::FAILED;
use crate::cli::output::{self, Format};

pub(super) const EXAMPLES: &str = "\
Examples:
  # of which image is it, and how much of it is memory?
  pod-checkpointer archive inspect checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar

  # for a script
  pod-checkpointer archive inspect -o json FILE | jq -r .metadata.image_ref

Only headers and two small files in it are read, so it is quick whatever its size. A sealed archive has to be opened first: \
`pod-checkpointer archive unseal`.";

/// What `archive inspect` takes.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// The archive
    file: PathBuf,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Serialize)]
struct Document {
    file: String,
    size: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    metadata: Metadata,
    entries: Vec<Entry>,
}

/// Looks, prints, and says what the exit code is.
pub(super) fn run(args: &InspectArgs) -> u8 {
    let document = match look(args) {
        Ok(document) => document,
        Err(why) => return output::failed(&format!("{}: {why}", args.file.display()), FAILED),
    };
    match args.output {
        Format::Json => output::print_json(&document),
        Format::Table => output::print_bytes(text(&document).as_bytes()),
    }
}

fn look(args: &InspectArgs) -> Result<Document, String> {
    if args.file.extension().is_some_and(|ending| ending == "age") {
        return Err("it is sealed; open it with `pod-checkpointer archive unseal`".to_owned());
    }
    let file = File::open(&args.file).map_err(|why| format!("cannot open it: {why}"))?;
    // As far as it goes.
    let rest = || reader::read(&file).map_err(|why| why.to_string());
    let (state, why, contents) = match complete::read(&file).map_err(|why| why.to_string())? {
        Completeness::Complete(contents) => ("complete", None, *contents),
        Completeness::BeingWritten => ("being-written", None, rest()?),
        Completeness::Incomplete(why) => ("incomplete", Some(why), rest()?),
    };
    let Contents { metadata, entries, size } = contents;
    Ok(Document { file: args.file.display().to_string(), size, state, why, metadata, entries })
}

fn text(document: &Document) -> String {
    let Metadata {
        engine,
        namespace,
        pod,
        pod_uid,
        container,
        runtime,
        image_name,
        image_ref,
        image,
        created,
        checkpointed,
    } = &document.metadata;
    let time = |time: &Option<jiff::Timestamp>| time.map_or_else(String::new, |time| time.to_string());
    let state = document.why.as_ref().map_or(document.state.to_owned(), |why| format!("{}: {why}", document.state));
    let facts = [
        ("container", format!("{namespace}/{pod}/{container}")),
        ("pod UID", pod_uid.clone().unwrap_or_default()),
        ("written by", format!("{} ({runtime})", engine.name())),
        ("image", image_name.clone()),
        ("by digest or id", image_ref.clone()),
        ("as asked for", image.clone()),
        ("created", time(created)),
        ("checkpointed", time(checkpointed)),
        ("state", state),
        ("size", size(document.size)),
    ];
    let mut text = String::new();
    for (what, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{what:16} {value}");
    }
    text + "\n" + &entries(&document.entries) + "\n"
}

fn entries(entries: &[Entry]) -> String {
    let mut table = output::table(&["SIZE", "KIND", "NAME"]);
    for entry in entries {
        let kind = match entry.kind {
            EntryKind::File => "file",
            EntryKind::Directory => "directory",
            EntryKind::Link => "link",
            EntryKind::Other => "other",
        };
        table.add_row([size(entry.size).as_str(), kind, &entry.name]);
    }
    output::trimmed(&table)
}
