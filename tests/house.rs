//! The rules of the house, held by a test: sizes, names, who may import whom, and that what decides touches nothing.

#[path = "house/imports.rs"]
mod imports;
#[path = "house/source.rs"]
mod source;

use std::collections::BTreeSet;

use source::{Source, files};

const LONGEST: usize = 400;
const LONGEST_MAIN: usize = 40;

/// What decides, sanitises or reads objects: values in, values out.
const PURE: &[&str] = &[
    "src/archive/header.rs",
    "src/archive/metadata.rs",
    "src/archive/name.rs",
    "src/archive/pax.rs",
    "src/archive/sidecar.rs",
    "src/backoff.rs",
    "src/hex.rs",
    "src/percent.rs",
    "src/pod/",
    "src/agent/store/manifest.rs",
    "src/serve/jobs/job.rs",
    "src/serve/jobs/request",
    "src/serve/jobs/subject.rs",
    "src/serve/api/checkpoints/route.rs",
    "src/node/kubelet_api/errors.rs",
    "src/checkpoint_api.rs",
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

fn rust() -> Vec<Source> {
    ["src", "tests", "benches", "examples", "fuzz"].iter().flat_map(|folder| files(folder, &["rs"])).collect()
}

fn product() -> Vec<Source> {
    let all = files("src", &["rs"]);
    assert!(all.len() > 50, "the sources are not where they were: {}", all.len());
    all.into_iter().filter(|source| !source.is_test()).collect()
}

#[track_caller]
fn assert_none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

/// A module or crate: part of a path, or in a `use`.
fn names_module(code: &str, word: &str) -> bool {
    let in_use = code.trim_start().starts_with("use ") && names(code, word);
    in_use
        || code.match_indices(word).any(|(at, _)| {
            let (before, after) = (&code[..at], &code[at + word.len()..]);
            let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            whole && (before.ends_with("::") && !after.starts_with(char::is_alphanumeric) || after.starts_with("::"))
        })
}

/// A word of its own in code.
fn names(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[test]
fn no_file_is_long() {
    let scripts =
        ["src", "tests", "benches", "examples", "fuzz"].iter().flat_map(|folder| files(folder, &["rs", "py", "sh"]));
    let long = |source: &Source| {
        let (lines, limit) =
            (source.text.lines().count(), if source.path == "src/main.rs" { LONGEST_MAIN } else { LONGEST });
        (lines > limit).then(|| format!("{}: {lines} lines", source.path))
    };
    assert_none("longer than they may be", &scripts.filter_map(|s| long(&s)).collect::<Vec<_>>());
}

#[test]
fn what_decides_names_nothing_that_waits_looks_or_acts() {
    for part in PURE {
        assert!(
            product().iter().any(|s| s.path.starts_with(part)),
            "{part} is not there any more: this rule holds nothing"
        );
    }
    let mut broken = Vec::new();
    for source in product().iter().filter(|s| PURE.iter().any(|part| s.path.starts_with(part))) {
        for (number, line) in source.product() {
            let words = IMPURE.iter().filter(|word| names(&line.code, word));
            let named = words.chain(IMPURE_MODULES.iter().filter(|word| names_module(&line.code, word)));
            broken.extend(named.map(|word| format!("{}:{number}: {word}", source.path)));
        }
    }
    assert_none("not pure", &broken);
}

#[test]
fn no_module_is_a_drawer() {
    const DRAWERS: [&str; 8] = ["utils", "util", "helpers", "helper", "manager", "common", "misc", "shared"];
    let drawers: Vec<_> = rust()
        .into_iter()
        .filter(|s| imports::module(&s.path).iter().any(|part| DRAWERS.contains(&part.as_str())))
        .map(|s| s.path)
        .collect();
    assert_none("named after no domain", &drawers);
}

/// A part of the crate, for who may import whom: a folder, or a file beside the folders.
fn part(module: &[String]) -> &str {
    module.first().map(String::as_str).unwrap_or_default()
}

/// What each part may import besides itself. Whatever stands here, it must have no cycle; see the test.
const MAY: &[(&str, &[&str])] = &[
    // A crate of its own, with `cli` alone from this one.
    ("main", &[]),
    (
        "cli",
        &[
            "agent",
            "archive",
            "checkpoint_api",
            "backoff",
            "clock",
            "cluster",
            "config",
            "disk",
            "dns_name",
            "duration",
            "error_chain",
            "http_client",
            "image",
            "logs",
            "node",
            "pod",
            "registry",
            "seal",
            "serve",
            "signals",
        ],
    ),
    // The wings: none imports another.
    (
        "agent",
        &[
            "backoff",
            "clock",
            "cluster",
            "config",
            "disk",
            "dns_name",
            "duration",
            "error_chain",
            "moment",
            "node",
            "openmetrics",
            "pod",
            "signals",
        ],
    ),
    (
        "serve",
        &[
            "archive",
            "checkpoint_api",
            "backoff",
            "clock",
            "cluster",
            "config",
            "disk",
            "dns_name",
            "duration",
            "http_client",
            "image",
            "moment",
            "node",
            "openmetrics",
            "quantity",
            "registry",
            "seal",
            "signals",
        ],
    ),
    ("logs", &["config"]),
    ("config", &["dns_name", "duration"]),
    ("image", &["archive", "registry"]),
    ("seal", &["archive", "disk"]),
    ("registry", &["backoff", "hex", "http_client", "percent"]),
    ("cluster", &["backoff", "clock", "dns_name", "error_chain", "moment", "percent", "pod"]),
    ("node", &["backoff", "clock", "hex", "http_client", "moment", "pod"]),
    ("pod", &["backoff", "dns_name", "duration", "hex", "moment", "quantity"]),
    ("clock", &["moment"]),
    ("archive", &[]),
    ("checkpoint_api", &["percent"]),
    ("backoff", &[]),
    ("hex", &[]),
    ("http_client", &["error_chain"]),
    ("disk", &[]),
    ("dns_name", &[]),
    ("duration", &[]),
    ("error_chain", &[]),
    ("moment", &[]),
    ("openmetrics", &[]),
    ("percent", &[]),
    ("quantity", &[]),
    ("signals", &[]),
    ("", &[]),
];

#[test]
fn imports_go_one_way() {
    let rank = |part: &str| MAY.iter().position(|(name, _)| *name == part);
    for (above, below) in MAY {
        let wrong: Vec<_> = below.iter().filter(|b| rank(b).is_none_or(|b| Some(b) <= rank(above))).collect();
        assert!(wrong.is_empty(), "{above} may not stand above {wrong:?}: the list goes from the top to the bottom");
    }
    let mut broken = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> =
        MAY.iter().flat_map(|(above, below)| below.iter().map(move |below| (*above, *below))).collect();
    for source in product() {
        let module = imports::module(&source.path);
        let from = part(&module);
        let Some((_, below)) = MAY.iter().find(|(name, _)| *name == from) else {
            broken.push(format!("{}: a part of the house without a place: {from:?}", source.path));
            continue;
        };
        for (number, path) in imports::named(&source) {
            let to = part(&path);
            unused.retain(|edge| *edge != (from, to));
            if to != from && !below.contains(&to) {
                broken.push(format!("{}:{number}: {from} imports {to} ({})", source.path, path.join("::")));
            }
        }
    }
    assert_none("imports against the way", &broken);
    assert_eq!(unused.into_iter().collect::<Vec<_>>(), Vec::new(), "allowed, and nobody needs it");
}

/// Doc comments, tests and help texts may name a path; code outside these may not hold one.
#[test]
fn paths_of_the_api_server_stand_in_one_place() {
    const PLACES: [&str; 2] = ["src/cluster/", "src/checkpoint_api.rs"];
    let mut broken = Vec::new();
    for source in product().iter().filter(|s| !PLACES.iter().any(|place| s.path.starts_with(place))) {
        for (number, _) in source.product() {
            let line = source.text.lines().nth(number - 1).unwrap_or_default();
            if ["\"/api/v1", "\"/apis/"].iter().any(|path| line.contains(path)) {
                broken.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none("a path of the API server", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    // In two pieces, so that this file can be looked at too.
    let words = [("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("todo", "!"), ("unimplemented", "!"), ("#[ign", "ore")];
    let mut broken = Vec::new();
    for source in ["src", "tests", "benches", "examples", "fuzz"]
        .iter()
        .flat_map(|f| files(f, &["rs", "py", "sh", "toml", "proto"]))
    {
        for (number, line) in source.text.lines().enumerate() {
            let found = words.iter().map(|(a, b)| format!("{a}{b}")).find(|word| line.contains(word.as_str()));
            broken.extend(found.map(|word| format!("{}:{}: {word}", source.path, number + 1)));
        }
    }
    assert_none("left for later", &broken);
}

#[test]
fn what_may_panic_says_why_it_cannot() {
    const PANICS: [&str; 5] = [".unwrap()", ".expect(", "panic!(", "unreachable!(", ".unwrap_err()"];
    let mut broken = Vec::new();
    for source in product() {
        for (number, line) in source.product() {
            let Some(word) = PANICS.iter().find(|word| line.code.contains(**word)) else { continue };
            let before = number.checked_sub(2).map(|at| &source.lines[at]);
            let explained =
                !line.comment.is_empty() || before.is_some_and(|b| b.code.trim().is_empty() && !b.comment.is_empty());
            if !explained {
                broken.push(format!("{}:{number}: {word} without the reason beside it", source.path));
            }
        }
    }
    assert_none("may panic", &broken);
}

#[test]
fn every_exception_from_a_lint_has_its_reason() {
    let mut broken = Vec::new();
    for source in product() {
        for (number, line) in source.product().filter(|(_, line)| line.code.contains("[allow(")) {
            let whole: String = source.lines[number - 1..].iter().take(6).map(|l| l.code.as_str()).collect();
            let attribute = whole.split(']').next().unwrap_or_default().contains("reason");
            let before = number.checked_sub(2).is_some_and(|at| !source.lines[at].comment.is_empty());
            if line.comment.is_empty() && !attribute && !before {
                broken.push(format!("{}:{number}: {}", source.path, line.code.trim()));
            }
        }
    }
    assert_none("allowed without a reason", &broken);
}

mod the_rules_themselves {
    use super::source::Source;
    use super::*;

    fn of(path: &str, text: &str) -> Source {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, text).expect("a file");
        Source::read(dir.path(), &file)
    }

    #[test]
    fn comments_strings_and_tests_are_no_code() {
        let text = "a(); // tokio\nlet s = \"await \\\" fs\"; let r = r#\"kube\"#; /* clock\n env */ b('\"');\n\
                    #[cfg(test)]\nmod tests {\n    fn x() { net(); }\n}\nfn c<'a>() { d(); }\n";
        let source = of("src/x.rs", text);
        let code: String = source.product().map(|(_, line)| line.code.as_str()).collect();
        for word in ["tokio", "await", "fs", "kube", "clock", "env", "net"] {
            assert!(!names(&code, word), "{word} in {code}");
        }
        for word in ["a", "b", "c", "d"] {
            assert!(names(&code, word), "{word} not in {code}");
        }
    }

    #[test]
    fn a_module_is_not_any_word_of_its_name() {
        for code in ["use std::env;", "std::env::var(x)", "env::var(x)", "use std::{env, io};"] {
            assert!(names_module(code, "env"), "{code}");
        }
        for code in ["let env = list(x);", "pod.env.len()", "my_env::x()", "pod::environment::y()"] {
            assert!(!names_module(code, "env"), "{code}");
        }
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
