//! A source file as the rules see it: words and signs with their lines, comments and strings apart, tests marked.

use std::path::{Path, PathBuf};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Comment,
    /// A string or a character, which says nothing of the code.
    Text,
    Word,
    /// `::`, or one character.
    Sign,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    /// The first and the last one, from 1.
    pub line: usize,
    pub last_line: usize,
}

/// A file of the project.
#[derive(Debug)]
pub struct Source {
    /// From the project's root, with `/`.
    pub path: String,
    pub text: String,
    /// Words and signs; `product` of them are not only for tests.
    pub code: Vec<Token>,
    pub comments: Vec<Token>,
}

impl Source {
    pub fn of(path: &str, text: String) -> Self {
        let tokens =
            if Path::new(path).extension().is_some_and(|ending| ending == "rs") { tokens(&text) } else { Vec::new() };
        let (comments, code) = tokens.into_iter().partition(|token| token.kind == Kind::Comment);
        Self { path: path.to_owned(), text, code, comments }
    }

    /// Without what belongs to items under `#[cfg(test)]`.
    pub fn without_tests(mut self) -> Self {
        while let Some(start) = self.find(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            let mut depth = 0_i32;
            let ends = |token: &Token| {
                depth += i32::from(token.text == "{") - i32::from(token.text == "}");
                depth == 0 && matches!(token.text.as_str(), "}" | ";")
            };
            let end = self.code[start..].iter().position(ends).map_or(self.code.len(), |end| start + end + 1);
            self.code.drain(start..end);
        }
        self
    }

    fn find(&self, texts: &[&str]) -> Option<usize> {
        self.code.windows(texts.len()).position(|some| some.iter().zip(texts).all(|(token, text)| token.text == *text))
    }

    /// The text of a token, or nothing beyond the ends.
    pub fn at(&self, index: usize) -> &str {
        self.code.get(index).map_or("", |token| token.text.as_str())
    }

    /// A comment stands on the line, or alone on the one before.
    pub fn is_explained(&self, line: usize) -> bool {
        let on = |token: &Token, line: usize| token.line <= line && line <= token.last_line;
        self.comments.iter().any(|comment| {
            on(comment, line) || on(comment, line - 1) && !self.code.iter().any(|token| on(token, line - 1))
        })
    }
}

/// Every file beneath a folder of the project with one of these endings; none where there is no such folder.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.retain(|file| file.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)));
    found.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        Source::of(&file.strip_prefix(root).expect("it was found there").to_string_lossy(), text)
    };
    found.iter().map(read).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if !path.is_dir() {
            found.push(path);
        } else if !path.ends_with("target") {
            // Build outputs, which somebody keeps inside, are nobody's sources.
            walk(&path, found);
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut found, mut rest, mut line) = (Vec::new(), text, 1);
    while !rest.is_empty() {
        let (kind, length) = first(rest);
        let (token, after) = rest.split_at(length);
        let last_line = line + token.matches('\n').count();
        if !token.trim().is_empty() {
            found.push(Token { kind, text: token.to_owned(), line, last_line });
        }
        (rest, line) = (after, last_line);
    }
    found
}

/// What begins here, and how long it is.
fn first(rest: &str) -> (Kind, usize) {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, until("*/", 2));
    }
    if matches!(&rest[..word], "r" | "br" | "cr") {
        let hashes = rest[word..].len() - rest[word..].trim_start_matches('#').len();
        if rest[word + hashes..].starts_with('"') {
            return (Kind::Text, until(&format!("\"{}", "#".repeat(hashes)), word + hashes + 1));
        }
    }
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('"'), ..) => (Kind::Text, quoted(rest, '"')),
        // A lifetime has no second quote.
        (Some('\''), Some('\\'), _) | (Some('\''), Some(_), Some('\'')) => (Kind::Text, quoted(rest, '\'')),
        _ if word > 0 => (Kind::Word, word),
        _ if rest.starts_with("::") => (Kind::Sign, 2),
        (sign, ..) => (Kind::Sign, sign.map_or(1, char::len_utf8)),
    }
}

/// The length of a text up to its second quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    let ends = |(_, c): &(usize, char)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    };
    rest.char_indices().skip(1).find(ends).map_or(rest.len(), |(at, _)| at + 1)
}
