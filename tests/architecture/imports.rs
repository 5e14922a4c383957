//! Which module of this crate names which other one, whether in a `use` or in the middle of an expression.

use super::source::Source;

/// `["store", "save"]` of `src/store/save.rs`; nothing for `src/lib.rs`.
pub fn module(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// Every path from the crate's root that the file's code names, with the line; a `use` of several lines has its first.
pub fn named(source: &Source) -> Vec<(usize, Vec<String>)> {
    let own = module(&source.path);
    let mut found = Vec::new();
    for (index, token) in source.code.iter().enumerate() {
        let base = match token.text.as_str() {
            "crate" => &own[..0],
            "super" => &own[..own.len().saturating_sub(1)],
            "self" => &own[..],
            _ => continue,
        };
        let begins = index == 0 || !matches!(source.at(index - 1), "::");
        if begins && source.at(index + 1) == "::" {
            tree(source, &mut (index + 2), base, &mut |path| found.push((token.line, path)));
        }
    }
    found
}

/// What follows a `::`: a name and perhaps more, or a group of such.
fn tree(source: &Source, at: &mut usize, base: &[String], found: &mut impl FnMut(Vec<String>)) {
    if source.at(*at) == "{" {
        *at += 1;
        while !matches!(source.at(*at), "}" | "") {
            tree(source, at, base, found);
            // Past `as name` and the comma.
            while !matches!(source.at(*at), "," | "}" | "") {
                *at += 1;
            }
            *at += usize::from(source.at(*at) == ",");
        }
        *at += 1;
        return;
    }
    let mut path = base.to_vec();
    match source.at(*at) {
        "super" => drop(path.pop()),
        "self" | "" => {}
        name => path.push(name.to_owned()),
    }
    *at += 1;
    if source.at(*at) == "::" {
        *at += 1;
        tree(source, at, &path, found);
    } else {
        found(path);
    }
}
