//! The parents of this node as lists and watch events told them. Pure: no network, no clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::page::{Lens, Page, Seen};
use crate::pod::key::PodKey;
use crate::pod::parent::Parent;

/// Complaints remembered so that each is made once; beyond this many all are new again.
const COMPLAINTS: usize = 64;

/// What a line of a watch meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The server lives; nothing of ours changed.
    Alive,
    /// A parent came, changed or went.
    Changed,
    /// An object cannot be read; to be said (once).
    Complaint(String),
    /// This watch is of no use any more.
    Lost(String),
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Roster {
    pods: BTreeMap<PodKey, Parent>,
    complained: BTreeSet<String>,
}

impl Roster {
    pub(super) fn pods(&self) -> &BTreeMap<PodKey, Parent> {
        &self.pods
    }

    /// Takes over a complete list of all watched namespaces; returns what is to be complained of. An object that
    /// cannot be read keeps the place of its last readable version: it is there, so it must not read as gone.
    pub(super) fn replace(&mut self, pages: impl IntoIterator<Item = Page>) -> Vec<String> {
        let mut before = std::mem::take(&mut self.pods);
        let mut complaints = Vec::new();
        for page in pages {
            self.pods.extend(page.parents.into_iter().map(|p| (p.key.clone(), p)));
            for (key, why) in page.unreadable {
                if let Some((key, parent)) = key.and_then(|k| before.remove_entry(&k)) {
                    self.pods.insert(key, parent);
                }
                complaints.extend(self.complain(why));
            }
        }
        complaints
    }

    /// One line of a watch that began at `listed`.
    pub(super) fn hear(&mut self, line: &[u8], lens: &Lens, listed: &str) -> Heard {
        let event: Event = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(e) => return Heard::Lost(format!("garbage in a watch: {e}")),
        };
        match event.kind.as_str() {
            "BOOKMARK" => Heard::Alive,
            "ADDED" | "MODIFIED" | "DELETED" if not_after(&event.object, listed) => Heard::Alive,
            "ADDED" | "MODIFIED" => self.put(&event.object, lens),
            "DELETED" => self.remove(&event.object, lens),
            "ERROR" => {
                let message = event.object.get("message").and_then(Value::as_str).unwrap_or("no reason given");
                Heard::Lost(format!("the server ended the watch: {message}"))
            }
            other => Heard::Lost(format!("unknown watch event {other:?}")),
        }
    }

    fn put(&mut self, object: &Value, lens: &Lens) -> Heard {
        match lens.examine(object) {
            Seen::Parent(parent) => {
                let changed = !self.pods.get(&parent.key).is_some_and(|before| same(before, &parent));
                self.pods.insert(parent.key.clone(), *parent);
                if changed { Heard::Changed } else { Heard::Alive }
            }
            Seen::Other(key) => self.forget(key.as_ref()),
            Seen::Unreadable(_, why) => self.complain(why).map_or(Heard::Alive, Heard::Complaint),
        }
    }

    fn remove(&mut self, object: &Value, lens: &Lens) -> Heard {
        match lens.examine(object) {
            Seen::Parent(parent) => self.forget(Some(&parent.key)),
            Seen::Other(key) | Seen::Unreadable(key, _) => self.forget(key.as_ref()),
        }
    }

    fn forget(&mut self, key: Option<&PodKey>) -> Heard {
        match key.and_then(|k| self.pods.remove(k)) {
            Some(_) => Heard::Changed,
            None => Heard::Alive,
        }
    }

    fn complain(&mut self, why: String) -> Option<String> {
        if self.complained.len() >= COMPLAINTS {
            self.complained.clear();
        }
        self.complained.insert(why.clone()).then_some(why)
    }
}

/// Nothing that anyone decides by has changed; `resourceVersion` and most of the status change all the time.
fn same(a: &Parent, b: &Parent) -> bool {
    (&a.uid, &a.lineage, &a.standing, &a.digest) == (&b.uid, &b.lineage, &b.standing, &b.digest)
        && a.object["spec"] == b.object["spec"]
}

/// The same for all of them.
pub(super) fn all_same(a: &BTreeMap<PodKey, Parent>, b: &BTreeMap<PodKey, Parent>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && same(a, b))
}

/// A list may have overtaken a watch. Versions of one resource compare as numbers (KEP-5504); where they are none the
/// event is taken.
fn not_after(object: &Value, listed: &str) -> bool {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    match (version.and_then(|v| v.parse::<u64>().ok()), listed.parse::<u64>()) {
        (Some(event), Ok(listed)) => event <= listed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, version: &str) -> Value {
        json!({
            "metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": version,
                "annotations": {"checkpointer.alpha.coreos.com/checkpoint": "true"}},
            "spec": {"nodeName": "n1", "containers": []}
        })
    }

    fn line(kind: &str, object: &Value) -> Vec<u8> {
        json!({"type": kind, "object": object}).to_string().into_bytes()
    }

    fn listed(pods: &[Value]) -> Page {
        let mut page = Page::default();
        for pod in pods {
            match lens().examine(pod) {
                Seen::Parent(parent) => page.parents.push(*parent),
                Seen::Unreadable(key, why) => page.unreadable.push((key, why)),
                Seen::Other(_) => {}
            }
        }
        page
    }

    fn lens() -> Lens {
        Lens { node: "n1".to_owned(), keep_annotations: Vec::new() }
    }

    fn names(roster: &Roster) -> Vec<&str> {
        roster.pods().keys().map(PodKey::name).collect()
    }

    #[test]
    fn a_watch_that_a_list_has_overtaken_brings_nobody_back() {
        let mut roster = Roster::default();
        roster.replace([listed(&[])]);
        assert_eq!(roster.hear(&line("ADDED", &pod("a", "8")), &lens(), "10"), Heard::Alive);
        assert_eq!(names(&roster), [""; 0]);
        assert_eq!(roster.hear(&line("ADDED", &pod("a", "11")), &lens(), "10"), Heard::Changed);
        assert_eq!(roster.hear(&line("DELETED", &pod("a", "9")), &lens(), "10"), Heard::Alive);
        assert_eq!(names(&roster), ["a"]);
    }

    #[test]
    fn versions_that_are_no_numbers_are_taken_as_they_come() {
        let mut roster = Roster::default();
        assert_eq!(roster.hear(&line("ADDED", &pod("a", "opaque")), &lens(), "10"), Heard::Changed);
        assert_eq!(roster.hear(&line("DELETED", &pod("a", "8")), &lens(), "opaque"), Heard::Changed);
    }

    #[test]
    fn the_same_again_is_a_sign_of_life_only() {
        let mut roster = Roster::default();
        roster.replace([listed(&[pod("a", "1")])]);
        let mut again = pod("a", "2");
        again["status"]["hostIP"] = json!("10.0.0.1");
        assert_eq!(roster.hear(&line("MODIFIED", &again), &lens(), "1"), Heard::Alive);
        again["spec"]["containers"] = json!([{"name": "main"}]);
        assert_eq!(roster.hear(&line("MODIFIED", &again), &lens(), "1"), Heard::Changed);
    }

    #[test]
    fn an_unreadable_pod_is_complained_of_once_and_not_taken_for_gone() {
        let mut roster = Roster::default();
        roster.replace([listed(&[pod("a", "1"), pod("b", "1")])]);
        let mut broken = pod("a", "2");
        broken["metadata"]["uid"] = json!(7);
        assert!(matches!(roster.hear(&line("MODIFIED", &broken), &lens(), "1"), Heard::Complaint(_)));
        assert_eq!(roster.hear(&line("MODIFIED", &broken), &lens(), "1"), Heard::Alive);
        assert_eq!(roster.replace([listed(&[broken.clone()])]), [""; 0], "said before");
        assert_eq!(names(&roster), ["a"], "b is gone, a is there");
        assert_eq!(roster.hear(&line("DELETED", &broken), &lens(), "1"), Heard::Changed);
    }
}
