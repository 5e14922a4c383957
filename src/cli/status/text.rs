//! The document as people read it. Pure.

use std::fmt::Write;

use crate::agent::metrics::name as phase_name;
use crate::cli::output;
use crate::duration;
use crate::pod::status::{PodStatus, Running, StatusDoc};

/// One line about the node, a table of its pods, and below it what deserves a sentence.
pub(super) fn of(document: &StatusDoc) -> String {
    let leader = match document.leader {
        Some(true) => "an agent leads",
        Some(false) => "NO AGENT RUNS",
        None => "unknown whether an agent runs",
    };
    let mut text = format!(
        "Node {}: {leader}\n  API server: {}\n  runtime:    {}\n  disk:       {}\n  kubelet:    {}\n\n",
        document.node, document.api, document.runtime, document.disk, document.kubelet
    );
    if document.pods.is_empty() && (document.disk != "ok" || document.runtime != "ok") {
        text.push_str("Whether pods here are annotated or kept cannot be seen.\n");
    } else if document.pods.is_empty() {
        text.push_str("No pod here is annotated checkpointer.alpha.coreos.com/checkpoint=true, and none is kept.\n");
    } else {
        text.push_str(&pods(document));
        let restorable = document.pods.iter().filter(|pod| pod.report.restorable).count();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "\n\n{restorable} of {} would come back after a power cut.", document.pods.len());
    }
    section(&mut text, "Notes", &document.notes);
    section(&mut text, "While the API server is away", &document.offline);
    text
}

fn pods(document: &StatusDoc) -> String {
    let mut table = output::table(&["NAMESPACE", "POD", "PHASE", "RESTORABLE", "RUNS", "IMAGE", "ASSETS", "WHY"]);
    for pod in &document.pods {
        let PodStatus { report, running } = pod;
        let image = report.image_present.map_or("?", |present| if present { "present" } else { "MISSING" });
        table.add_row([
            report.namespace.as_str(),
            &report.name,
            phase_name(report.phase),
            if report.restorable { "yes" } else { "NO" },
            running.map_or("?", word),
            image,
            &age(report.assets_at, document.at),
            &report.reasons.join("\n"),
        ]);
    }
    output::trimmed(&table)
}

fn word(running: Running) -> &'static str {
    match running {
        Running::Parent => "parent",
        Running::Twin => "twin",
        Running::Both => "both",
        Running::Nothing => "no",
    }
}

/// How long ago, in its largest unit.
fn age(at: Option<i64>, now: i64) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let seconds = u64::try_from(now.saturating_sub(at)).unwrap_or(0);
    let rounded = match seconds {
        0..60 => seconds,
        60..3600 => seconds - seconds % 60,
        _ => seconds - seconds % 3600,
    };
    duration::display(std::time::Duration::from_secs(rounded.max(1)))
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    // Writing into a String cannot fail.
    let _ = writeln!(text, "\n{title}:");
    for line in lines {
        let _ = writeln!(text, "  - {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::report::{Phase, PodReport};

    fn pod(name: &str, restorable: bool, reasons: &[&str]) -> PodStatus {
        let report = PodReport {
            namespace: "kube-system".to_owned(),
            name: name.to_owned(),
            uid: None,
            lineage: None,
            phase: Phase::Standby,
            restorable,
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            decision: String::new(),
            image_present: Some(true),
            assets_at: Some(940),
        };
        PodStatus { report, running: Some(Running::Parent) }
    }

    #[test]
    fn the_table_can_be_searched_and_counts_what_would_come_back() {
        let document = StatusDoc {
            node: "n1".to_owned(),
            leader: Some(false),
            pods: vec![pod("etcd", true, &[]), pod("db", false, &["it mounts a claim"])],
            offline: vec!["new addresses".to_owned()],
            at: 1000,
            ..StatusDoc::default()
        };
        let text = of(&document);
        let etcd: Vec<&str> = text.lines().find(|line| line.contains("etcd")).unwrap().split_whitespace().collect();
        assert_eq!(etcd, ["kube-system", "etcd", "standby", "yes", "parent", "present", "1m"]);
        assert!(text.contains("it mounts a claim"), "{text}");
        assert!(text.contains("1 of 2 would come back"), "{text}");
        assert!(text.contains("NO AGENT RUNS"), "{text}");
        assert!(text.contains("  - new addresses"), "{text}");
    }

    #[test]
    fn a_node_without_annotated_pods_says_what_to_annotate() {
        let mut document = StatusDoc { disk: "ok".to_owned(), runtime: "ok".to_owned(), ..StatusDoc::default() };
        assert!(of(&document).contains("checkpointer.alpha.coreos.com/checkpoint=true"));
        document.runtime = "unavailable: it hangs".to_owned();
        assert!(of(&document).contains("cannot be seen"));
    }
}
