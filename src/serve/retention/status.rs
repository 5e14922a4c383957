//! What a node says of itself on the resources, and in Events. Pure; sending it is `tell`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::effective_policy::{EffectivePolicy, PolicyOrigin};
use super::index::Totals;
use super::resource::{GROUP, KIND, VERSION};

/// A deletion that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedArchive {
    /// Name of the deleted file.
    pub file: String,
    /// `namespace/pod/container`, or nothing.
    pub of: String,
    /// Length that it had, in bytes.
    pub size: u64,
    /// The rule that demanded it, as a sentence.
    pub why: String,
    /// When it was deleted.
    pub at: Timestamp,
}

/// How the sweeper stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepStatus {
    /// How many archives lie in the directory, and of which kind.
    pub totals: Totals,
    /// Files deleted since the start.
    pub deleted: u64,
    /// The last of them.
    pub last: Option<DeletedArchive>,
    /// Why nothing is deleted here, whatever the policy says: a reason in one word and one in a sentence.
    pub idle: Option<(&'static str, String)>,
    /// Why a deletion failed, while it does.
    pub failing: Option<String>,
}

/// The object to be applied to the status of the resource that counts: the part of this node.
pub fn of_origin(
    origin: &PolicyOrigin,
    effective: &EffectivePolicy,
    sweep_status: &SweepStatus,
    node: &str,
    since: &mut Since,
) -> Value {
    let Totals { archives, growing, broken, unknown, pinned, bytes } = sweep_status.totals;
    let mut part = json!({
        "node": node,
        "archives": archives, "incomplete": growing + broken, "unknown": unknown, "pinned": pinned, "bytes": bytes,
        "deleted": sweep_status.deleted,
        "conditions": conditions(effective, sweep_status, since),
    });
    // What is refused was not taken over.
    if effective.refused.is_empty() {
        part["observedGeneration"] = json!(origin.generation);
    }
    if let Some(last) = &sweep_status.last {
        part["lastDeletion"] = json!({"file": last.file, "reason": last.why, "time": second(last.at)});
    }
    object(origin, &part)
}

/// The same for a resource that does not count.
pub fn of_other(other: &PolicyOrigin, oldest: &PolicyOrigin, node: &str, since: &mut Since) -> Value {
    let message = format!("{}/{} is older, and one policy holds for a node", oldest.namespace, oldest.name);
    let held = condition("Held", false, "AnotherIsOlder", &message, since, &other.uid);
    object(other, &json!({"node": node, "observedGeneration": other.generation, "conditions": [held]}))
}

/// The nodes that a status is made for; each part, and who owns it, is about 2 KB of the object, and etcd takes 1.5 MiB.
pub const MOST_NODES: usize = 200;
/// Up to so many say what they have as often as they may.
const FEW_NODES: usize = 10;
/// However many nodes there are, each may change its part this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How long a node waits between two changes of its part: every change sends every node's part to every node, so
/// with ten times the nodes each may do so a hundredth as often.
pub fn pause(few: Duration, nodes: usize) -> Duration {
    let times = u32::try_from(nodes.div_ceil(FEW_NODES).max(1).pow(2)).unwrap_or(u32::MAX);
    few.saturating_mul(times).min(LONGEST_PAUSE)
}

/// Whether a node is to have a part in the status: where many have, only if something is wrong with its own directory.
pub fn has_place(reporting: &BTreeSet<String>, node: &str, sweep_status: &SweepStatus) -> bool {
    // What the policy says of a directory is wrong everywhere.
    let is_idle = sweep_status.idle.as_ref().is_some_and(|(reason, _)| *reason != NOT_MOUNTED);
    reporting.len() < MOST_NODES || reporting.contains(node) || is_idle || sweep_status.failing.is_some()
}

/// Why nothing is deleted where the policy is for another directory.
pub const NOT_MOUNTED: &str = "DirectoryNotMounted";

/// Since when each condition is as it is.
#[derive(Debug, Default)]
pub struct Since {
    known: BTreeMap<String, (&'static str, String)>,
    now: Timestamp,
}

impl Since {
    /// What changes from here on changes now.
    pub fn at(&mut self, now: Timestamp) -> &mut Self {
        self.now = now;
        self
    }
}

fn conditions(effective: &EffectivePolicy, sweep_status: &SweepStatus, since: &mut Since) -> Vec<Value> {
    let mut conditions = Vec::new();
    let mut say = |kind: &str, status: bool, reason: &str, message: &str| {
        conditions.push(condition(kind, status, reason, message, since, "origin"));
    };
    match effective.refused.as_slice() {
        [] => say("Valid", true, "Read", &effective.notes.join("; ")),
        refused => say("Valid", false, "Refused", &format!("{}; the last good policy stays", refused.join("; "))),
    }
    match (&sweep_status.idle, &sweep_status.failing) {
        (Some((reason, message)), _) => say("Held", false, reason, message),
        (None, Some(why)) => say("Held", false, "DeletionFailed", why),
        (None, None) if effective.policy.as_ref().is_some_and(|policy| policy.dry_run) => {
            say("Held", false, "DryRun", "nothing is deleted; the log says what would be");
        }
        (None, None) => say("Held", true, "Sweeping", ""),
    }
    conditions
}

fn condition(kind: &str, status: bool, reason: &str, message: &str, since: &mut Since, whose: &str) -> Value {
    let status = if status { "True" } else { "False" };
    let slot = since.known.entry(format!("{whose} {kind}")).or_default();
    if slot.0 != status {
        *slot = (status, second(since.now));
    }
    // Messages of conditions may have 32768 characters.
    let message: String = message.chars().take(4096).collect();
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": slot.1})
}

fn object(origin: &PolicyOrigin, part: &Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": KIND,
        "metadata": {"namespace": origin.namespace, "name": origin.name},
        "status": {"nodes": [part]},
    })
}

/// Reason of the Event about archives that were deleted.
const DELETED: &str = "CheckpointDeleted";
/// Reasons of all Events that are written, with their meaning.
pub const EVENTS: [(&str, &str); 1] = [(
    DELETED,
    "Retention deleted archives of a container, for the reason that the message gives. It is about the resource that demands it; with a policy file, about the Node.",
)];

/// An Event about deletions of one reason and one container.
pub fn event(origin: Option<&PolicyOrigin>, node: &str, done: &[&DeletedArchive], component: &str) -> Option<Value> {
    let (first, last) = (done.first()?, done.last()?);
    let (namespace, about) = match origin {
        Some(origin) => (
            origin.namespace.as_str(),
            json!({
                "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND,
                "namespace": origin.namespace, "name": origin.name, "uid": origin.uid,
            }),
        ),
        // Of objects without a namespace, Events are in this one.
        None => ("default", json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": node})),
    };
    let bytes: u64 = done.iter().map(|done| done.size).sum();
    let whose = if first.of.is_empty() { String::new() } else { format!(" of {}", first.of) };
    let what = if done.len() == 1 { first.file.clone() } else { format!("{} archives", done.len()) };
    let message = format!("{node}: deleted {what}{whose} ({bytes} bytes): {}", first.why);
    Some(json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": "checkpoint-retention-", "namespace": namespace},
        "involvedObject": about,
        "reason": DELETED, "type": "Normal",
        "message": message.chars().take(1000).collect::<String>(),
        "source": {"component": component, "host": node},
        "firstTimestamp": second(first.at), "lastTimestamp": second(last.at), "count": done.len(),
    }))
}

fn second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_nodes_there_are_the_longer_each_waits() {
        let few = Duration::from_secs(30);
        for (nodes, seconds) in [(0, 30), (1, 30), (10, 30), (11, 120), (20, 120), (50, 750), (100, 3000), (5000, 3600)]
        {
            assert_eq!(pause(few, nodes).as_secs(), seconds, "{nodes}");
        }
    }

    #[test]
    fn where_many_nodes_report_one_more_does_only_in_trouble() {
        let many: BTreeSet<String> = (0..MOST_NODES).map(|n| format!("node{n}")).collect();
        let well = SweepStatus::default();
        let idle = |reason| SweepStatus { idle: Some((reason, String::new())), ..SweepStatus::default() };
        let failing = SweepStatus { failing: Some("read-only".to_owned()), ..SweepStatus::default() };
        assert!(has_place(&BTreeSet::new(), "new", &well) && has_place(&many, "node7", &well));
        assert!(!has_place(&many, "new", &well) && !has_place(&many, "new", &idle(NOT_MOUNTED)));
        assert!(has_place(&many, "new", &failing) && has_place(&many, "new", &idle("DirectoryUnreadable")));
    }
}
