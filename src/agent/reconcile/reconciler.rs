//! The loop of a leading agent: observe, decide, act, tell, wait for the next reason to look.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::apply::{Executor, StepsOutcome};
use super::capture::CaptureError;
use super::capture_queue::{CaptureDone, CaptureQueue};
use super::observe::Observer;
use super::run_state::RunState;
use crate::backoff;
use crate::clock;
use crate::moment::BootInstant;
use crate::pod::key::PodKey;
use crate::pod::lifecycle::decide;
use crate::pod::memory::Memory;
use crate::pod::parent::Parent;
use crate::pod::plan::Decision;
use crate::pod::report::{Phase, PodReport};
use crate::pod::snapshot::{Api, CaptureFailure, Snapshot};
use crate::pod::timings::Timings;

/// Longest that changes on disk, in the API or on the node are gathered before a pass looks at them.
const GATHER: Duration = Duration::from_millis(5);

/// Before failed steps are decided on again; doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Passes in a row that each changed the disk, before others get a turn.
const AT_ONCE: u32 = 16;
/// A pass asks the runtime again at most so often: an answer of the API that took its time makes the first one old.
const RUNTIME_ASKED: u32 = 2;

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopEnd {
    /// The DaemonSet's instance is up: give it the lock.
    SteppedDown,
    /// Everything of ours is removed from this node.
    Left,
}

/// What the loop tells the rest of the program, after every pass.
pub trait PassObserver {
    /// Before anything is observed.
    fn pass_begins(&mut self, now: BootInstant);
    /// A pass has ended.
    fn pass_ended(&mut self, snapshot: &Snapshot, decision: &Decision, outcome: &StepsOutcome);
    /// A pod moved from one phase to another, or was seen first; on what evidence, one line.
    fn moved(&mut self, pod: &PodReport, from: Option<Phase>, evidence: &str);
    /// Nothing of a pod is kept any more.
    fn dropped(&mut self, key: &PodKey, evidence: &str);
}

/// What one pass after the other is made with: observe, decide, act.
pub struct Reconciler<A> {
    /// Fills the snapshot at the beginning of a pass.
    pub observer: Observer,
    /// Carries out the steps of a decision.
    pub executor: Executor,
    /// What saves parents, beside the passes.
    pub captures: CaptureQueue,
    /// The file under `/run` that keeps the memory from one start of the agent to the next.
    pub run_state: RunState,
    /// The delays of the lifecycle.
    pub timings: Timings,
    /// Told when a pass begins and what came of it.
    pub pass_observer: A,
    /// Captures that ended and no pass has seen yet.
    pub ended: Vec<CaptureDone>,
    /// Wakes when a directory of ours changed.
    pub disk_changes: watch::Receiver<u64>,
    /// Wakes when the kubelet may be another process.
    pub kubelet_changes: watch::Receiver<u64>,
}

impl<A: PassObserver> Reconciler<A> {
    /// Runs until there is a reason to end. Cancel by dropping: every step is complete in itself.
    pub async fn run(mut self) -> LoopEnd {
        let mut memory = self.run_state.load();
        let mut reports = BTreeMap::new();
        let mut failures = 0u32;
        let mut settled = false;
        let mut in_a_row = 0;
        let mut answers = self.observer.reader.subscribe();
        loop {
            self.pass_observer.pass_begins(clock::now());
            let mut ended = self.take_captures();
            let (snapshot, decision) = self.decide(&memory).await;
            memory = decision.memory.clone();
            let mut outcome = self.act(&snapshot, &decision).await;
            outcome.captures.append(&mut ended);
            if !settled {
                // What a killed process of this boot left unsynced; after people have what they wait for.
                settled = true;
                for why in self.executor.store.settle() {
                    tracing::warn!("{why}");
                }
            }
            failures = if outcome.failed.is_empty() { 0 } else { failures + 1 };
            self.remember(&memory);
            self.tell_moves(&decision, &mut reports);
            self.pass_observer.pass_ended(&snapshot, &decision, &outcome);
            if outcome.left {
                return LoopEnd::Left;
            }
            if outcome.step_down {
                return LoopEnd::SteppedDown;
            }
            // What was done is seen on disk at once; everything else wakes by itself.
            let again = outcome.disk_changed && outcome.failed.is_empty() && in_a_row < AT_ONCE;
            if again {
                in_a_row += 1;
            } else {
                in_a_row = 0;
                self.wait(&mut answers, &decision, failures).await;
            }
        }
    }

    /// Decides, asks what the decision hangs on, and decides again; each question once, in whatever order they come up.
    async fn decide(&mut self, memory: &Memory) -> (Snapshot, Decision) {
        self.observer.scheduling = None;
        let (mut api_asked, mut runtime_asked) = (false, 0);
        loop {
            let snapshot = self.observer.observe(memory);
            let decision = decide(&snapshot, memory, &self.timings, clock::now());
            if decision.ask_api && !api_asked {
                api_asked = true;
                self.observer.reader.ask().await;
            } else if decision.ask_runtime && runtime_asked < RUNTIME_ASKED {
                runtime_asked += 1;
                self.observer.runtime.refresh().await;
            } else if let (Some(own), None) = (&decision.ask_scheduling, &self.observer.scheduling) {
                self.observer.ask_scheduling(own).await;
            } else {
                return (snapshot, decision);
            }
        }
    }

    async fn act(&mut self, snapshot: &Snapshot, decision: &Decision) -> StepsOutcome {
        let none = BTreeMap::new();
        let parents = snapshot.api.answer.parents().unwrap_or(&none);
        let mut outcome = self.executor.carry_out(decision.steps.clone(), parents).await;
        for failure in &outcome.failed {
            tracing::error!(step = failure.step, on = %failure.on, "{}", failure.why);
        }
        if outcome.disk_changed {
            self.observer.inventory = None;
        }
        self.captures.enqueue(std::mem::take(&mut outcome.wanted));
        self.observer.captures.retain(|key, _| parents.is_empty() || parents.contains_key(key));
        outcome
    }

    /// Captures that ended since the last pass.
    fn take_captures(&mut self) -> BTreeMap<PodKey, Result<(), CaptureError>> {
        let ended = std::mem::take(&mut self.ended);
        if !ended.is_empty() {
            self.observer.inventory = None;
        }
        for done in &ended {
            self.note_capture(&done.parent, &done.outcome);
        }
        self.observer.capturing.clone_from(self.captures.pending());
        ended.into_iter().map(|done| (done.parent.key, done.outcome)).collect()
    }

    fn note_capture(&mut self, parent: &Parent, done: &Result<(), CaptureError>) {
        let key = &parent.key;
        let before = self.observer.captures.remove(key);
        let Err(why) = done else {
            return;
        };
        let reasons = why.reasons();
        let failures = before.as_ref().map_or(0, |before| before.failures).saturating_add(1);
        if before.as_ref().is_none_or(|b| b.reasons != reasons) {
            let what =
                if matches!(why, CaptureError::Kept(_)) { "the saved copy is kept" } else { "not saved as it is" };
            tracing::warn!(pod = %key, ?reasons, "{what}");
        }
        let wait = why.retry_after(failures, &self.timings);
        let failure = CaptureFailure {
            uid: parent.uid.clone(),
            digest: parent.digest.clone(),
            reasons,
            copy_is_good: !matches!(why, CaptureError::NotRestorable(_)),
            failures,
            retry_at: Some(clock::now() + wait),
        };
        self.observer.captures.insert(key.clone(), failure);
    }

    fn remember(&mut self, memory: &Memory) {
        if let Err(why) = self.run_state.save(memory) {
            tracing::warn!("{why}");
        }
    }

    /// A phase is seen to have changed one pass after the decision that changed it, which is the evidence.
    fn tell_moves(&mut self, decision: &Decision, last: &mut BTreeMap<PodKey, PodReport>) {
        let mut before = std::mem::take(last);
        for pod in &decision.report.pods {
            let Some(key) = pod.key() else { continue };
            match before.remove(&key) {
                Some(old) if old.phase == pod.phase => {}
                Some(old) => self.pass_observer.moved(pod, Some(old.phase), &old.decision),
                None => self.pass_observer.moved(pod, None, &pod.decision),
            }
            last.insert(key, pod.clone());
        }
        // A pass that could not read the disk speaks of no pod at all.
        if decision.report.pods.is_empty() && !decision.report.notes.is_empty() {
            *last = before;
            return;
        }
        let kept = before.iter().filter(|(_, old)| old.phase != Phase::Watching);
        kept.for_each(|(key, old)| self.pass_observer.dropped(key, &old.decision));
    }

    async fn wait(&mut self, answers: &mut watch::Receiver<Api>, decision: &Decision, failures: u32) {
        let now = clock::now();
        let timer = decision.wake_at.map(|at| at.since(now));
        let retry = (failures > 0).then(|| backoff::after(failures, FIRST_RETRY, LAST_RETRY));
        let sleep = timer.into_iter().chain(retry).min().unwrap_or(Duration::from_secs(3600));
        let until = Instant::now() + sleep;
        let changed = async {
            tokio::select! {
                // A closed channel is a source that ended: the next pass sees it as unavailable, so do not spin on it.
                seen = self.observer.pods.changed() => if seen.is_err() { std::future::pending::<()>().await },
                seen = answers.changed() => if seen.is_err() { std::future::pending::<()>().await },
                done = self.captures.next() => self.ended.extend(done),
                seen = self.disk_changes.changed() => {
                    if seen.is_err() { std::future::pending::<()>().await }
                    self.observer.inventory = None;
                }
                seen = self.kubelet_changes.changed() => {
                    if seen.is_err() { std::future::pending::<()>().await }
                    self.observer.reader.ask().await;
                }
                () = sleep_until(until) => {}
            }
        };
        changed.await;
        // A burst of changes costs one pass, and the first waits hardly at all.
        let _ = timeout(GATHER, std::future::pending::<()>()).await;
    }
}
