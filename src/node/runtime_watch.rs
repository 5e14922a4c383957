//! Keeps a current list of the runtime's pods: events say when to list again, and where there are none the list is
//! repeated. Publishes what was seen; what it means is not decided here.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::cri::{Cri, CriError, Events};
use crate::backoff::Backoff;
use crate::clock;
use crate::moment::Observation;
use crate::pod::runtime::NodePods;

/// The delays of the watch.
#[derive(Debug, Clone)]
pub struct RuntimeWatchTimings {
    /// From the start of one list to the start of the next, at least: a burst of events costs few lists.
    pub between_lists: Duration,
    /// First wait after a failure; doubles.
    pub first_retry: Duration,
    /// Most that the wait grows to; also how often to list where there are no events.
    pub most: Duration,
    /// After subscribing, list once more: a runtime does not confirm when a subscription begins.
    pub settle: Duration,
    /// With events flowing, list this often all the same: a lost event, or a runtime that hangs, would show nowhere else.
    pub relist: Duration,
    /// A stream of events that lived this long ended for a new reason, so retries start over.
    pub stable: Duration,
}

impl Default for RuntimeWatchTimings {
    fn default() -> Self {
        Self {
            between_lists: Duration::from_millis(20),
            first_retry: Duration::from_millis(100),
            most: Duration::from_secs(2),
            settle: Duration::from_millis(250),
            relist: Duration::from_secs(60),
            stable: Duration::from_secs(10),
        }
    }
}

/// More callers of [`RuntimeWatch::refresh`] at one time wait their turn.
const WAITING: usize = 16;
/// Events taken before the list that answers them; whatever is left asks for another.
const AT_MOST_DRAINED: usize = 1024;

/// A running watch; ends when dropped.
#[derive(Debug)]
pub struct RuntimeWatch {
    reading: watch::Receiver<Observation<NodePods>>,
    ask: mpsc::Sender<Answer>,
    task: JoinHandle<()>,
}

impl RuntimeWatch {
    /// Starts watching. `Unavailable` until the first list.
    pub fn spawn(cri: Cri, pace: RuntimeWatchTimings) -> Self {
        let (publish, reading) = watch::channel(Observation::Unavailable("the runtime was not asked yet".to_owned()));
        let (ask, asked) = mpsc::channel(WAITING);
        let retry = Backoff::new(pace.first_retry, pace.most);
        let events = Feed::Closed { until: Instant::now() };
        let task = Task { cri, pace, publish, asked, events, retry, complaint: None };
        Self { reading, ask, task: tokio::spawn(task.run()) }
    }

    /// The latest reading. Receivers wake when the pods or the runtime's availability change; the time in a `Seen` is
    /// always that of the last successful list, also where that list changed nothing and woke nobody.
    pub fn subscribe(&self) -> watch::Receiver<Observation<NodePods>> {
        self.reading.clone()
    }

    /// A list that was begun after this call.
    pub async fn refresh(&self) -> Observation<NodePods> {
        let (answer, fresh) = oneshot::channel();
        let gone = || Observation::Unavailable("the watch of the runtime has ended".to_owned());
        if self.ask.send(answer).await.is_err() {
            return gone();
        }
        fresh.await.unwrap_or_else(|_| gone())
    }
}

impl Drop for RuntimeWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    cri: Cri,
    pace: RuntimeWatchTimings,
    publish: watch::Sender<Observation<NodePods>>,
    asked: mpsc::Receiver<Answer>,
    events: Feed,
    retry: Backoff,
    /// Why there are no events, once said in the log.
    complaint: Option<String>,
}

type Answer = oneshot::Sender<Observation<NodePods>>;

/// The subscription to events.
enum Feed {
    Open { stream: Events, since: Instant, spoke: bool },
    Closed { until: Instant },
}

impl Task {
    async fn run(mut self) {
        let mut waiting = Vec::new();
        loop {
            self.subscribe();
            while let Ok(one) = self.asked.try_recv() {
                waiting.push(one);
            }
            let started = Instant::now();
            let reading = self.list().await;
            for one in waiting.drain(..) {
                // Whoever asked may have given up waiting.
                let _ = one.send(reading.clone());
            }
            let next = self.next_list(started, reading.seen().is_some());
            match self.wait(next).await {
                Wake::Ended => return,
                Wake::Asked(one) => waiting.push(one),
                Wake::List => {}
            }
            sleep_until(started + self.pace.between_lists).await;
            self.drain();
        }
    }

    /// Asks for events where none are coming and it is time to. The subscription goes out with the first poll.
    fn subscribe(&mut self) {
        if let Feed::Closed { until } = self.events
            && until <= Instant::now()
        {
            self.events = Feed::Open { stream: self.cri.events(), since: Instant::now(), spoke: false };
            self.drain();
        }
    }

    async fn list(&mut self) -> Observation<NodePods> {
        let at = clock::now();
        let reading = match self.cri.list().await {
            Ok(pods) => Observation::Seen(pods, at),
            Err(why) => Observation::Unavailable(why.to_string()),
        };
        self.publish.send_if_modified(|last| {
            let changed = match (&*last, &reading) {
                (Observation::Seen(before, _), Observation::Seen(now, _)) => before != now,
                (Observation::Unavailable(before), Observation::Unavailable(now)) => before != now,
                (Observation::Seen(..), Observation::Unavailable(why)) => {
                    tracing::warn!("{why}");
                    true
                }
                (Observation::Unavailable(_), Observation::Seen(..)) => {
                    tracing::info!("the container runtime at {} answers", self.cri.socket().display());
                    true
                }
            };
            *last = reading.clone();
            changed
        });
        reading
    }

    /// When to list again if nothing asks for it before.
    fn next_list(&mut self, started: Instant, answered: bool) -> Instant {
        match self.events {
            Feed::Closed { until } => until,
            Feed::Open { .. } if !answered => Instant::now() + self.retry.wait(),
            Feed::Open { since, .. } if started < since + self.pace.settle => since + self.pace.settle,
            Feed::Open { .. } => Instant::now() + self.pace.relist,
        }
    }

    /// Until there is a reason to list.
    async fn wait(&mut self, mut next: Instant) -> Wake {
        loop {
            let event = async {
                match &mut self.events {
                    Feed::Open { stream, .. } => stream.next().await,
                    Feed::Closed { .. } => std::future::pending().await,
                }
            };
            tokio::select! {
                event = event => if self.heard(event) {
                    return Wake::List;
                },
                one = self.asked.recv() => return one.map_or(Wake::Ended, Wake::Asked),
                () = sleep_until(next) => return Wake::List,
            }
            if let Feed::Closed { until } = self.events {
                next = until;
            }
        }
    }

    /// Takes the events that are there already: one list answers them all.
    fn drain(&mut self) {
        for _ in 0..AT_MOST_DRAINED {
            let Feed::Open { stream, .. } = &mut self.events else { return };
            let Some(event) = stream.next().now_or_never() else { return };
            self.heard(event);
        }
    }

    /// Whether that is a reason to list at once. A subscription that fails before it was one is not.
    fn heard(&mut self, event: Option<Result<(), CriError>>) -> bool {
        let Feed::Open { since, spoke, .. } = &mut self.events else { return false };
        let why = match event {
            Some(Ok(())) => {
                *spoke = true;
                return true;
            }
            Some(Err(why)) => why.to_string(),
            None => "the stream of events ended".to_owned(),
        };
        let (age, worked) = (since.elapsed(), *spoke);
        if age >= self.pace.stable {
            self.retry.reset();
            self.complaint = None;
        }
        if self.complaint.as_deref() != Some(&why) {
            tracing::warn!("no events from the runtime; listing every {:?} until there are: {why}", self.pace.most);
            self.complaint = Some(why);
        }
        self.events = Feed::Closed { until: Instant::now() + self.retry.wait() };
        worked || age >= self.pace.settle
    }
}

enum Wake {
    List,
    Asked(Answer),
    Ended,
}
