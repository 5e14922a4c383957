//! One round of the sweeper, on a thread that may block: look, select, delete, each deletion with its line in the log.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::scope;
use super::undeletable::Undeletable;
use crate::disk::files::FileError;
use crate::disk::open_dir::Room;
use crate::serve::retention::archive_dir::{ArchiveDir, DeletionOutcome};
use crate::serve::retention::index::{Index, Totals};
use crate::serve::retention::metrics::RetentionMetrics;
use crate::serve::retention::policy::{ContainerKey, Policy};
use crate::serve::retention::select::{Circumstances, Deletion, select};
use crate::serve::retention::status::DeletedArchive;

/// How often in a round it is chosen anew, since files cannot be deleted, or are others than were chosen.
const ATTEMPTS: usize = 8;

/// What is looked at.
pub(super) enum DirectoryLook {
    Nowhere,
    /// What belongs to these names.
    At(BTreeSet<String>),
    /// What was being written when it was looked at last.
    Unsettled,
    Everything,
}

/// What is to be done.
pub(super) struct Round {
    /// The first after the directory was opened: what lies there is nothing new.
    pub(super) start: bool,
    pub(super) look: DirectoryLook,
    pub(super) save: bool,
    pub(super) everybody: bool,
    pub(super) circumstances: Circumstances,
    policy: Option<Policy>,
}

impl Round {
    pub(super) fn new(policy: Option<Policy>, circumstances: Circumstances) -> Self {
        Self { start: false, look: DirectoryLook::Nowhere, save: false, everybody: false, circumstances, policy }
    }
}

/// What came of it.
#[derive(Default)]
pub(super) struct PassResult {
    pub(super) totals: Option<Totals>,
    pub(super) done: Vec<DeletedArchive>,
    pub(super) idle: Option<(&'static str, String)>,
    pub(super) failing: Option<String>,
}

/// The keeper, once the directory is there.
pub(super) struct PassWorker {
    directory: PathBuf,
    state: PathBuf,
    metrics: RetentionMetrics,
    keeper: Option<ArchiveDir>,
    /// What a dry run has said already.
    said: BTreeSet<Arc<str>>,
    /// Whose archives could not be held to the policy: they are looked at again with those that are being written.
    owed: BTreeSet<Arc<ContainerKey>>,
    /// What could not be deleted, until then.
    refused: Undeletable,
    /// Another process had the right to delete when there last was something to.
    waiting: bool,
}

impl PassWorker {
    pub(super) fn new(directory: PathBuf, state: PathBuf, metrics: RetentionMetrics) -> Self {
        let (said, owed, refused) = (BTreeSet::new(), BTreeSet::new(), Undeletable::default());
        Self { directory, state, metrics, keeper: None, said, owed, refused, waiting: false }
    }

    pub(super) fn is_open(&self) -> bool {
        self.keeper.is_some()
    }

    pub(super) fn index(&self) -> Option<&Index> {
        self.keeper.as_ref().map(ArchiveDir::index)
    }

    /// Carries it out on a thread of its own.
    pub(super) async fn round(self, round: Round) -> (Self, PassResult) {
        let spare = Self::new(self.directory.clone(), self.state.clone(), self.metrics.clone());
        let carried_out = tokio::task::spawn_blocking(move || {
            let mut worker = self;
            let ended = worker.carry_out(round);
            (worker, ended)
        });
        carried_out.await.unwrap_or_else(|why| {
            tracing::error!(%why, "a look at the archives broke off; beginning anew");
            (spare, PassResult::default())
        })
    }

    /// Writes the index down.
    pub(super) async fn close(self) {
        let saved = tokio::task::spawn_blocking(move || self.keeper.map_or(Ok(()), |mut keeper| keeper.save())).await;
        if let Ok(Err(why)) = saved {
            tracing::warn!(%why, "archives will be read again after the restart");
        }
    }

    fn carry_out(&mut self, round: Round) -> PassResult {
        let mut ended = PassResult::default();
        if let Err(why) = self.try_to(round, &mut ended) {
            ended.idle = Some(("DirectoryUnreadable", why.to_string()));
        }
        ended
    }

    fn try_to(&mut self, mut round: Round, ended: &mut PassResult) -> Result<(), FileError> {
        let keeper = match &mut self.keeper {
            Some(keeper) => keeper,
            none => {
                let keeper = ArchiveDir::open(&self.directory, Some(&self.state), self.metrics.clone())?;
                (round.look, round.start) = (DirectoryLook::Everything, true);
                none.insert(keeper)
            }
        };
        let again = matches!(round.look, DirectoryLook::Unsettled | DirectoryLook::Everything);
        let mut touched = match &round.look {
            DirectoryLook::Nowhere => BTreeSet::new(),
            DirectoryLook::At(names) => keeper.look(names)?,
            DirectoryLook::Unsettled => keeper.look(&keeper.unsettled())?,
            DirectoryLook::Everything => keeper.rescan()?,
        };
        if round.start {
            touched.clear();
        }
        if again {
            touched.append(&mut self.owed);
            self.refused.try_again();
            // From the start on, not only when something is to go: whoever else would delete here knows nothing of jobs.
            // That it cannot be had matters, and is said, when something is.
            drop(keeper.may_delete());
        }
        ended.totals = Some(keeper.index().totals());
        if round.save
            && let Err(why) = keeper.save()
        {
            tracing::warn!(%why, "archives will be read again after a restart");
        }
        let Some(policy) = round.policy.take() else { return Ok(()) };
        round.circumstances.room = keeper.room().ok();
        if policy.dry_run {
            self.rehearse(&policy, &round, &touched);
            return Ok(());
        }
        self.said.clear();
        self.waiting &= !again;
        self.hold(&policy, round, &touched, ended)?;
        if ended.idle.is_some() {
            self.owed.extend(touched);
        } else if again {
            self.refused.settle();
        }
        ended.failing = self.refused.why();
        self.settle(ended);
        Ok(())
    }

    /// Says what would be deleted, of each file once.
    fn rehearse(&mut self, policy: &Policy, round: &Round, touched: &BTreeSet<Arc<ContainerKey>>) {
        let Some(keeper) = &self.keeper else { return };
        let scope = scope(round.everybody, touched);
        let deletions = select(keeper.index(), policy, &round.circumstances, scope);
        for deletion in deletions.iter().filter(|deletion| self.said.insert(Arc::clone(&deletion.file))) {
            say(deletion, "would delete an archive (dry run)");
        }
    }

    /// Selects and deletes, until there is nothing more that can be.
    fn hold(
        &mut self,
        policy: &Policy,
        mut round: Round,
        touched: &BTreeSet<Arc<ContainerKey>>,
        ended: &mut PassResult,
    ) -> Result<(), FileError> {
        let room = round.circumstances.room;
        for _ in 0..ATTEMPTS {
            let Some(keeper) = &mut self.keeper else { break };
            // Not measured again: some filesystems give blocks back a moment later, and that must not cost more archives.
            let freed: u64 = ended.done.iter().map(|done| done.size).sum();
            round.circumstances.room = room.map(|room| Room { free: room.free.saturating_add(freed), ..room });
            // What cannot go stays like what is pinned, and the next oldest goes in its place.
            round.circumstances.in_use.extend(self.refused.files().iter().map(ToString::to_string));
            let scope = scope(round.everybody, touched);
            let deletions = select(keeper.index(), policy, &round.circumstances, scope);
            if !deletions.is_empty() {
                self.waiting = !keeper.may_delete()?;
            }
            if self.waiting {
                ended.idle = Some(("AnotherDeletes", "another process keeps this directory".to_owned()));
                break;
            }
            let gone = deletions.iter().filter(|deletion| self.delete(deletion, ended)).count();
            if gone == deletions.len() || self.refused.everything() {
                break;
            }
        }
        Ok(())
    }

    /// Whether it is gone.
    fn delete(&mut self, deletion: &Deletion, ended: &mut PassResult) -> bool {
        let Some(keeper) = self.keeper.as_mut().filter(|_| !self.refused.everything()) else {
            self.owed.extend(deletion.key.clone());
            return false;
        };
        match keeper.delete(deletion) {
            Ok(DeletionOutcome::Removed) => {
                say(deletion, "deleted an archive");
                ended.done.push(done(deletion));
                return true;
            }
            Ok(DeletionOutcome::Left) => {
                tracing::info!(file = %deletion.file, "an archive changed or was pinned; it stays");
            }
            Err(why) => {
                if self.refused.hear(&deletion.file, &why) {
                    tracing::warn!(%why, "cannot delete an archive; it is tried again");
                }
                keeper.failed();
            }
        }
        self.owed.extend(deletion.key.clone());
        false
    }

    /// What was removed stays removed.
    fn settle(&mut self, ended: &mut PassResult) {
        let Some(keeper) = self.keeper.as_mut().filter(|_| !ended.done.is_empty()) else { return };
        if let Err(why) = keeper.settle() {
            ended.failing = Some(why.to_string());
        }
        ended.totals = Some(keeper.index().totals());
    }
}

fn say(deletion: &Deletion, what: &'static str) {
    let of = deletion.key.as_ref().map(ToString::to_string).unwrap_or_default();
    tracing::info!(file = %deletion.file, %of, taken = %deletion.at, bytes = deletion.size, reason = deletion.why.label(), why = %deletion.why, "{what}");
}

fn done(deletion: &Deletion) -> DeletedArchive {
    DeletedArchive {
        file: deletion.file.to_string(),
        of: deletion.key.as_ref().map(ToString::to_string).unwrap_or_default(),
        size: deletion.size,
        why: deletion.why.to_string(),
        at: Timestamp::now(),
    }
}
