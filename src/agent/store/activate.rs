//! Into the kubelet's directory and out of it. A link each, and one fsync for all of them.

use super::copies::Copy;
use super::manifest;
use super::names::{self, CopyPlace};
use super::{MANIFEST_MODE, Store, StoreError};
use crate::disk::atomic;
use crate::pod::key::PodKey;

/// How it went, pod by pod: one that fails does not stop the others.
pub type Outcomes = Vec<(PodKey, Result<(), StoreError>)>;

impl Store {
    /// Takes the copies that count into the kubelet's directory. An active manifest that runs the same pod is not
    /// touched, another of ours is replaced, a foreign one is an error.
    pub fn activate(&self, keys: &[PodKey]) -> Outcomes {
        let _writing = self.writing();
        let legacy = self.legacy();
        self.in_one_batch(keys, |key| {
            if legacy.as_ref().map_err(Clone::clone)?.get(key).is_some_and(|files| files.active) {
                let path = self.files.locate(&names::legacy(names::MANIFESTS, key));
                return Err(StoreError::Legacy { key: key.clone(), path });
            }
            self.link_active(key)
        })
    }

    /// Takes the active manifests of ours away; there may be none.
    pub fn deactivate(&self, keys: &[PodKey]) -> Outcomes {
        let _writing = self.writing();
        self.in_one_batch(keys, |key| self.remove_active(key))
    }

    fn in_one_batch(&self, keys: &[PodKey], each: impl Fn(&PodKey) -> Result<(), StoreError>) -> Outcomes {
        let mut outcomes: Outcomes = keys.iter().map(|key| (key.clone(), each(key))).collect();
        if outcomes.iter().any(|(_, outcome)| outcome.is_ok())
            && let Err(error) = self.files.sync_dir(names::MANIFESTS)
        {
            for (_, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
                *outcome = Err(error.clone().into());
            }
        }
        outcomes
    }

    fn link_active(&self, key: &PodKey) -> Result<(), StoreError> {
        let copies = self.copies(key)?;
        let Some(chosen) = copies.chosen() else {
            return Err(match copies.unusable().next() {
                Some((place, why)) => self.unusable(place, key, why),
                None => StoreError::Missing { key: key.clone() },
            });
        };
        if let Some(why) = chosen.missing {
            return Err(StoreError::Incomplete { key: key.clone(), why: why.to_owned() });
        }
        if matches!(copies.active, Copy::Ours(..)) && !copies.is_stale() {
            return Ok(());
        }
        self.make_way(CopyPlace::Active, key)?;
        let (from, to) = (chosen.place.path(key), CopyPlace::Active.path(key));
        Ok(atomic::link(&*self.files, &from, &to, manifest::LIMIT, MANIFEST_MODE)?)
    }

    /// The directory is not synced.
    pub(super) fn remove_active(&self, key: &PodKey) -> Result<(), StoreError> {
        let path = CopyPlace::Active.path(key);
        match self.copy(CopyPlace::Active, key)? {
            Copy::Absent => Ok(()),
            Copy::Ours(..) => Ok(self.remove_if_there(&path)?),
            Copy::Foreign => Err(StoreError::Foreign { path: self.files.locate(&path) }),
            Copy::OtherFormat(why) | Copy::Damaged(why) => Err(self.unusable(CopyPlace::Active, key, &why)),
        }
    }
}
