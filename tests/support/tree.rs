//! A directory as people look at it: names, sizes and modes; never what is in a file.

use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One line an entry, indented, sorted. A directory with nothing but one directory stands on one line with it, and of
/// symbolic links only those to directories are shown.
pub fn lines(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    beneath(dir, 0, &mut lines);
    lines
}

fn beneath(dir: &Path, depth: usize, lines: &mut Vec<String>) {
    for entry in entries(dir) {
        let Ok(meta) = entry.metadata() else { continue };
        let name = format!("{}{}", "  ".repeat(depth), entry.file_name().to_string_lossy());
        let mode = meta.mode() & 0o7777;
        if meta.is_dir() {
            let (path, chain) = chain(&entry);
            lines.push(format!("{mode:04o} {:>6}  {name}/{chain}", ""));
            beneath(&path, depth + 1, lines);
        } else if meta.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            if entry.path().is_dir() {
                lines.push(format!("{:11}  {name} -> {}", "", target.display()));
            }
        } else {
            let linked = if meta.nlink() > 1 { "  (two names, one file)" } else { "" };
            lines.push(format!("{mode:04o} {:>6}  {name}{linked}", meta.len()));
        }
    }
}

fn entries(dir: &Path) -> Vec<DirEntry> {
    let mut entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
    entries.sort_by_key(DirEntry::file_name);
    entries
}

/// Down to the first directory with a choice, and the names on the way.
fn chain(from: &DirEntry) -> (std::path::PathBuf, String) {
    let (mut path, mut names) = (from.path(), String::new());
    while let [only] = entries(&path).as_slice()
        && only.path().is_dir()
    {
        path = only.path();
        names.push_str(&only.file_name().to_string_lossy());
        names.push('/');
    }
    (path, names)
}
