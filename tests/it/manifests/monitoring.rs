//! Alerts and the dashboard ask for what the program counts, and for nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metrics::{of_agent, of_serve};
use super::{objects, root, text};

const PREFIXES: [&str; 2] = ["pod_checkpointer_", "container_checkpoints_"];

fn alerts() -> Vec<Value> {
    let found = objects(&root().join("manifests/monitoring/rules.yaml"));
    let groups = found[0]["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn queries() -> Vec<String> {
    let board: Value = serde_json::from_str(&text(&root().join("manifests/monitoring/dashboard.json"))).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let of = |panel: &Value| panel["targets"].as_array().cloned().unwrap_or_default();
    panels.iter().flat_map(of).map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Names of metrics in an expression.
fn named(expr: &str) -> BTreeSet<String> {
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

/// Names of metrics as they are scraped, a counter's with its ending.
fn counted() -> BTreeSet<String> {
    let text = of_agent() + &of_serve();
    let of_type = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some(match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
    };
    text.lines().filter_map(of_type).collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_there_are() {
    let counted = counted();
    assert!(counted.contains("pod_checkpointer_step_failures_total"), "{counted:?}");
    let exprs = alerts().into_iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).chain(queries());
    for expr in exprs {
        let named = named(&expr);
        assert!(!named.is_empty(), "{expr} asks for nothing of ours");
        assert!(named.is_subset(&counted), "{expr} asks for what is not there");
    }
}

#[test]
fn every_metric_is_explained_in_the_documents() {
    let documents: String = ["operations", "retention", "container-checkpoints"]
        .map(|name| text(&root().join(format!("docs/{name}.md"))))
        .concat();
    let missing: Vec<_> = counted().into_iter().filter(|name| !documents.contains(name.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_alert_says_what_is_wrong_where_and_is_documented() {
    let operations = text(&root().join("docs/operations.md"));
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(alert["annotations"]["summary"].as_str().unwrap().contains("{{ $labels."), "{name}");
        assert!(alert["annotations"]["description"].as_str().unwrap().len() > 40, "{name}");
        assert!(operations.contains(&format!("| `{name}` |")), "{name} is not in docs/operations.md");
    }
}
