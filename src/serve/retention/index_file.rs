//! The index as a file, so that a restart reads no archive again: a line of JSON that says the form and the directory, and
//! one for each file. Pure. Whatever cannot be read of it is read from the archives instead.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::index::{Found, Index, SeenFile};
use super::policy::ContainerKey;
use crate::disk::open_dir::Stamp;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    directory: String,
}

/// Short names: there may be a hundred thousand lines.
#[derive(Serialize, Deserialize)]
struct Line {
    /// File.
    f: String,
    /// Its stamp.
    s: Stamp,
    /// Of the description beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<Stamp>,
    /// Namespace, pod, container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<(String, String, String)>,
    /// When it was checkpointed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<Timestamp>,
    /// Why it will never be whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
    /// Why it is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

/// Writes down what holds as long as its file does not change.
pub fn write(index: &Index, directory: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = |value: serde_json::Result<Vec<u8>>| {
        // Strings and numbers alone: they always have a form in JSON.
        text.extend(value.unwrap_or_default());
        text.push(b'\n');
    };
    line(serde_json::to_vec(&Head { format: FORMAT, directory: directory.to_owned() }));
    for (file, seen) in index.files() {
        if let Some(entry) = entry(file, seen) {
            line(serde_json::to_vec(&entry));
        }
    }
    text
}

fn entry(file: &str, seen: &SeenFile) -> Option<Line> {
    let mut line =
        Line { f: file.to_owned(), s: seen.stamp, b: seen.beside, k: None, t: None, broken: None, unknown: None };
    match &seen.found {
        Found::Whole { key, checkpointed } => {
            line.k = Some((key.namespace.clone(), key.pod.clone(), key.container.clone()));
            line.t = *checkpointed;
        }
        Found::Broken(why) => line.broken = Some(why.clone()),
        Found::Unknown(why) => line.unknown = Some(why.clone()),
        Found::Growing | Found::Unreadable(_) => return None,
    }
    Some(line)
}

/// Reads it for that directory; `None`: of another one, of another form, or damaged.
pub fn read(text: &[u8], directory: &str) -> Option<HashMap<String, SeenFile>> {
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let head: Head = serde_json::from_slice(lines.next()?).ok()?;
    if head.format != FORMAT || head.directory != directory {
        return None;
    }
    // Containers have many archives each; they share their names.
    let mut keys: HashMap<ContainerKey, Arc<ContainerKey>> = HashMap::new();
    let mut found = HashMap::new();
    for line in lines {
        let line: Line = serde_json::from_slice(line).ok()?;
        let what = match (line.k, line.broken, line.unknown) {
            (Some((namespace, pod, container)), None, None) => {
                let key = ContainerKey { namespace, pod, container };
                let key = keys.entry(key).or_insert_with_key(|key| Arc::new(key.clone()));
                Found::Whole { key: Arc::clone(key), checkpointed: line.t }
            }
            (None, Some(why), None) => Found::Broken(why),
            (None, None, Some(why)) => Found::Unknown(why),
            _ => return None,
        };
        found.insert(line.f, SeenFile { stamp: line.s, beside: line.b, found: what });
    }
    Some(found)
}
