//! Who waits for what: takes jobs as far as there is room, keeps their records before anyone relies on them, lets one at a
//! time work on a pod, and tells those who wait. Does none of the work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;

use super::job::{Job, JobId};
use super::limits;
use super::metrics::{GaugeGuard, JobMetrics};
use super::records::{Records, expired};
use crate::clock;
use crate::disk::files::FileError;

/// The job was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RequestDenied {
    /// No room.
    #[error("{0} checkpoints wait or run on this node, which is all it takes; come again")]
    Full(usize),
    /// Told to stop.
    #[error("this instance is being stopped; ask again when the next one is up")]
    Closing,
    /// A fault of this program.
    #[error("the checkpoint was not begun: {0}")]
    Broken(String),
    /// Its record cannot be kept.
    #[error("the checkpoint was not begun, since its record cannot be kept: {0}")]
    Record(#[from] FileError),
}

/// How a job is followed: the record as it stands, and each change.
pub type JobUpdates = watch::Receiver<Arc<Job>>;

/// Takes jobs. Cheap to clone; clones are the same queue.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    records: Records,
    jobs: Mutex<HashMap<JobId, watch::Sender<Arc<Job>>>>,
    room: Arc<Semaphore>,
    size: usize,
    running: Arc<Semaphore>,
    pod_locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<PodLock>>>>,
    /// Every checkpoint begins in a later second than this: what an earlier process did in it nobody remembers.
    opened: i64,
    metrics: JobMetrics,
}

/// One at a time has it, for one pod.
#[derive(Debug)]
pub struct PodLock {
    /// The kubelet's name for the last archive is of this second or before.
    last: i64,
}

/// Room for a job, until it is dropped.
pub struct QueueSlot {
    _room: OwnedSemaphorePermit,
    _counted: GaugeGuard,
}

/// One of the checkpoints that may run at a time, until it is dropped.
pub struct RunPermit {
    _hand: OwnedSemaphorePermit,
    _counted: GaugeGuard,
}

impl Queue {
    /// With the jobs that are on disk; returns those that have not ended.
    pub fn open(records: Records, size: usize, metrics: JobMetrics) -> Result<(Self, Vec<Job>), FileError> {
        let (found, unread) = records.load()?;
        for line in unread {
            tracing::warn!("a job's record cannot be read and is left alone: {line}");
        }
        let unended: Vec<Job> = found.iter().filter(|job| !job.ended()).cloned().collect();
        let jobs = found.into_iter().map(|job| (job.id.clone(), watch::channel(Arc::new(job)).0)).collect();
        let inner = Inner {
            records,
            jobs: Mutex::new(jobs),
            room: Arc::new(Semaphore::new(size)),
            size,
            running: Arc::new(Semaphore::new(limits::RUNNING)),
            pod_locks: Mutex::default(),
            opened: clock::epoch_seconds(),
            metrics,
        };
        Ok((Self(Arc::new(inner)), unended))
    }

    /// Takes a job if there is room. Its record is durable when this returns.
    pub async fn take(&self, job: Job) -> Result<(QueueSlot, JobUpdates), RequestDenied> {
        let room = Arc::clone(&self.0.room);
        let place = match room.try_acquire_owned() {
            Ok(permit) => QueueSlot { _room: permit, _counted: self.0.metrics.in_queue() },
            Err(tokio::sync::TryAcquireError::NoPermits) => return Err(RequestDenied::Full(self.0.size)),
            Err(tokio::sync::TryAcquireError::Closed) => return Err(RequestDenied::Closing),
        };
        self.forget_the_oldest().await;
        self.save(&job).await?;
        let (sender, follower) = watch::channel(Arc::new(job));
        let id = follower.borrow().id.clone();
        self.jobs().insert(id, sender);
        Ok((place, follower))
    }

    /// Takes no more jobs.
    pub fn close(&self) {
        self.0.room.close();
    }

    /// Told to stop.
    pub fn is_closed(&self) -> bool {
        self.0.room.is_closed()
    }

    /// The job, if there is such a one.
    pub fn find(&self, id: &JobId) -> Option<JobUpdates> {
        self.jobs().get(id).map(watch::Sender::subscribe)
    }

    /// How many wait or run.
    pub fn busy(&self) -> usize {
        self.0.size.saturating_sub(self.0.room.available_permits())
    }

    /// How many run.
    pub fn running(&self) -> usize {
        limits::RUNNING.saturating_sub(self.0.running.available_permits())
    }

    /// Every job there is.
    pub fn all(&self) -> Vec<Arc<Job>> {
        self.jobs().values().map(|sender| Arc::clone(&sender.borrow())).collect()
    }

    /// Keeps what has become of a job, then tells who waits for it.
    pub async fn record(&self, job: &Job) -> Result<(), FileError> {
        self.save(job).await?;
        self.tell(job);
        Ok(())
    }

    /// Tells who waits, although the record could not be kept.
    pub fn tell(&self, job: &Job) {
        if let Some(sender) = self.jobs().get(&job.id) {
            sender.send_replace(Arc::new(job.clone()));
        }
    }

    /// Waits until nobody else works on the pod, and for a free hand.
    pub async fn pod_lock(&self, pod: &str) -> (tokio::sync::OwnedMutexGuard<PodLock>, RunPermit) {
        let queue = {
            let mut pod_locks = self.0.pod_locks.lock();
            let now = clock::epoch_seconds();
            // Forgotten when nobody has or wants it, and its last second is over.
            pod_locks.retain(|_, pod_lock| {
                Arc::strong_count(pod_lock) > 1 || pod_lock.try_lock().is_ok_and(|pod_lock| pod_lock.last >= now)
            });
            let fresh = || Arc::new(tokio::sync::Mutex::new(PodLock { last: self.0.opened }));
            Arc::clone(pod_locks.entry(pod.to_owned()).or_insert_with(fresh))
        };
        let pod_lock = queue.lock_owned().await;
        loop {
            // Never closed; asked again all the same.
            if let Ok(permit) = Arc::clone(&self.0.running).acquire_owned().await {
                return (pod_lock, RunPermit { _hand: permit, _counted: self.0.metrics.runs() });
            }
        }
    }

    /// Removes records whose time is over.
    pub async fn forget_the_oldest(&self) {
        let over: Vec<JobId> = {
            let jobs = self.jobs();
            let all: Vec<Arc<Job>> = jobs.values().map(|sender| Arc::clone(&sender.borrow())).collect();
            expired(all.iter().map(Arc::as_ref), clock::epoch_seconds(), limits::MOST_JOBS)
        };
        for id in over {
            let (inner, gone) = (Arc::clone(&self.0), id.clone());
            match blocking(move || inner.records.remove(&gone)).await {
                Ok(()) => drop(self.jobs().remove(&id)),
                Err(why) => tracing::warn!("a job's record stays: {why}"),
            }
        }
    }

    async fn save(&self, job: &Job) -> Result<(), FileError> {
        let (inner, job) = (Arc::clone(&self.0), job.clone());
        blocking(move || inner.records.save(&job)).await
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<Arc<Job>>>> {
        // The map is whole after every statement.
        self.0.jobs.lock()
    }
}

/// On a thread of its own: a disk that is slow must not hold up the answers.
async fn blocking(work: impl FnOnce() -> Result<(), FileError> + Send + 'static) -> Result<(), FileError> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(why) => Err(FileError::new("write", "jobs".into(), std::io::Error::other(why.to_string()))),
    }
}

impl PodLock {
    /// The kubelet names archives by the second: waits for one that no archive of this pod has yet, and returns it.
    pub async fn next_second(&mut self) -> i64 {
        loop {
            let now = clock::epoch_seconds();
            if now > self.last {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The kubelet's name for the archive is of now, or before.
    pub fn ended(&mut self) {
        self.last = clock::epoch_seconds();
    }
}

/// Waits for the end of a job, as long as `limit`; none if it goes on.
pub async fn end_of(follower: &mut JobUpdates, limit: Duration) -> Option<Arc<Job>> {
    let ended = tokio::time::timeout(limit, follower.wait_for(|job| job.ended())).await;
    ended.ok()?.ok().map(|job| Arc::clone(&job))
}
