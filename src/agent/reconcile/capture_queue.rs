//! Captures beside the passes: what waits for the API server must not keep a pass from making room or bringing back.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::capture::{CaptureError, Capturer};
use crate::pod::key::PodKey;
use crate::pod::parent::Parent;

/// How long outcomes are gathered while more are to come.
const GATHER: Duration = Duration::from_secs(1);

/// What became of one capture.
#[derive(Debug)]
pub struct CaptureDone {
    /// The parent, as it was asked to be saved.
    pub parent: Parent,
    /// Saved, or why not.
    pub outcome: Result<(), CaptureError>,
}

/// Saves parents one after the other, while somebody waits for [`Self::next`]; ends when dropped.
pub struct CaptureQueue {
    /// Bounded by [`Self::pending`]: each pod is in it once.
    rounds: mpsc::UnboundedSender<Vec<Parent>>,
    done: mpsc::UnboundedReceiver<CaptureDone>,
    pending: BTreeSet<PodKey>,
    /// Outcomes that [`Self::next`] has gathered, and since when.
    ready: Vec<CaptureDone>,
    ready_since: Instant,
    work: LocalBoxFuture<'static, Infallible>,
}

impl CaptureQueue {
    /// With nothing to save yet.
    pub fn new(capturer: Capturer) -> Self {
        let (rounds, wanted) = mpsc::unbounded_channel();
        let (tell, done) = mpsc::unbounded_channel();
        let (pending, ready) = (BTreeSet::new(), Vec::new());
        Self {
            rounds,
            done,
            pending,
            ready,
            ready_since: Instant::now(),
            work: work(capturer, wanted, tell).boxed_local(),
        }
    }

    /// Pods that are being saved or wait for it, or whose outcome nobody has taken yet.
    pub fn pending(&self) -> &BTreeSet<PodKey> {
        &self.pending
    }

    /// Saves these, in one round, in which each object is asked for once; those that wait already are not asked for again.
    pub fn enqueue(&mut self, parents: Vec<Parent>) {
        let round: Vec<Parent> = parents.into_iter().filter(|parent| self.pending.insert(parent.key.clone())).collect();
        if !round.is_empty() {
            // The receiver lives in `work`, as long as this does.
            let _ = self.rounds.send(round);
        }
    }

    /// Works until nothing is left to do, or for a second from the first outcome on: a round of refreshing is to cost few
    /// passes. Loses nothing when it is dropped, and goes on from there.
    pub async fn next(&mut self) -> Vec<CaptureDone> {
        loop {
            tokio::select! {
                Some(done) = self.done.recv() => {
                    if self.ready.is_empty() {
                        self.ready_since = Instant::now();
                    }
                    self.ready.push(done);
                }
                () = sleep_until(self.ready_since + GATHER), if !self.ready.is_empty() => return self.take(),
                never = &mut self.work => match never {},
            }
            if self.ready.len() == self.pending.len() {
                return self.take();
            }
        }
    }

    fn take(&mut self) -> Vec<CaptureDone> {
        let ready = std::mem::take(&mut self.ready);
        ready.iter().for_each(|done| drop(self.pending.take(&done.parent.key)));
        ready
    }
}

async fn work(
    mut capturer: Capturer,
    mut rounds: mpsc::UnboundedReceiver<Vec<Parent>>,
    tell: mpsc::UnboundedSender<CaptureDone>,
) -> Infallible {
    while let Some(round) = rounds.recv().await {
        capturer.begin_round();
        for parent in round {
            let outcome = capturer.capture(&parent).await;
            // Both ends of both channels live in one `CaptureQueue`.
            let _ = tell.send(CaptureDone { parent, outcome });
        }
    }
    std::future::pending().await
}
