//! From header to header through a whole archive, with bounds on everything it may claim. Contents are passed over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use super::ArchiveError;
use super::header::{self, BLOCK, Header, LENGTH, Type};
use super::pax;

/// A process of ten thousand threads has this many files, ten times over.
const MOST_ENTRIES: usize = 100_000;
/// All names together, and everything that precedes entries to say more about them.
const MOST_BYTES: u64 = 16 << 20;
/// One extended header or long name.
const LONGEST_EXTRA: u64 = 1 << 20;
/// Programs fill the last record with zeros: 20 blocks, by the usual blocking factor.
const RECORD: u64 = 20 * BLOCK;

/// What kind of file an entry of the archive becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory, which has no content.
    Directory,
    /// A hard or symbolic link.
    Link,
    /// A device, a pipe, or of no known type.
    Other,
}

/// An entry and the place of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlacedEntry {
    /// Without `./` before it and `/` behind it.
    pub name: String,
    pub size: u64,
    pub kind: EntryKind,
    /// First byte of its content.
    pub at: u64,
}

/// How the entries end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the marker, and nothing but padding after it.
    Marked,
    /// With the marker; then comes something else, which began there.
    Followed(u64),
    /// Between two entries, without a marker.
    Unmarked,
}

/// Bytes that can be read anywhere.
pub(super) trait Bytes {
    /// How many there are.
    fn length(&self) -> io::Result<u64>;
    /// Fills all of `buffer`.
    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

impl Bytes for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }
}

/// Calls `visit` with every entry, in order.
pub(super) fn walk(
    bytes: &dyn Bytes,
    mut visit: impl FnMut(PlacedEntry) -> Result<(), ArchiveError>,
) -> Result<End, ArchiveError> {
    let mut walk = Walk { bytes, size: bytes.length()?, at: 0, entries: 0, extra: 0 };
    loop {
        let Some(block) = walk.block("a header")? else { return Ok(End::Unmarked) };
        if block.iter().all(|byte| *byte == 0) {
            return walk.end();
        }
        let entry = walk.entry(&block)?;
        let content = entry.size;
        visit(entry)?;
        walk.pass("a content", content)?;
    }
}

struct Walk<'a> {
    bytes: &'a dyn Bytes,
    size: u64,
    at: u64,
    entries: usize,
    extra: u64,
}

/// What precedes an entry.
#[derive(Default)]
struct Preface {
    pax: Option<pax::Overrides>,
    name: Option<Vec<u8>>,
    link: bool,
}

impl Walk<'_> {
    /// The next block; `None` at the very end.
    fn block(&mut self, what: &str) -> Result<Option<[u8; LENGTH]>, ArchiveError> {
        if self.at == self.size {
            return Ok(None);
        }
        self.within(what, BLOCK)?;
        let mut block = [0; LENGTH];
        self.bytes.fill(&mut block, self.at)?;
        self.at += BLOCK;
        Ok(Some(block))
    }

    fn within(&self, what: &str, length: u64) -> Result<(), ArchiveError> {
        let inside = self.at.checked_add(length).is_some_and(|end| end <= self.size);
        if inside { Ok(()) } else { Err(ArchiveError::Cut { what: what.to_owned(), at: self.at }) }
    }

    /// Over a content and its padding.
    fn pass(&mut self, what: &str, length: u64) -> Result<(), ArchiveError> {
        self.within(what, length)?;
        // Inside the file, so the sum is far from overflowing.
        let padded = length.next_multiple_of(BLOCK);
        self.within(what, padded)?;
        self.at += padded;
        Ok(())
    }

    fn refuse(&self, why: impl Into<String>) -> ArchiveError {
        ArchiveError::Refused { why: why.into(), at: self.at.saturating_sub(BLOCK) }
    }

    /// The entry that begins with this block, after everything that precedes it.
    fn entry(&mut self, block: &[u8; LENGTH]) -> Result<PlacedEntry, ArchiveError> {
        let mut preface = Preface::default();
        let mut block = *block;
        loop {
            let header = header::parse(&block).map_err(|why| self.refuse(why))?;
            if !self.preface(&header, &mut preface)? {
                return self.placed(header, preface);
            }
            block = match self.block("a header")? {
                Some(block) => block,
                None => return Err(ArchiveError::Cut { what: "an entry".to_owned(), at: self.at }),
            };
        }
    }

    /// Takes up a header that says more about the next one; false if it is an entry itself.
    fn preface(&mut self, header: &Header, preface: &mut Preface) -> Result<bool, ArchiveError> {
        let twice = match header.kind {
            Type::Pax => preface.pax.is_some(),
            Type::LongName => preface.name.is_some(),
            Type::LongLink => std::mem::replace(&mut preface.link, true),
            Type::PaxGlobal => false,
            _ => return Ok(false),
        };
        if twice {
            return Err(self.refuse("an entry has two headers of one kind before it"));
        }
        let content = self.extra(header.size)?;
        match header.kind {
            Type::Pax => preface.pax = Some(pax::parse(&content).map_err(|why| self.refuse(why))?),
            Type::PaxGlobal if pax::parse(&content).map_err(|why| self.refuse(why))? != pax::Overrides::default() => {
                return Err(self.refuse("a global header changes the names or sizes of entries"));
            }
            Type::LongName => preface.name = Some(content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
            _ => {}
        }
        Ok(true)
    }

    /// The content of an extended header or a long name.
    fn extra(&mut self, length: u64) -> Result<Vec<u8>, ArchiveError> {
        self.extra += length.saturating_add(BLOCK);
        if length > LONGEST_EXTRA || self.extra > MOST_BYTES {
            return Err(self.refuse("its headers are too long"));
        }
        self.within("an extended header", length)?;
        let mut content = vec![0; usize::try_from(length).map_err(|_| self.refuse("its headers are too long"))?];
        self.bytes.fill(&mut content, self.at)?;
        self.pass("an extended header", length)?;
        Ok(content)
    }

    fn placed(&mut self, header: Header, preface: Preface) -> Result<PlacedEntry, ArchiveError> {
        let kind = match header.kind {
            Type::File => EntryKind::File,
            Type::Directory => EntryKind::Directory,
            Type::Link => EntryKind::Link,
            Type::Sparse => return Err(self.refuse("an entry is sparse")),
            _ => EntryKind::Other,
        };
        let pax = preface.pax.unwrap_or_default();
        if preface.name.is_some() && pax.path.is_some() {
            return Err(self.refuse("an entry has two names"));
        }
        let name = preface.name.or(pax.path).unwrap_or(header.name);
        let name = clean(&name).ok_or_else(|| {
            let shown = String::from_utf8_lossy(&name).chars().take(100).collect::<String>();
            self.refuse(format!("no entry may be named {shown:?}"))
        })?;
        self.entries += 1;
        self.extra += name.len() as u64;
        if self.entries > MOST_ENTRIES || self.extra > MOST_BYTES {
            return Err(self.refuse("it has too many entries"));
        }
        let has_content = matches!(kind, EntryKind::File | EntryKind::Other) && header.kind != Type::Device;
        let size = if has_content { pax.size.unwrap_or(header.size) } else { 0 };
        Ok(PlacedEntry { name, size, kind, at: self.at })
    }

    /// After the first block of zeros.
    fn end(&mut self) -> Result<End, ArchiveError> {
        let marker = self.at;
        match self.block("the end marker")? {
            None => return Ok(End::Unmarked),
            Some(second) if second.iter().any(|byte| *byte != 0) => {
                return Err(self.refuse("its end marker is no end"));
            }
            Some(_) => {}
        }
        let rest = self.size - self.at;
        if rest >= RECORD {
            return Ok(End::Followed(self.at));
        }
        // Less than a record, as just seen.
        let mut padding = vec![0; usize::try_from(rest).unwrap_or_default()];
        self.bytes.fill(&mut padding, self.at)?;
        let zeros = padding.iter().all(|byte| *byte == 0);
        Ok(if zeros { End::Marked } else { End::Followed(marker + BLOCK) })
    }
}

/// A relative path of names; `None` for what leads elsewhere or cannot be shown.
fn clean(name: &[u8]) -> Option<String> {
    let mut name = std::str::from_utf8(name).ok()?;
    if name.chars().any(char::is_control) || name.starts_with('/') {
        return None;
    }
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    let name = name.trim_end_matches('/');
    if name == "." || name.is_empty() {
        return Some(".".to_owned());
    }
    name.split('/').all(|part| !matches!(part, "" | "." | "..")).then(|| name.to_owned())
}
