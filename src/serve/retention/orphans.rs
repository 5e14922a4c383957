//! Whether what archives are of is gone: only two fresh answers of the API, some time apart, may say so. Deciding here is
//! pure; asking is `presence`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::index::Index;
use super::policy::{Owner, Policy};
use crate::moment::BootInstant;

/// What the API said of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerPresence {
    /// The API server has it.
    There,
    /// The API server answered that it has none.
    Absent,
    /// Nothing that can be relied on.
    Unknown,
}

/// Who was found absent, and when first.
#[derive(Debug, Default)]
pub struct Suspects {
    since: BTreeMap<Owner, BootInstant>,
    gone: BTreeSet<Owner>,
}

/// The owners whose absence matters.
pub fn owners(index: &Index, policy: &Policy) -> BTreeSet<Owner> {
    if policy.keeps_orphans() {
        return BTreeSet::new();
    }
    index.containers().filter_map(|(key, _)| policy.owner(key)).collect()
}

impl Suspects {
    /// Takes up an answer. Gone is who was absent twice, so long apart, and at no time in between there or unknown.
    pub fn hear(&mut self, owner: &Owner, answer: OwnerPresence, now: BootInstant, apart: Duration) {
        if answer != OwnerPresence::Absent {
            self.since.remove(owner);
            self.gone.remove(owner);
            return;
        }
        let since = *self.since.entry(owner.clone()).or_insert(now);
        if now.0.saturating_sub(since.0) >= u64::try_from(apart.as_millis()).unwrap_or(u64::MAX) {
            self.gone.insert(owner.clone());
        }
    }

    /// Forgets whoever is no longer asked about.
    pub fn keep(&mut self, owners: &BTreeSet<Owner>) {
        self.since.retain(|owner, _| owners.contains(owner));
        self.gone.retain(|owner| owners.contains(owner));
    }

    /// Absent once, or gone: to be asked about again soon.
    pub fn suspected(&self) -> impl Iterator<Item = &Owner> {
        self.since.keys()
    }

    /// Hands over who is gone. Each must be found so anew before it is said again.
    pub fn take_gone(&mut self) -> BTreeSet<Owner> {
        let gone = std::mem::take(&mut self.gone);
        self.since.retain(|owner, _| !gone.contains(owner));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Duration = Duration::from_secs(30);

    fn hear(answers: &[(u64, OwnerPresence)]) -> bool {
        let owner = Owner::Pod("ns".to_owned(), "p".to_owned());
        let mut suspects = Suspects::default();
        for (at, answer) in answers {
            suspects.hear(&owner, *answer, BootInstant(*at), APART);
        }
        suspects.take_gone().contains(&owner)
    }

    #[test]
    fn gone_is_only_who_was_absent_twice_and_never_else_in_between() {
        use OwnerPresence::{Absent, There, Unknown};
        assert!(hear(&[(0, Absent), (30_000, Absent)]));
        assert!(hear(&[(0, There), (1, Absent), (20_000, Absent), (30_001, Absent)]));
        for not in [
            &[(0, Absent)][..],
            &[(0, Absent), (29_999, Absent)],
            &[(0, Absent), (10_000, Unknown), (30_000, Absent)],
            &[(0, Absent), (10_000, There), (30_000, Absent)],
            &[(0, Absent), (30_000, Absent), (30_001, Unknown)],
            &[(0, Absent), (30_000, Absent), (30_001, There)],
            &[(0, Unknown), (30_000, Unknown)],
        ] {
            assert!(!hear(not), "{not:?}");
        }
    }

    #[test]
    fn who_was_said_to_be_gone_must_be_found_so_anew() {
        let owner = Owner::Namespace("ns".to_owned());
        let mut suspects = Suspects::default();
        suspects.hear(&owner, OwnerPresence::Absent, BootInstant(0), APART);
        suspects.hear(&owner, OwnerPresence::Absent, BootInstant(30_000), APART);
        assert_eq!(suspects.take_gone().len(), 1);
        suspects.hear(&owner, OwnerPresence::Absent, BootInstant(60_000), APART);
        assert!(suspects.take_gone().is_empty());
    }
}
