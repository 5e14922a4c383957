//! Carries jobs out from the queue to their end, those that an earlier process left too, and logs each twice: when it is
//! taken, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::checkpoint::{Checkpointer, owner_of};
use super::job::{Event, Job, JobState};
use super::late_archives::LateArchives;
use super::limits;
use super::metrics::JobMetrics;
use super::queue::{JobUpdates, Queue, QueueSlot, RequestDenied};
use crate::clock;

/// Takes jobs from its queue and has the checkpointer do their steps.
pub struct Worker {
    queue: Queue,
    checkpointer: Arc<Checkpointer>,
    metrics: JobMetrics,
    late_archives: LateArchives,
    tasks: Mutex<JoinSet<()>>,
}

impl Worker {
    /// Nothing is carried out yet.
    pub fn new(queue: Queue, checkpointer: Checkpointer, metrics: JobMetrics) -> Arc<Self> {
        let late_archives = LateArchives::new(checkpointer.archives.clone());
        Arc::new(Self { queue, checkpointer: Arc::new(checkpointer), metrics, late_archives, tasks: Mutex::default() })
    }

    /// Where jobs are looked up.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Takes a job and begins with it; its record is durable when this returns. A caller who hangs up meanwhile leaves no
    /// record that nobody works on.
    pub async fn take(self: &Arc<Self>, job: Job) -> Result<JobUpdates, RequestDenied> {
        let own = Arc::clone(self);
        let taking = tokio::spawn(async move { own.admit(job).await });
        taking.await.unwrap_or_else(|why| Err(RequestDenied::Broken(why.to_string())))
    }

    async fn admit(self: &Arc<Self>, job: Job) -> Result<JobUpdates, RequestDenied> {
        let (slot, follower) = self.queue.take(job.clone()).await.inspect_err(|_| self.metrics.declined())?;
        let request = &job.request;
        tracing::info!(
            job = %job.id, caller = %job.caller, pod = %format!("{}/{}", request.namespace, request.pod), uid = %job.pod_uid,
            containers = %names(&job), delete = request.delete_pod, seal = request.seal_to.as_deref().unwrap_or(""),
            asynchronous = request.asynchronous, "a checkpoint was accepted"
        );
        self.metrics.accepted();
        self.spawn(job, Some(slot));
        Ok(follower)
    }

    /// Goes on with what an earlier process left, and goes on looking for archives that nobody wants.
    pub fn resume(self: &Arc<Self>, unended: Vec<Job>) {
        for job in self.queue.all() {
            self.look_for_late(&job);
        }
        for job in unended {
            tracing::info!(job = %job.id, state = ?job.state, "going on with what an earlier process left");
            self.spawn(job, None);
        }
    }

    fn spawn(self: &Arc<Self>, job: Job, slot: Option<QueueSlot>) {
        let own = Arc::clone(self);
        self.run(async move {
            let resumed = slot.is_none();
            let (worker, known) = (Arc::clone(&own), job.clone());
            let work = tokio::spawn(async move { worker.carry_out(job, resumed).await });
            if let Err(why) = work.await
                && why.is_panic()
            {
                own.broke(&known).await;
            }
            drop(slot);
        });
    }

    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    async fn carry_out(self: &Arc<Self>, mut job: Job, mut resumed: bool) {
        let pod = format!("{}/{}", job.request.namespace, job.request.pod);
        let (mut pod_lock, _permit) = self.queue.pod_lock(&pod).await;
        while !job.ended() {
            let event = match &job.state {
                JobState::Accepted => match self.unwanted(&job, resumed) {
                    Some(Unwanted::Leave) => return,
                    Some(Unwanted::Fail(reason)) => Event::Failed { reason: reason.to_owned(), late: None },
                    None => self.checkpointer.step(&job, resumed).await,
                },
                _ => self.checkpointer.step(&job, resumed).await,
            };
            let now = if event == Event::Begun { pod_lock.next_second().await } else { clock::epoch_seconds() };
            if matches!(job.state, JobState::Checkpointing { .. }) {
                pod_lock.ended();
            }
            job = self.move_on(job, event, now).await;
            resumed = false;
        }
        self.tell_end(&job);
        self.look_for_late(&job);
    }

    /// Records what happened before anything else is done. What cannot be recorded is not built upon.
    async fn move_on(&self, job: Job, event: Event, now: i64) -> Job {
        let before = in_clear(&job);
        let mut next = job.after(event, now);
        let clear = in_clear(&next).or(before);
        // Before anybody is told that it is removed.
        let clear = if failed(&next) { self.discard(clear).await } else { clear };
        if let Err(why) = self.queue.record(&next).await {
            if !matches!(next.state, JobState::Done) {
                let reason = format!("its record cannot be kept: {why}");
                next.state = JobState::Failed { reason, late: None };
            }
            tracing::error!(job = %next.id, "{why}");
            self.queue.tell(&next);
        }
        if failed(&next) {
            self.discard(clear).await;
        }
        next
    }

    /// Removes a plain archive that was to be sealed; nothing is left to remove then.
    async fn discard(&self, plain: Option<String>) -> Option<String> {
        if let Some(plain) = plain {
            self.checkpointer.discard(&plain).await;
        }
        None
    }

    /// A fault of this program must not leave anybody waiting for ever.
    async fn broke(&self, job: &Job) {
        let now = self.queue.find(&job.id).map_or_else(|| job.clone(), |follower| (**follower.borrow()).clone());
        let event = Event::Failed { reason: "serve broke off; see its log".to_owned(), late: None };
        let next = self.move_on(now, event, clock::epoch_seconds()).await;
        self.tell_end(&next);
    }

    /// Why a job that has not begun is not begun now.
    fn unwanted(&self, job: &Job, resumed: bool) -> Option<Unwanted> {
        let waits = !job.request.asynchronous;
        if resumed && waits {
            return Some(Unwanted::Fail("serve was restarted before this checkpoint began, and its caller is gone"));
        }
        if self.queue.is_closed() {
            let reason = "serve is being stopped, and the checkpoint had not begun; ask again";
            return Some(if waits { Unwanted::Fail(reason) } else { Unwanted::Leave });
        }
        None
    }

    fn tell_end(&self, job: &Job) {
        let seconds = job.changed - job.accepted;
        let files = job.taken.iter().map(|taken| taken.file.as_str()).collect::<Vec<_>>().join(", ");
        if let JobState::Failed { reason, .. } = &job.state {
            self.metrics.failed();
            tracing::warn!(job = %job.id, seconds, %files, %reason, "a checkpoint failed");
            return;
        }
        self.metrics.done();
        let image = job.image.as_deref().unwrap_or("");
        tracing::info!(job = %job.id, seconds, %files, image, deleted = job.request.delete_pod, "a checkpoint is done");
    }

    fn look_for_late(&self, job: &Job) {
        if let JobState::Failed { late: Some(late), .. } = &job.state
            && let Some(owner) = owner_of(job, &late.container)
        {
            self.late_archives.add(owner, late.clone());
        }
    }

    /// Takes nothing more, and waits for what runs; jobs that have not begun are left on disk, or failed where somebody
    /// waits for the answer. What has not ended after `grace` is on disk, and the next process goes on with it.
    pub async fn close(&self, grace: Duration) {
        self.queue.close();
        let end = tokio::time::Instant::now() + grace;
        while self.queue.busy() + self.queue.running() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if self.queue.running() > 0 {
            tracing::warn!(
                "told to stop, and a checkpoint has not ended in {grace:?}: the next instance goes on with it"
            );
        }
    }

    /// Looks for archives that nobody wants any more, until dropped.
    pub async fn look_out(&self) -> std::convert::Infallible {
        self.late_archives.run().await
    }

    /// Looks for records whose time is over, until dropped.
    pub async fn forget(&self) -> std::convert::Infallible {
        loop {
            self.queue.forget_the_oldest().await;
            tokio::time::sleep(limits::FORGET).await;
        }
    }
}

enum Unwanted {
    Fail(&'static str),
    Leave,
}

fn failed(job: &Job) -> bool {
    matches!(job.state, JobState::Failed { .. })
}

/// What is there in clear and was to be sealed.
fn in_clear(job: &Job) -> Option<String> {
    job.request.seal_to.as_ref()?;
    job.archive().map(str::to_owned)
}

fn names(job: &Job) -> String {
    job.containers.iter().map(|running| running.name.as_str()).collect::<Vec<_>>().join(",")
}
