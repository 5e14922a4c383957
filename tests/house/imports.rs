//! Which module of this crate names which other one, whether in a `use` or in the middle of an expression.

use super::source::Source;

/// `["store", "save"]` of `src/store/save.rs`; nothing for `src/lib.rs`.
pub fn module(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// Every path from the crate's root that product code of the file names, with the line.
pub fn named(source: &Source) -> Vec<(usize, Vec<String>)> {
    let own = module(&source.path);
    let mut found = Vec::new();
    // A `use` may go over several lines: its line is the one where it begins.
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (number, line) in source.product() {
        tokens.extend(split(&line.code).into_iter().map(|token| (number, token)));
    }
    let mut at = 0;
    while at < tokens.len() {
        let (line, head) = (tokens[at].0, tokens[at].1.as_str());
        let starts = matches!(head, "crate" | "super" | "self") && (at == 0 || tokens[at - 1].1 != "::");
        if !starts || tokens.get(at + 1).is_none_or(|next| next.1 != "::") {
            at += 1;
            continue;
        }
        let base = match head {
            "crate" => Vec::new(),
            "super" => own[..own.len().saturating_sub(1)].to_vec(),
            _ => own.clone(),
        };
        at += 2;
        tree(&tokens, &mut at, &base, &mut |path| found.push((line, path)));
    }
    found
}

/// What follows a `::`: a name and perhaps more, or a group of such.
fn tree(tokens: &[(usize, String)], at: &mut usize, base: &[String], found: &mut impl FnMut(Vec<String>)) {
    let Some((_, token)) = tokens.get(*at) else { return };
    if token == "{" {
        *at += 1;
        while tokens.get(*at).is_some_and(|next| next.1 != "}") {
            tree(tokens, at, base, found);
            // Past `as name` and the comma.
            while tokens.get(*at).is_some_and(|next| next.1 != "," && next.1 != "}") {
                *at += 1;
            }
            if tokens.get(*at).is_some_and(|next| next.1 == ",") {
                *at += 1;
            }
        }
        *at += 1;
        return;
    }
    let mut path = base.to_vec();
    match token.as_str() {
        "super" => drop(path.pop()),
        "self" => {}
        name => path.push(name.to_owned()),
    }
    *at += 1;
    if tokens.get(*at).is_some_and(|next| next.1 == "::") {
        *at += 1;
        tree(tokens, at, &path, found);
    } else {
        found(path);
    }
}

fn split(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}
