//! The one task of retention: hears of changes, looks, lets `select` decide, has it done, and says so. Several may run for
//! one directory; one of them deletes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::effective_policy::EffectivePolicy;
use super::metrics::RetentionMetrics;
use super::policy::{ContainerKey, Owner, Policy};
use super::select::{Circumstances, SelectionScope};
use super::status::{self, DeletedArchive, SweepStatus};
use super::{orphans, owner_watch};
use crate::cluster::client::ApiClient;
use crate::disk::dir_watch::{Changed, DirWatch};

mod pass;
mod undeletable;

use pass::{DirectoryLook, PassWorker, Round};

/// When what is done.
#[derive(Debug, Clone, Copy)]
pub struct SweepTimings {
    /// After a change, until nothing more is likely to come.
    pub debounce: Duration,
    /// Between two looks at the disk's room and at ages.
    pub tick: Duration,
    /// Between two looks at files that are being written.
    pub growing: Duration,
    /// Between two looks at everything, in case an event was lost; also before the index is written down.
    pub rescan: Duration,
    /// Between two rounds of questions whether pods are still there.
    pub orphans: Duration,
    /// Between the two answers that make a pod gone, at least.
    pub apart: Duration,
    /// Between two changes of this node's part of the resource's status.
    pub status: Duration,
}

impl Default for SweepTimings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            debounce: seconds(1),
            tick: seconds(5),
            growing: seconds(60),
            rescan: seconds(600),
            orphans: seconds(300),
            apart: seconds(30),
            status: seconds(30),
        }
    }
}

/// What the rest of the program needs of the directory.
pub trait InUse: Send + Sync {
    /// Names of files that somebody works with: never deleted.
    fn files(&self) -> BTreeSet<String>;
    /// Containers that are being checkpointed: the newest archive of each is never deleted.
    fn awaited(&self) -> BTreeSet<ContainerKey>;
    /// Names of files that were handed to a caller, and when.
    fn returned(&self) -> BTreeMap<String, Timestamp>;
}

/// Nobody needs anything.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl InUse for Nobody {
    fn files(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn awaited(&self) -> BTreeSet<ContainerKey> {
        BTreeSet::new()
    }

    fn returned(&self) -> BTreeMap<String, Timestamp> {
        BTreeMap::new()
    }
}

/// What the sweeper is made of.
pub struct Sweeper {
    /// The kubelet's directory of archives, as it is mounted here.
    pub directory: PathBuf,
    /// A directory of its own, on a disk: the index.
    pub state: PathBuf,
    /// See [`SweepTimings`].
    pub pace: SweepTimings,
    /// The policy, from `follow`.
    pub effective: watch::Receiver<Arc<EffectivePolicy>>,
    /// The rest of the program.
    pub in_use: Arc<dyn InUse>,
    /// For the question whether pods are still there; without it no archive is an orphan.
    pub api: Option<ApiClient>,
    /// Where it says how it stands.
    pub sweep_status: watch::Sender<Arc<SweepStatus>>,
    /// Where deletions are told, a round at a time.
    pub done: mpsc::Sender<Vec<DeletedArchive>>,
    /// Counts deletions, and what is left.
    pub metrics: RetentionMetrics,
}

/// What woke it.
enum Woken {
    /// Names in the directory.
    Changed(Changed),
    /// A look at everything is due.
    Rescan,
    /// The disk's room and ages are to be looked at; whether growing files are too.
    Tick { growing: bool },
    /// Other orders.
    EffectivePolicy,
    /// These are gone.
    Gone(BTreeSet<Owner>),
}

impl Sweeper {
    /// Until `stop` is over. What is under way is brought to its end first, and the index written down.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let (owners, asked) = watch::channel(BTreeSet::new());
        let (tell_gone, mut gone) = mpsc::channel(1);
        let _asking = self.api.clone().map(|api| {
            let pace = owner_watch::OwnerWatchTimings { round: self.pace.orphans, apart: self.pace.apart };
            Task(tokio::spawn(owner_watch::run(api, asked, tell_gone, pace)))
        });
        let mut worker = PassWorker::new(self.directory.clone(), self.state.clone(), self.metrics.clone());
        let mut ticks = interval(self.pace.tick);
        let mut rescans = interval(self.pace.rescan);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rescans.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut names, mut looked, mut started) = (None, Instant::now(), false);
        loop {
            let woken = tokio::select! {
                () = &mut stop => break,
                _ = rescans.tick() => Woken::Rescan,
                () = changed(names.as_ref()) => {
                    sleep(self.pace.debounce).await;
                    Woken::Changed(names.as_ref().map_or(Changed::Everything, DirWatch::take))
                }
                Ok(()) = self.effective.changed() => Woken::EffectivePolicy,
                Some(gone) = gone.recv() => Woken::Gone(gone),
                _ = ticks.tick() => {
                    let growing = looked.elapsed() >= self.pace.growing;
                    if growing {
                        looked = Instant::now();
                    }
                    Woken::Tick { growing }
                }
            };
            if matches!(woken, Woken::Rescan) || names.is_none() {
                // Before the look at everything, so that nothing falls between the two.
                names = self.watch();
            }
            let first = !std::mem::replace(&mut started, true);
            let (back, touched) = self.round(worker, woken, first).await;
            worker = back;
            started &= worker.is_open();
            owners.send_if_modified(|owners| {
                let effective = self.effective.borrow();
                let now = match (&effective.policy, worker.index()) {
                    (Some(policy), Some(index)) => orphans::owners(index, policy),
                    _ => BTreeSet::new(),
                };
                let changed = touched && *owners != now;
                if changed {
                    *owners = now;
                }
                changed
            });
        }
        worker.close().await;
    }

    fn watch(&self) -> Option<DirWatch> {
        match DirWatch::of(&self.directory) {
            Ok(names) => Some(names),
            Err(why) => {
                tracing::debug!(%why, "changes are seen by looking at everything now and then");
                None
            }
        }
    }

    /// Looks and acts once. Says whether there may be other owners than before.
    async fn round(&self, worker: PassWorker, woken: Woken, first: bool) -> (PassWorker, bool) {
        // Not marked as seen: orders that came together with something else must wake it for themselves.
        let effective = Arc::clone(&self.effective.borrow());
        let mut circumstances = Circumstances::at(Timestamp::now());
        circumstances.in_use = self.in_use.files();
        circumstances.awaited = self.in_use.awaited();
        circumstances.returned = self.in_use.returned();
        let mut round = Round::new(self.held(&effective), circumstances);
        // At the start and on new orders, what lies there is held to them only if they say so.
        let immediately = effective.policy.as_ref().is_some_and(|policy| policy.immediately);
        round.everybody = first && immediately;
        let mut touched = true;
        match woken {
            Woken::Rescan => {
                round.look = DirectoryLook::Everything;
                round.save = true;
            }
            Woken::Changed(Changed::Everything) => round.look = DirectoryLook::Everything,
            Woken::Changed(Changed::Names(names)) => round.look = DirectoryLook::At(names),
            Woken::EffectivePolicy => round.everybody = immediately,
            Woken::Gone(gone) => round.circumstances.gone = gone,
            Woken::Tick { growing } => {
                touched = growing;
                if growing {
                    round.look = DirectoryLook::Unsettled;
                }
            }
        }
        round.start = first;
        let (worker, ended) = worker.round(round).await;
        self.tell(&effective, ended);
        (worker, touched)
    }

    /// The policy, if it is for the directory that is mounted here.
    fn held(&self, effective: &EffectivePolicy) -> Option<Policy> {
        effective.policy.clone().filter(|policy| self.directory == std::path::Path::new(&policy.directory))
    }

    fn tell(&self, effective: &EffectivePolicy, ended: pass::PassResult) {
        let elsewhere = effective.policy.as_ref().filter(|_| self.held(effective).is_none()).map(|policy| {
            let here = self.directory.display();
            let why = format!("{} is not mounted here, only {here}; nothing is deleted", policy.directory);
            (status::NOT_MOUNTED, why)
        });
        let last = ended.done.last().cloned();
        self.sweep_status.send_if_modified(|sweep_status| {
            let now = SweepStatus {
                totals: ended.totals.unwrap_or(sweep_status.totals),
                deleted: sweep_status.deleted + ended.done.len() as u64,
                last: last.or_else(|| sweep_status.last.clone()),
                idle: ended.idle.or(elsewhere),
                failing: ended.failing,
            };
            if now.idle != sweep_status.idle
                && let Some((_, why)) = &now.idle
            {
                tracing::warn!(%why, "retention deletes nothing");
            }
            let changed = **sweep_status != now;
            if changed {
                *sweep_status = Arc::new(now);
            }
            changed
        });
        if !ended.done.is_empty() {
            // A full queue means an API that is slow or away; each deletion is in the log.
            let _ = self.done.try_send(ended.done);
        }
    }
}

async fn changed(names: Option<&DirWatch>) {
    match names {
        Some(names) => names.changed().await,
        None => std::future::pending().await,
    }
}

/// A task that ends with its owner.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a round holds everybody to.
fn scope(everybody: bool, touched: &BTreeSet<Arc<ContainerKey>>) -> SelectionScope<'_> {
    if everybody { SelectionScope::All } else { SelectionScope::Only(touched) }
}
