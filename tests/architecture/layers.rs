//! Who may import whom: wings over common ground, part by part, from the bottom to the top.

use std::collections::BTreeSet;

use crate::{assert_none, imports, product};

/// A part of the crate, for who may import whom: a folder, or a file beside the folders.
fn part(module: &[String]) -> &str {
    module.first().map(String::as_str).unwrap_or_default()
}

/// Each is a program of its own over the common ground.
const WINGS: [&str; 3] = ["agent", "serve", "controller"];

/// What each part may import besides itself: only what stands before it, so that there is no cycle.
const MAY: &[(&str, &[&str])] = &[
    ("", &[]),
    ("accept_loop", &[]),
    ("dns_name", &[]),
    ("duration", &[]),
    ("error_chain", &[]),
    ("backoff", &[]),
    ("hex", &[]),
    ("loopback", &[]),
    ("moment", &[]),
    ("openmetrics", &[]),
    ("percent", &[]),
    ("quantity", &[]),
    ("signals", &[]),
    ("disk", &[]),
    ("archive", &[]),
    ("http_client", &["error_chain"]),
    ("checkpoint_api", &["percent"]),
    ("clock", &["moment"]),
    ("pod", &["backoff", "dns_name", "duration", "hex", "moment", "quantity"]),
    ("node", &["backoff", "clock", "hex", "http_client", "moment", "pod"]),
    ("cluster", &["backoff", "clock", "dns_name", "error_chain", "loopback", "moment", "percent", "pod"]),
    ("registry", &["backoff", "hex", "http_client", "percent"]),
    ("seal", &["archive", "disk"]),
    ("image", &["archive", "registry"]),
    ("config", &["dns_name", "duration", "loopback"]),
    ("logs", &["config"]),
    // The wings: none imports another.
    (
        "serve",
        &[
            "accept_loop",
            "archive",
            "backoff",
            "checkpoint_api",
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
            "percent",
            "quantity",
            "registry",
            "seal",
            "signals",
        ],
    ),
    // Has its place before it is built.
    (
        "controller",
        &[
            "archive",
            "backoff",
            "checkpoint_api",
            "clock",
            "cluster",
            "config",
            "disk",
            "dns_name",
            "duration",
            "error_chain",
            "hex",
            "http_client",
            "image",
            "moment",
            "node",
            "openmetrics",
            "percent",
            "pod",
            "quantity",
            "registry",
            "seal",
            "signals",
        ],
    ),
    (
        "agent",
        &[
            "accept_loop",
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
        "cli",
        &[
            "agent",
            "archive",
            "backoff",
            "checkpoint_api",
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
    // A crate of its own, with `cli` alone from this one.
    ("main", &[]),
];

#[test]
fn imports_go_one_way() {
    let rank = |part: &str| MAY.iter().position(|(name, _)| *name == part);
    for (above, below) in MAY {
        let wrong: Vec<_> = below.iter().filter(|b| rank(b).is_none_or(|b| Some(b) >= rank(above))).collect();
        assert!(wrong.is_empty(), "{above} may not stand above {wrong:?}: the list goes from the bottom to the top");
        let wing = below.iter().find(|below| WINGS.contains(above) && WINGS.contains(below));
        assert_eq!(wing, None, "{above} is a wing, and imports another");
    }
    let mut broken = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> =
        MAY.iter().flat_map(|(above, below)| below.iter().map(move |below| (*above, *below))).collect();
    let product = product();
    unused.retain(|(above, _)| product.iter().any(|source| part(&imports::module(&source.path)) == *above));
    for source in &product {
        let module = imports::module(&source.path);
        let from = part(&module);
        let Some((_, below)) = MAY.iter().find(|(name, _)| *name == from) else {
            broken.push(format!("{}: a part of the crate without a place: {from:?}", source.path));
            continue;
        };
        for (line, path) in imports::named(source) {
            let to = part(&path);
            unused.retain(|edge| *edge != (from, to));
            if to != from && !below.contains(&to) {
                broken.push(format!("{}:{line}: {from} imports {to} ({})", source.path, path.join("::")));
            }
        }
    }
    assert_none("imports against the way", &broken);
    assert_eq!(unused.into_iter().collect::<Vec<_>>(), Vec::new(), "allowed, and nobody needs it");
}
