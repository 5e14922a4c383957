//! The parents of this node as lists and watch events told them. Pure: no network, no clock.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::pod_list::{Page, PodFilter, Seen};
use crate::cluster::list_watch::event::WatchEvent;
use crate::pod::key::PodKey;
use crate::pod::parent::Parent;

/// Complaints remembered so that each is made once; beyond this many all are new again.
const COMPLAINTS: usize = 64;

/// What an event of a watch meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WatchOutcome {
    /// The server lives; nothing of ours changed.
    Alive,
    /// A parent came, changed or went.
    Changed,
    /// An object cannot be read; to be said (once).
    Complaint(String),
}

/// This node's parents, as list and watch have them.
#[derive(Debug, Default)]
pub(super) struct PodCache {
    pods: BTreeMap<PodKey, Parent>,
    complained: BTreeSet<String>,
}

impl PodCache {
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

    /// Takes in one event of a watch.
    pub(super) fn apply(&mut self, event: &WatchEvent, filter: &PodFilter) -> WatchOutcome {
        match event {
            WatchEvent::Applied(object) => self.put(object, filter),
            WatchEvent::Deleted(object) => self.remove(object, filter),
        }
    }

    fn put(&mut self, object: &Value, filter: &PodFilter) -> WatchOutcome {
        match filter.examine(object) {
            Seen::Parent(parent) => {
                let changed = !self.pods.get(&parent.key).is_some_and(|before| same(before, &parent));
                self.pods.insert(parent.key.clone(), *parent);
                if changed { WatchOutcome::Changed } else { WatchOutcome::Alive }
            }
            Seen::Other(key) => self.forget(key.as_ref()),
            Seen::Unreadable(_, why) => self.complain(why).map_or(WatchOutcome::Alive, WatchOutcome::Complaint),
        }
    }

    fn remove(&mut self, object: &Value, filter: &PodFilter) -> WatchOutcome {
        match filter.examine(object) {
            Seen::Parent(parent) => self.forget(Some(&parent.key)),
            Seen::Other(key) | Seen::Unreadable(key, _) => self.forget(key.as_ref()),
        }
    }

    fn forget(&mut self, key: Option<&PodKey>) -> WatchOutcome {
        match key.and_then(|k| self.pods.remove(k)) {
            Some(_) => WatchOutcome::Changed,
            None => WatchOutcome::Alive,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::list_watch::event::read_line;
    use serde_json::json;

    impl PodCache {
        /// Takes in a line of a watch that goes on from a list of version `listed`.
        fn apply_line(&mut self, line: &[u8], filter: &PodFilter, listed: &str) -> WatchOutcome {
            let event = read_line(line, listed).unwrap();
            event.map_or(WatchOutcome::Alive, |event| self.apply(&event, filter))
        }
    }

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
            match filter().examine(pod) {
                Seen::Parent(parent) => page.parents.push(*parent),
                Seen::Unreadable(key, why) => page.unreadable.push((key, why)),
                Seen::Other(_) => {}
            }
        }
        page
    }

    fn filter() -> PodFilter {
        PodFilter { node: "n1".to_owned(), keep_annotations: Vec::new() }
    }

    fn names(cache: &PodCache) -> Vec<&str> {
        cache.pods().keys().map(PodKey::name).collect()
    }

    #[test]
    fn a_watch_that_a_list_has_overtaken_brings_nobody_back() {
        let mut cache = PodCache::default();
        cache.replace([listed(&[])]);
        assert_eq!(cache.apply_line(&line("ADDED", &pod("a", "8")), &filter(), "10"), WatchOutcome::Alive);
        assert_eq!(names(&cache), [""; 0]);
        assert_eq!(cache.apply_line(&line("ADDED", &pod("a", "11")), &filter(), "10"), WatchOutcome::Changed);
        assert_eq!(cache.apply_line(&line("DELETED", &pod("a", "9")), &filter(), "10"), WatchOutcome::Alive);
        assert_eq!(names(&cache), ["a"]);
    }

    #[test]
    fn versions_that_are_no_numbers_are_taken_as_they_come() {
        let mut cache = PodCache::default();
        assert_eq!(cache.apply_line(&line("ADDED", &pod("a", "opaque")), &filter(), "10"), WatchOutcome::Changed);
        assert_eq!(cache.apply_line(&line("DELETED", &pod("a", "8")), &filter(), "opaque"), WatchOutcome::Changed);
    }

    #[test]
    fn the_same_again_is_a_sign_of_life_only() {
        let mut cache = PodCache::default();
        cache.replace([listed(&[pod("a", "1")])]);
        let mut again = pod("a", "2");
        again["status"]["hostIP"] = json!("10.0.0.1");
        assert_eq!(cache.apply_line(&line("MODIFIED", &again), &filter(), "1"), WatchOutcome::Alive);
        again["spec"]["containers"] = json!([{"name": "main"}]);
        assert_eq!(cache.apply_line(&line("MODIFIED", &again), &filter(), "1"), WatchOutcome::Changed);
    }

    #[test]
    fn an_unreadable_pod_is_reported_once_and_not_taken_for_gone() {
        let mut cache = PodCache::default();
        cache.replace([listed(&[pod("a", "1"), pod("b", "1")])]);
        let mut broken = pod("a", "2");
        broken["metadata"]["uid"] = json!(7);
        assert!(matches!(cache.apply_line(&line("MODIFIED", &broken), &filter(), "1"), WatchOutcome::Complaint(_)));
        assert_eq!(cache.apply_line(&line("MODIFIED", &broken), &filter(), "1"), WatchOutcome::Alive);
        assert_eq!(cache.replace([listed(&[broken.clone()])]), [""; 0], "said before");
        assert_eq!(names(&cache), ["a"], "b is gone, a is there");
        assert_eq!(cache.apply_line(&line("DELETED", &broken), &filter(), "1"), WatchOutcome::Changed);
    }
}
