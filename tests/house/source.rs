//! A source file as the house rules see it: code and comments apart, text of strings blanked, test modules marked.

use std::path::{Path, PathBuf};

/// One line.
#[derive(Debug, Default, Clone)]
pub struct Line {
    /// What the compiler sees, without what stands in strings.
    pub code: String,
    /// What people see.
    pub comment: String,
    /// Belongs to an item under `#[cfg(test)]`.
    pub test: bool,
}

/// A file of the project.
#[derive(Debug)]
pub struct Source {
    /// From the project's root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Source {
    /// Reads a file that lies beneath the root.
    pub fn read(root: &Path, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let path = file.strip_prefix(root).expect("it was found there").to_string_lossy().into_owned();
        let lines = if file.extension().is_some_and(|e| e == "rs") { lines(&text) } else { Vec::new() };
        Self { path, text, lines }
    }

    /// Its code that is not only for tests, numbered from 1.
    pub fn product(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.test)
    }

    /// Is for tests alone.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
    }
}

/// Every file beneath a folder of the project with one of these endings; none where there is no such folder.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.retain(|file| file.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)));
    found.sort();
    found.iter().map(|file| Source::read(root, file)).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            // Build outputs that somebody keeps inside.
            if !path.ends_with("target") {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Where the lexer is.
enum In {
    Code,
    LineComment,
    /// How deep.
    BlockComment(u32),
    /// How many `#` end it; `None`: a string with escapes.
    Text(Option<usize>),
}

fn lines(text: &str) -> Vec<Line> {
    let mut done = Vec::new();
    let mut line = Line::default();
    let mut state = In::Code;
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        if rest[0] == '\n' {
            done.push(std::mem::take(&mut line));
            if matches!(state, In::LineComment) {
                state = In::Code;
            }
            at += 1;
            continue;
        }
        let step;
        (step, state) = token(state, rest, &mut line);
        at += step;
    }
    done.push(line);
    mark_tests(&mut done);
    done
}

/// One token; how long it was, and where the lexer is after it.
fn token(state: In, rest: &[char], line: &mut Line) -> (usize, In) {
    let begins = |what: &str| rest.iter().copied().take(what.len()).eq(what.chars());
    match state {
        In::BlockComment(1) if begins("*/") => (2, In::Code),
        In::BlockComment(depth) if begins("*/") => (2, In::BlockComment(depth - 1)),
        In::BlockComment(depth) if begins("/*") => (2, In::BlockComment(depth + 1)),
        In::LineComment | In::BlockComment(_) => {
            line.comment.push(rest[0]);
            (1, state)
        }
        In::Text(None) if rest[0] == '\\' && rest.get(1) != Some(&'\n') => (2, state),
        In::Text(hashes) if begins(&format!("\"{}", "#".repeat(hashes.unwrap_or(0)))) => {
            line.code.push('"');
            (1 + hashes.unwrap_or(0), In::Code)
        }
        In::Text(_) => (1, state),
        In::Code if begins("//") => (1, In::LineComment),
        In::Code if begins("/*") => (2, In::BlockComment(1)),
        In::Code => code(rest, &mut line.code),
    }
}

/// The same in code.
fn code(rest: &[char], code: &mut String) -> (usize, In) {
    let in_name = code.ends_with(|c: char| c.is_alphanumeric() && !matches!(c, 'b' | 'c') || c == '_');
    if rest[0] == 'r' && !in_name {
        let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
        if rest.get(1 + hashes) == Some(&'"') {
            code.push('"');
            return (2 + hashes, In::Text(Some(hashes)));
        }
    }
    if rest[0] == '\'' {
        // A lifetime has no second quote.
        let length = match (rest.get(1), rest.get(2)) {
            (Some('\\'), _) => rest.iter().skip(3).position(|c| *c == '\'').map(|quote| quote + 4),
            (Some(_), Some('\'')) => Some(3),
            _ => None,
        };
        if let Some(length) = length {
            code.push_str("' '");
            return (length, In::Code);
        }
    }
    code.push(rest[0]);
    (1, if rest[0] == '"' { In::Text(None) } else { In::Code })
}

/// From `#[cfg(test)]` to the end of its item.
fn mark_tests(lines: &mut [Line]) {
    let mut at = 0;
    while at < lines.len() {
        if !lines[at].code.contains("#[cfg(test)]") {
            at += 1;
            continue;
        }
        let mut depth = 0_i32;
        loop {
            lines[at].test = true;
            let code = lines[at].code.clone();
            let opens = code.matches('{').count();
            depth += i32::try_from(opens).expect("few") - i32::try_from(code.matches('}').count()).expect("few");
            let ends = depth == 0 && (opens > 0 || code.contains('}') || code.trim_end().ends_with(';'));
            at += 1;
            if ends || at == lines.len() {
                break;
            }
        }
    }
}
