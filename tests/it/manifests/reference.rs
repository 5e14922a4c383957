//! `docs/reference.md` says what the program says of itself; `UPDATE_DOCS=1` makes it anew.

use std::fmt::Write;

use clap::{Arg, Command};
use pod_checkpointer::cli;
use pod_checkpointer::pod::annotation;
use pod_checkpointer::pod::annotation::effects::{EFFECTS, Fate, Keys};
use pod_checkpointer::serve::config::{Use, VARIABLES};
use pod_checkpointer::serve::retention::status;

use super::metrics::{of_agent, of_serve};
use super::root;

const HEAD: &str = "\
<!-- Made by `UPDATE_DOCS=1 cargo test --test it reference`; changes by hand are lost. -->

# Reference

Every command, variable, metric, annotation and Event. Names of metrics and of what `-o json` prints are stable within a major
version.
";

/// One row of a table: a `|` within it would be the end of a cell.
fn row(out: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    writeln!(out, "| {} |", cells.join(" | ")).unwrap();
}

fn table(out: &mut String, names: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    out.push('\n');
    row(out, names);
    row(out, &vec!["---"; names.len()]);
    for cells in rows {
        row(out, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn flag(arg: &Arg) -> Vec<String> {
    let values = arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>"));
    let values = if arg.get_action().takes_values() { values.collect::<Vec<_>>().join(" ") } else { String::new() };
    let names = arg.get_short().map(|short| format!("-{short}")).into_iter();
    let names: Vec<_> = names.chain(arg.get_long().map(|long| format!("--{long}"))).collect();
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let mut help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let possible: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if arg.get_action().takes_values() && !possible.is_empty() {
        write!(help, " (one of {})", possible.join(", ")).unwrap();
    }
    for alias in arg.get_all_aliases().unwrap_or_default() {
        write!(help, " (deprecated name: `--{alias}`)").unwrap();
    }
    let env = arg.get_env().map(|env| env.to_string_lossy()).unwrap_or_default();
    vec![code(format!("{} {values}", names.join(", ")).trim()), code(&env), code(&default.join(", ")), help]
}

const OTHERS: &str = "
### Of others

Annotations that are known to do something to a pod on its node. What the kubelet, the runtime or its plugins read from the pod that they start is kept. What
somebody looks up at the API server does nothing while that is away: it is left out, and the pod is reported as lacking it, unless it is in the host's network.
`--keep-annotation` keeps any other that begins so. All that are not named here are left out without a word.
";

fn command(out: &mut String, path: &str, of: &Command) {
    let path = format!("{path} {}", of.get_name()).trim_start().to_owned();
    let about = of.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(out, "\n### {path}\n\n{about}.").unwrap();
    let shown: Vec<_> = of.get_arguments().filter(|arg| !arg.is_hide_set()).map(flag).collect();
    if !shown.is_empty() {
        table(out, &["flag", "variable", "default", "meaning"], shown);
    }
    let help = of.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    if let Some((_, codes)) = help.split_once("Exit codes: ") {
        writeln!(out, "\nExit codes: {}", codes.replace('\n', " ")).unwrap();
    }
    for sub in of.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        command(out, &path, sub);
    }
}

/// Names as they are scraped, from an answer in which every metric has a series.
fn metrics(out: &mut String, scraped: &str) {
    let lines: Vec<_> = scraped.lines().collect();
    let rows = lines.iter().enumerate().filter_map(|(at, line)| {
        let (name, help) = line.strip_prefix("# HELP ")?.split_once(' ')?;
        let kind = lines[at + 1].rsplit(' ').next()?;
        let series = lines[at + 2];
        assert!(series.starts_with(name), "{name} has no series: {series}");
        let full = &series[..series.find(['{', ' '])?];
        let inner = series.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inner, _)| inner);
        let labels: Vec<_> =
            inner.split("\",").filter_map(|pair| pair.split_once('=')).map(|(label, _)| code(label)).collect();
        Some(vec![code(full), kind.to_owned(), labels.join(", "), help.to_owned()])
    });
    table(out, &["metric", "type", "labels", "meaning"], rows);
}

fn pairs(out: &mut String, names: [&str; 2], rows: &[(&str, &str)]) {
    table(out, &names, rows.iter().map(|(name, meaning)| vec![code(name), meaning.trim().to_owned()]));
}

fn reference() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Commands\n");
    command(&mut out, "", &cli::command());
    out.push_str("\n## Exit codes\n");
    table(
        &mut out,
        &["code", "meaning"],
        cli::EXIT_CODES.map(|(code, meaning)| vec![code.to_string(), meaning.to_owned()]),
    );
    out.push_str("\n## Environment of `serve`\n");
    let rows = VARIABLES.map(|variable| {
        let (usage, meaning) = match variable.usage {
            Use::Required(flag) => (format!("required; `{flag}`"), variable.meaning),
            Use::Sets(flag) => (code(flag), variable.meaning),
            Use::Ignored(why) => ("ignored".to_owned(), why),
        };
        vec![code(variable.name), usage, meaning.to_owned()]
    });
    table(&mut out, &["variable", "flag", "meaning"], rows);
    out.push_str("\n## Metrics of the agent\n");
    metrics(&mut out, &of_agent());
    out.push_str("\n## Metrics of `serve`\n");
    metrics(&mut out, &of_serve());
    out.push_str("\n## Annotations\n");
    pairs(&mut out, ["annotation", "meaning"], annotation::ALL);
    out.push_str(OTHERS);
    let rows = EFFECTS.iter().map(|(keys, fate, what)| {
        let keys = match keys {
            Keys::Key(key) => code(key),
            Keys::Prefix(prefix) => code(&format!("{prefix}*")),
            Keys::Domain(domain) => format!("{}, {}", code(&format!("{domain}/*")), code(&format!("*.{domain}/*"))),
        };
        let fate = match fate {
            Fate::Kept => "kept",
            Fate::Left => "left out, and said in `status`",
        };
        vec![keys, fate.to_owned(), (*what).to_owned()]
    });
    table(&mut out, &["annotation", "in a checkpoint", "what it does, by whom"], rows);
    out.push_str("\n## Events\n");
    pairs(&mut out, ["reason", "meaning"], &status::EVENTS);
    out
}

#[test]
fn the_reference_says_what_the_program_says() {
    let (path, made) = (root().join("docs/reference.md"), reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "docs/reference.md: make it anew: UPDATE_DOCS=1 cargo test --test it reference");
}
