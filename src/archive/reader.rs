//! What is in an archive and whose it is: one pass over its headers, and the two small files that say so.

use std::fs::File;

use serde::Serialize;
use zeroize::Zeroizing;

use super::ArchiveError;
use super::entries::{Bytes, PlacedEntry, walk};
use super::metadata::Metadata;

pub use super::entries::EntryKind;

const CONFIG: &str = "config.dump";
const SPEC: &str = "spec.dump";
/// Both are JSON of some kilobytes; whoever restores them reads no more either.
const LONGEST: u64 = 16 << 20;

/// Everything that is read of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The container that it is a checkpoint of, and when it was taken.
    pub metadata: Metadata,
    /// In the order of the archive.
    pub entries: Vec<Entry>,
    /// Bytes of the whole file.
    pub size: u64,
}

/// One thing in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Relative path, never with `..`.
    pub name: String,
    /// Bytes of its content.
    pub size: u64,
    /// File, directory, link or something else.
    pub kind: EntryKind,
}

/// Reads headers and the two files, wherever the file's position is. It blocks.
///
/// # Errors
/// It is cut off, unsafe, or no container's checkpoint. That something follows its end is none; see
/// [`super::complete::read`].
pub fn read(file: &File) -> Result<Contents, ArchiveError> {
    from(file)
}

/// The same, of anything.
pub(super) fn from(bytes: &dyn Bytes) -> Result<Contents, ArchiveError> {
    let mut gathered = Gathered::default();
    walk(bytes, |entry| gathered.take(bytes, entry))?;
    gathered.contents(bytes)
}

/// What one pass has found so far.
#[derive(Default)]
pub(super) struct Gathered {
    config: Option<Zeroizing<Vec<u8>>>,
    spec: Option<Zeroizing<Vec<u8>>>,
    entries: Vec<Entry>,
}

impl Gathered {
    /// Takes up the next entry.
    pub(super) fn take(&mut self, bytes: &dyn Bytes, entry: PlacedEntry) -> Result<(), ArchiveError> {
        match entry.name.as_str() {
            CONFIG => small(bytes, CONFIG, &entry, &mut self.config)?,
            SPEC => small(bytes, SPEC, &entry, &mut self.spec)?,
            _ => {}
        }
        self.entries.push(Entry { name: entry.name, size: entry.size, kind: entry.kind });
        Ok(())
    }

    /// After the last entry.
    pub(super) fn contents(self, bytes: &dyn Bytes) -> Result<Contents, ArchiveError> {
        let config = self.config.ok_or(ArchiveError::Missing(CONFIG))?;
        let spec = self.spec.ok_or(ArchiveError::Missing(SPEC))?;
        let metadata = Metadata::parse(&config, &spec)?;
        Ok(Contents { metadata, entries: self.entries, size: bytes.length()? })
    }
}

/// The specification has the container's environment in it, and so its secrets.
fn small(
    bytes: &dyn Bytes,
    name: &str,
    entry: &PlacedEntry,
    into: &mut Option<Zeroizing<Vec<u8>>>,
) -> Result<(), ArchiveError> {
    let refuse = |why: &str| Err(ArchiveError::Refused { why: format!("{name} {why}"), at: entry.at });
    if entry.kind != EntryKind::File {
        return refuse("is no regular file");
    }
    if into.is_some() {
        return refuse("is there twice");
    }
    if entry.size > LONGEST {
        return refuse("is longer than 16 MiB");
    }
    // Before memory is taken for it.
    if entry.at.checked_add(entry.size).is_none_or(|end| bytes.length().is_ok_and(|length| end > length)) {
        return Err(ArchiveError::Cut { what: name.to_owned(), at: entry.at });
    }
    // At most 16 MiB.
    let mut content = Zeroizing::new(vec![0; usize::try_from(entry.size).unwrap_or_default()]);
    bytes.fill(&mut content, entry.at)?;
    *into = Some(content);
    Ok(())
}
