//! Which archives go, and why. Pure: the same directory, policy and moment give the same answer, in whatever order files
//! were found. Removing them is `keeper`'s.
//!
//! The order of the rules: orphans, size, age, what was left unfinished; then for each container, each pod, each namespace
//! the number and the sum; then the sum of the node and the room on its disk. Each counts what those before it leave, and
//! takes the oldest first and no more than it must.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::index::{ContainerArchives, Found, Index, SortKey};
use super::policy::{ContainerKey, Level, Owner, Policy, RetentionLimits};
use crate::disk::open_dir::Room;

mod why;

pub use why::{LABELS, Why};

/// What was left unfinished goes so long after its last change.
pub const UNFINISHED: Duration = Duration::from_secs(24 * 3600);
/// The newest archive of a container stays so long after it was handed to somebody.
pub const RETURNED: Duration = Duration::from_secs(600);

/// A file that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Name of the file to be deleted.
    pub file: Arc<str>,
    /// Whose it is; nobody knows whose something unfinished is.
    pub key: Option<Arc<ContainerKey>>,
    /// When it was taken, or last changed if it is unfinished.
    pub at: Timestamp,
    /// Length of the file in bytes.
    pub size: u64,
    /// The rule that demands it.
    pub why: Why,
}

/// What else there is to know.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The moment at which it is decided.
    pub now: Timestamp,
    /// Room on the disk; `None`: not known, and nothing is deleted for want of it.
    pub room: Option<Room>,
    /// Confirmed to be gone.
    pub gone: BTreeSet<Owner>,
    /// Files that somebody works with.
    pub in_use: BTreeSet<String>,
    /// Containers that are being checkpointed: somebody waits for the newest of theirs.
    pub awaited: BTreeSet<ContainerKey>,
    /// Files that were handed to somebody, and when.
    pub returned: BTreeMap<String, Timestamp>,
}

impl Circumstances {
    /// At that moment, nothing else known.
    pub fn at(now: Timestamp) -> Self {
        let (gone, in_use, awaited) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { now, room: None, gone, in_use, awaited, returned: BTreeMap::new() }
    }
}

/// Whose numbers, sizes and sums are looked at. Orphans, age, the node's sum and its room always are.
#[derive(Debug, Clone, Copy)]
pub enum SelectionScope<'a> {
    /// Everybody's.
    All,
    /// Of these containers, and their pods and namespaces.
    Only(&'a BTreeSet<Arc<ContainerKey>>),
}

/// Says what goes, the oldest first.
pub fn select(
    index: &Index,
    policy: &Policy,
    circumstances: &Circumstances,
    scope: SelectionScope<'_>,
) -> Vec<Deletion> {
    const LEVELS: [Level; 3] = [Level::Container, Level::Pod, Level::Namespace];
    let groups = LEVELS.map(|level| groups(index, policy, scope, level));
    let mut selection =
        Selection { index, policy, circumstances, chosen: HashMap::new(), taken: HashMap::new(), freed: 0 };
    selection.orphans();
    groups.iter().flatten().for_each(|group| selection.sizes(group));
    selection.ages();
    selection.unfinished();
    for group in groups.iter().flatten() {
        selection.numbers(group);
        selection.sums(group);
    }
    selection.node();
    let mut deletions: Vec<Deletion> = selection.chosen.into_values().collect();
    deletions.sort_by(|one, other| (one.at, &one.file).cmp(&(other.at, &other.file)));
    deletions
}

/// Archives that a limit counts together: those of this level with this container that are under a rule of the same rank.
struct Group {
    of: Arc<ContainerKey>,
    rank: u8,
    level: Level,
    limits: RetentionLimits,
}

impl Group {
    fn has(&self, key: &ContainerKey) -> bool {
        let of = &self.of;
        of.namespace == key.namespace
            && (self.level == Level::Namespace || of.pod == key.pod)
            && (self.level != Level::Container || of.container == key.container)
    }

    /// Where its containers begin in the index.
    fn first(&self) -> ContainerKey {
        let of = &self.of;
        match self.level {
            Level::Container => ContainerKey::clone(of),
            Level::Pod => ContainerKey::new(&of.namespace, &of.pod, ""),
            Level::Namespace => ContainerKey::new(&of.namespace, "", ""),
        }
    }
}

/// The groups of a level, each once.
fn groups(index: &Index, policy: &Policy, scope: SelectionScope<'_>, level: Level) -> Vec<Group> {
    let keys: Vec<&Arc<ContainerKey>> = match scope {
        SelectionScope::All => index.containers().map(|(key, _)| key).collect(),
        SelectionScope::Only(keys) => keys.iter().collect(),
    };
    let mut groups: BTreeMap<(ContainerKey, u8), Group> = BTreeMap::new();
    for key in keys {
        let governing = policy.governing(key);
        if let Some(limits) = governing.limits(level) {
            let group = Group { of: Arc::clone(key), rank: governing.rank(), level, limits };
            groups.entry((group.first(), group.rank)).or_insert(group);
        }
    }
    groups.into_values().collect()
}

struct Selection<'a> {
    index: &'a Index,
    policy: &'a Policy,
    circumstances: &'a Circumstances,
    chosen: HashMap<Arc<str>, Deletion>,
    /// Number and bytes of what is chosen, by container.
    taken: HashMap<Arc<ContainerKey>, (u64, u128)>,
    freed: u128,
}

impl<'a> Selection<'a> {
    fn choose(&mut self, place: &SortKey, key: Option<&Arc<ContainerKey>>, size: u64, why: Why) {
        if let Some(key) = key {
            let (count, bytes) = self.taken.entry(Arc::clone(key)).or_default();
            *count += 1;
            *bytes += u128::from(size);
        }
        self.freed += u128::from(size);
        let deletion = Deletion { file: Arc::clone(&place.file), key: key.cloned(), at: place.at, size, why };
        self.chosen.insert(Arc::clone(&place.file), deletion);
    }

    /// Whether it may be chosen still.
    fn is_free(&self, place: &SortKey, key: &ContainerKey, container: &ContainerArchives) -> bool {
        let known = self.circumstances;
        let file = &*place.file;
        let is_newest = || container.archives.last_key_value().is_some_and(|(newest, _)| newest == place);
        let is_just_returned = || {
            let until = |at: Timestamp| at.as_second().saturating_add_unsigned(RETURNED.as_secs());
            known.returned.get(file).is_some_and(|at| known.now.as_second() < until(*at))
        };
        let is_kept = self.index.is_pinned(file)
            || known.in_use.contains(file)
            || ((known.awaited.contains(key) || is_just_returned()) && is_newest());
        !(self.chosen.contains_key(file) || is_kept)
    }

    fn members(&self, group: &'a Group) -> Vec<(&'a Arc<ContainerKey>, &'a ContainerArchives)> {
        self.index
            .containers_from(&group.first())
            .take_while(|(key, _)| group.has(key))
            .filter(|(key, _)| self.policy.governing(key).rank() == group.rank)
            .collect()
    }

    /// What may go of these, the oldest first.
    fn candidates(
        &self,
        members: &[(&'a Arc<ContainerKey>, &'a ContainerArchives)],
    ) -> Vec<(&'a SortKey, &'a Arc<ContainerKey>, u64)> {
        let mut candidates = Vec::new();
        for (key, container) in members {
            let free = container.archives.iter().filter(|(place, _)| self.is_free(place, key, container));
            candidates.extend(free.map(|(place, size)| (place, *key, *size)));
        }
        candidates.sort_by_key(|(place, ..)| *place);
        candidates
    }

    fn orphans(&mut self) {
        for owner in &self.circumstances.gone {
            let (from, pod) = match owner {
                Owner::Pod(namespace, pod) => (ContainerKey::new(namespace, pod, ""), Some(pod)),
                Owner::Namespace(namespace) => (ContainerKey::new(namespace, "", ""), None),
            };
            let is_of = |key: &ContainerKey| key.namespace == from.namespace && pod.is_none_or(|pod| *pod == key.pod);
            let all = self.index.containers_from(&from).take_while(|(key, _)| is_of(key));
            let orphaned: Vec<_> = all.filter(|(key, _)| self.policy.owner(key).as_ref() == Some(owner)).collect();
            for (place, key, size) in self.candidates(&orphaned) {
                self.choose(place, Some(key), size, Why::Orphan(owner.clone()));
            }
        }
    }

    fn sizes(&mut self, group: &'a Group) {
        let Some(limit) = group.limits.size else { return };
        for (key, container) in self.members(group) {
            for (place, size) in container.archives.iter().filter(|(_, size)| **size > limit) {
                if self.is_free(place, key, container) {
                    self.choose(place, Some(key), *size, Why::Size { limit });
                }
            }
        }
    }

    fn ages(&mut self) {
        let Some(limit) = self.policy.max_age else { return };
        let now = self.circumstances.now;
        for (place, key) in self.index.by_time() {
            if now.duration_since(place.at)
                <= jiff::SignedDuration::try_from(limit).unwrap_or(jiff::SignedDuration::MAX)
            {
                break;
            }
            self.choose_if_free(place, key, Why::Age { limit });
        }
    }

    fn choose_if_free(&mut self, place: &SortKey, key: &Arc<ContainerKey>, why: Why) {
        let Some(container) = self.index.container(key) else { return };
        if let Some(size) = container.archives.get(place)
            && self.is_free(place, key, container)
        {
            self.choose(place, Some(key), *size, why);
        }
    }

    fn unfinished(&mut self) {
        for (file, seen) in self.index.open() {
            let Found::Broken(how) = &seen.found else { continue };
            let Ok(at) = Timestamp::from_nanosecond(i128::from(seen.stamp.changed.max(seen.stamp.modified))) else {
                continue;
            };
            let kept = self.index.is_pinned(file) || self.circumstances.in_use.contains(&**file);
            if !kept && self.circumstances.now.duration_since(at).as_secs() >= UNFINISHED.as_secs().cast_signed() {
                let place = SortKey { at, file: Arc::clone(file) };
                self.choose(&place, None, seen.stamp.size, Why::Unfinished(how.clone()));
            }
        }
    }

    fn numbers(&mut self, group: &'a Group) {
        let Some(limit) = group.limits.count else { return };
        let members = self.members(group);
        let chosen: u64 = members.iter().filter_map(|(key, _)| self.taken.get(*key)).map(|(count, _)| count).sum();
        let there: usize = members.iter().map(|(_, container)| container.archives.len()).sum();
        // At most so many; a sealed archive and its plain one are counted as one below, where it matters.
        if there as u64 - chosen <= limit {
            return;
        }
        let left = |place: &SortKey| !self.chosen.contains_key(&place.file) && !self.index.is_shadow(&place.file);
        let count = members.iter().flat_map(|(_, c)| c.archives.keys()).filter(|place| left(place)).count() as u64;
        let mut candidates = self.candidates(&members);
        candidates.retain(|(place, ..)| !self.index.is_shadow(&place.file));
        let excess = usize::try_from(count.saturating_sub(limit)).unwrap_or(usize::MAX);
        for (place, key, size) in candidates.into_iter().take(excess) {
            self.choose(place, Some(key), size, Why::Number { level: group.level, limit });
        }
    }

    fn sums(&mut self, group: &'a Group) {
        let Some(limit) = group.limits.total else { return };
        let members = self.members(group);
        let chosen: u128 = members.iter().filter_map(|(key, _)| self.taken.get(*key)).map(|(_, bytes)| bytes).sum();
        let mut bytes = members.iter().map(|(_, container)| container.bytes).sum::<u128>() - chosen;
        if bytes <= limit.into() {
            return;
        }
        for (place, key, size) in self.candidates(&members) {
            if bytes <= limit.into() {
                break;
            }
            bytes -= u128::from(size);
            self.choose(place, Some(key), size, Why::Sum { level: group.level, limit });
        }
    }

    /// The node's sum, then the room on its disk.
    fn node(&mut self) {
        let index = self.index;
        if let Some(limit) = self.policy.max_total {
            self.oldest_while(|selection| index.bytes() - selection.freed > limit.into(), &Why::Node { limit });
        }
        if let (Some(min), Some(room)) = (self.policy.min_free, self.circumstances.room) {
            let limit = min.of(room.capacity);
            let is_short = |selection: &Self| u128::from(room.free) + selection.freed < limit.into();
            self.oldest_while(is_short, &Why::Room { limit });
        }
    }

    fn oldest_while(&mut self, needed: impl Fn(&Self) -> bool, why: &Why) {
        let mut oldest = self.index.by_time();
        while needed(self) {
            let Some((place, key)) = oldest.next() else { return };
            self.choose_if_free(place, key, why.clone());
        }
    }
}
