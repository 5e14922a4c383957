//! The rules of the code, held by a test that does not link it: sizes, names, who may import whom, and that what decides
//! touches nothing.

mod comments;
mod imports;
mod layers;
mod source;

use source::{Kind, Source, files};

const LONGEST: usize = 400;
const LONGEST_MAIN: usize = 40;
const LONGEST_NAME: usize = 60;

/// What decides, sanitises or reads objects: values in, values out.
const PURE: &[&str] = &[
    "src/archive/header.rs",
    "src/archive/metadata.rs",
    "src/archive/name.rs",
    "src/archive/pax.rs",
    "src/archive/sidecar.rs",
    "src/backoff.rs",
    "src/checkpoint_api.rs",
    "src/hex.rs",
    "src/percent.rs",
    "src/pod/",
    "src/agent/store/manifest.rs",
    "src/serve/jobs/job.rs",
    "src/serve/jobs/request",
    "src/serve/jobs/pod_target.rs",
    "src/serve/api/checkpoints/route.rs",
    "src/node/kubelet_api/errors.rs",
    "src/image.rs",
    "src/registry/challenge.rs",
    "src/registry/credentials.rs",
    "src/registry/digest.rs",
    "src/registry/location.rs",
    "src/quantity.rs",
    "src/duration.rs",
    "src/serve/retention/index.rs",
    "src/serve/retention/effective_policy.rs",
    "src/serve/retention/orphans.rs",
    "src/serve/retention/index_file.rs",
    "src/serve/retention/policy.rs",
    "src/serve/retention/resource.rs",
    "src/serve/retention/select",
    "src/serve/retention/spec",
    "src/serve/retention/status.rs",
];
/// What it may not name: nothing that waits, looks or acts …
const IMPURE: [&str; 8] = ["async", "await", "SystemTime", "Instant", "Files", "KubeletDir", "ApiClient", "Cri"];
/// … nor any of these modules and crates.
const IMPURE_MODULES: [&str; 11] =
    ["tokio", "futures", "fs", "env", "net", "process", "thread", "clock", "kube", "tracing", "fastrand"];

const FOLDERS: [&str; 5] = ["src", "tests", "benches", "examples", "fuzz"];

fn all(endings: &[&str]) -> Vec<Source> {
    FOLDERS.iter().flat_map(|folder| files(folder, endings)).collect()
}

/// What is built into the binary.
fn product() -> Vec<Source> {
    let all = files("src", &["rs"]);
    assert!(all.len() > 50, "the sources are not where they were: {}", all.len());
    all.into_iter().filter(|source| !source.path.ends_with("/tests.rs")).map(Source::without_tests).collect()
}

#[track_caller]
fn assert_none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

/// The lines with a word that what decides may not name, or with a module or crate: part of a path, or in a `use`.
fn impure(source: &Source) -> Vec<(usize, &str)> {
    let (mut found, mut in_use) = (Vec::new(), false);
    for (at, token) in source.code.iter().enumerate() {
        let word = token.text.as_str();
        in_use = word == "use" || in_use && word != ";";
        let in_path = in_use || source.at(at + 1) == "::" || at > 0 && source.at(at - 1) == "::";
        if token.kind == Kind::Word && (IMPURE.contains(&word) || in_path && IMPURE_MODULES.contains(&word)) {
            found.push((token.line, word));
        }
    }
    found
}

#[test]
fn no_file_is_long() {
    let long = |source: Source| {
        let lines = source.text.lines().count();
        let limit = if source.path == "src/main.rs" { LONGEST_MAIN } else { LONGEST };
        (lines > limit).then(|| format!("{}: {lines} lines", source.path))
    };
    assert_none("longer than they may be", &all(&["rs", "py", "sh"]).into_iter().filter_map(long).collect::<Vec<_>>());
}

/// Tests have the long names; for other functions it is no less true.
#[test]
fn no_function_has_a_long_name() {
    let mut broken = Vec::new();
    for source in all(&["rs"]) {
        let names = source
            .code
            .iter()
            .enumerate()
            .filter(|(at, name)| *at > 0 && source.at(at - 1) == "fn" && name.text.len() > LONGEST_NAME);
        broken.extend(names.map(|(_, name)| format!("{}:{}: {}", source.path, name.line, name.text)));
    }
    assert_none("longer than 60 characters", &broken);
}

#[test]
fn what_decides_names_nothing_that_waits_looks_or_acts() {
    let product = product();
    let mut broken = Vec::new();
    for part in PURE {
        let mut sources = product.iter().filter(|s| s.path.starts_with(part)).peekable();
        assert!(sources.peek().is_some(), "{part} is not there any more: this rule holds nothing");
        for source in sources {
            broken.extend(impure(source).iter().map(|(line, word)| format!("{}:{line}: {word}", source.path)));
        }
    }
    assert_none("not pure", &broken);
}

#[test]
fn no_module_is_a_drawer() {
    const DRAWERS: [&str; 8] = ["utils", "util", "helpers", "helper", "manager", "common", "misc", "shared"];
    let is_drawer = |path: &String| imports::module(path).iter().any(|part| DRAWERS.contains(&part.as_str()));
    let drawers: Vec<_> = all(&["rs"]).into_iter().map(|source| source.path).filter(is_drawer).collect();
    assert_none("named after no domain", &drawers);
}

#[test]
fn modules_are_found_in_one_way() {
    let in_src = files("src", &["rs"]).into_iter().map(|source| source.path).filter(|path| path.ends_with("/mod.rs"));
    assert_none("x/mod.rs instead of x.rs", &in_src.collect::<Vec<_>>());
    let mut paths = Vec::new();
    for source in files("tests/it", &["rs"]) {
        let included = source.text.lines().filter(|line| line.trim_start().starts_with("#[path"));
        paths.extend(included.map(|line| format!("{}: {line}", source.path)));
    }
    assert_eq!(paths, ["tests/it/main.rs: #[path = \"../support/mod.rs\"]"], "one include, once");
}

/// Doc comments, tests and help texts may name a path; a string of product code that begins with one may not stand elsewhere.
#[test]
fn paths_of_the_api_server_stand_in_one_place() {
    const PLACES: [&str; 2] = ["src/cluster/", "src/checkpoint_api.rs"];
    let is_path = |text: &str| ["\"/api/v1", "\"/apis/"].iter().any(|path| text.starts_with(path));
    let mut broken = Vec::new();
    for source in product().iter().filter(|s| !PLACES.iter().any(|place| s.path.starts_with(place))) {
        let paths = source.code.iter().filter(|token| token.kind == Kind::Text && is_path(&token.text));
        broken.extend(paths.map(|token| format!("{}:{}: {}", source.path, token.line, token.text)));
    }
    assert_none("a path of the API server", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    // In two pieces, so that this file can be looked at too.
    let words = [("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("todo", "!"), ("unimplemented", "!"), ("#[ign", "ore")];
    let words = words.map(|(a, b)| format!("{a}{b}"));
    let mut broken = Vec::new();
    for source in all(&["rs", "py", "sh", "toml", "proto"]) {
        for (number, line) in source.text.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(word.as_str()));
            broken.extend(found.map(|word| format!("{}:{}: {word}", source.path, number + 1)));
        }
    }
    assert_none("left for later", &broken);
}

#[test]
fn what_may_panic_says_why_it_cannot() {
    let mut broken = Vec::new();
    for source in product() {
        for (at, token) in source.code.iter().enumerate() {
            let panics = match token.text.as_str() {
                "expect" => at > 0 && source.at(at - 1) == "." && source.at(at + 1) == "(",
                // Others have an argument, and are somebody else's.
                "unwrap" | "unwrap_err" => at > 0 && source.at(at - 1) == "." && source.at(at + 2) == ")",
                "panic" | "unreachable" => source.at(at + 1) == "!",
                _ => false,
            };
            if panics && !source.is_explained(token.line) {
                broken.push(format!("{}:{}: {} without the reason beside it", source.path, token.line, token.text));
            }
        }
    }
    assert_none("may panic", &broken);
}

#[test]
fn every_exception_from_a_lint_has_its_reason() {
    let mut broken = Vec::new();
    for source in product() {
        for (at, token) in source.code.iter().enumerate() {
            let is_exception = at > 0 && source.at(at - 1) == "[" && token.text == "allow";
            let gives_reason = || source.code[at..].iter().take_while(|t| t.text != "]").any(|t| t.text == "reason");
            if is_exception && !gives_reason() && !source.is_explained(token.line) {
                broken.push(format!("{}:{}", source.path, token.line));
            }
        }
    }
    assert_none("allowed without a reason", &broken);
}

mod the_rules_themselves {
    use super::*;

    fn of(path: &str, text: &str) -> Source {
        Source::of(path, text.to_owned()).without_tests()
    }

    #[test]
    fn comments_strings_and_tests_are_no_code() {
        let text = "a(); // tokio\nlet s = \"await \\\" fs\"; let r = r#\"kube\"#; /* clock\n env */ b('\"');\n\
                    #[cfg(test)]\nmod tests {\n    fn x() { net(); }\n}\nfn c<'a>() { d('\\''); }\n";
        let source = of("src/x.rs", text);
        let words: Vec<_> = source.code.iter().filter(|t| t.kind == Kind::Word).map(|t| t.text.as_str()).collect();
        assert_eq!(words, ["a", "let", "s", "let", "r", "b", "fn", "c", "a", "d"]);
        let lines: Vec<_> = source.comments.iter().map(|comment| (comment.line, comment.last_line)).collect();
        assert_eq!(lines, [(1, 1), (2, 3)]);
    }

    #[test]
    fn a_module_is_not_any_word_of_its_name() {
        for code in ["use std::env;", "std::env::var(x)", "env::var(x)", "use std::{env, io};"] {
            assert_eq!(impure(&of("src/x.rs", code)), [(1, "env")], "{code}");
        }
        for code in ["let env = list(x);", "pod.env.len()", "my_env::x()", "pod::environment::y()"] {
            assert_eq!(impure(&of("src/x.rs", code)), [], "{code}");
        }
    }

    #[test]
    fn a_comment_beside_or_alone_above_explains() {
        let source = of("src/x.rs", "a(); // why\nb();\n// Why.\nc();\nd();\n");
        let explained: Vec<_> = (1..=5).filter(|line| source.is_explained(*line)).collect();
        assert_eq!(explained, [1, 3, 4]);
    }

    #[test]
    fn every_way_to_name_a_module_is_seen() {
        let text = "use super::{a::{B, c as d}, e};\nuse crate::{f, g::H};\nfn x() { super::super::i(); self::j() }\n";
        let named: Vec<String> = imports::named(&of("src/p/q/r.rs", text))
            .into_iter()
            .map(|(line, path)| format!("{line} {}", path.join("::")))
            .collect();
        assert_eq!(named, ["1 p::q::a::B", "1 p::q::a::c", "1 p::q::e", "2 f", "2 g::H", "3 p::i", "3 p::q::r::j"]);
    }
}
