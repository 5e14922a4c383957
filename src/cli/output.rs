//! What commands print: answers to stdout, everything else to stderr. A reader that went away is not an error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::{DONE, FAILED};

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Width of tables where there is no terminal to ask.
const WIDTH: u16 = 160;

/// Prints, and says what the exit code is.
pub(super) fn print_bytes(bytes: &[u8]) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            failed(&format!("cannot write the answer: {why}"), FAILED)
        }
        _ => DONE,
    }
}

/// Prints a document as JSON.
pub(super) fn print_json(document: &impl Serialize) -> u8 {
    match serde_json::to_string_pretty(document) {
        Ok(text) => print_bytes((text + "\n").as_bytes()),
        Err(why) => failed(&why, FAILED),
    }
}

/// Says on stderr what went wrong.
pub(super) fn failed(why: &impl Display, code: u8) -> u8 {
    complain(why);
    code
}

/// Says something beside the answer, on stderr.
pub(super) fn complain(what: &impl Display) {
    // Nothing can be told to somebody who closed stderr.
    let _ = writeln!(io::stderr(), "pod-checkpointer: {what}");
}

/// An empty table: columns apart by blanks, so that `grep` and `awk` work on it, cells wrapped to the terminal.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().copied());
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width());
    table
}

fn width() -> u16 {
    if !io::stdout().is_terminal() {
        return WIDTH;
    }
    terminal_width().unwrap_or(WIDTH)
}

/// Clap measures the terminal for its help with this crate too.
fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| width)
}

/// The table without the blanks at the ends of its lines.
pub(super) fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
