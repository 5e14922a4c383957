//! When to look again although nothing happened: the earliest timer that can change a row.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::dead_sandboxes;
use super::displace::before_try;
use super::facts::Pass;
use super::presence::OnNode;
use super::table::{Facts, PodView, Rows};
use crate::moment::BootInstant;
use crate::pod::memory::PodMemory;
use crate::pod::report::Phase;

/// The earliest moment after now at which some timer runs out.
pub fn wake_at(pass: &Pass, rows: &Rows) -> Option<BootInstant> {
    let mut alarm = Alarm { now: pass.now, at: None };
    for (key, facts, _) in rows {
        if let Some(end) = dead_sandboxes::starting_until(pass, key) {
            alarm.at(end);
        }
        if let Some(memory) = pass.memory.pods.get(key) {
            of_pod(pass, facts, memory, &mut alarm);
        }
        if let Some(retry_at) = pass.snapshot.captures.get(key).and_then(|c| c.retry_at)
            && facts.view == (PodView::Here { ready: true })
        {
            alarm.at(retry_at);
        }
        if matches!(
            (facts.phase, facts.view),
            (Phase::Standby, PodView::Here { ready: true }) | (Phase::Active, PodView::Here { .. })
        ) {
            alarm.at(refresh_due_at(pass));
        }
    }
    if pass.snapshot.own.is_some() {
        own(pass, &mut alarm);
    }
    if let (Some(every), Some(marked)) = (mark_interval(pass), pass.memory.marked_api_read) {
        alarm.at(marked + every);
    }
    for since in pass.memory.running_since.values() {
        alarm.at(*since + pass.timings.up_after);
    }
    alarm.at
}

fn of_pod(pass: &Pass, facts: &Facts, memory: &PodMemory, alarm: &mut Alarm) {
    let t = pass.timings;
    if let Some(since) = memory.down_since.filter(|_| facts.phase == Phase::Standby) {
        alarm.at(since + t.down_aware);
        alarm.at(since + t.activation_delay);
    }
    if let Some(since) = memory.degraded_since {
        alarm.at(since + t.degraded_blind);
    }
    if let Some(since) = memory.unstarted_since {
        alarm.at(since + t.activation_delay);
    }
    if let Some(yielding) = &memory.yielding {
        alarm.at(yielding.since + t.yield_limit);
    }
    if let Some(crash) = memory.crash.as_ref().filter(|_| facts.node == OnNode::Crashed) {
        alarm.at(crash.since + t.crash_window);
    }
    if let Some(activation) = &memory.activation {
        alarm.at(activation.at + t.twin_limit);
        for failures in memory.tried.values() {
            alarm.at(activation.at + before_try(*failures, t));
        }
    }
    if let Some(dead) = memory.yielding.as_ref().and_then(|y| y.twin_dead_at) {
        alarm.at(dead + t.yield_limit);
    }
    if let Some(gone) = &memory.gone
        && let Some(from) = gone.counted_to
    {
        alarm.at(from + t.grace.saturating_sub(Duration::from_millis(gone.answered_ms)));
    }
}

fn own(pass: &Pass, alarm: &mut Alarm) {
    let (t, own) = (pass.timings, &pass.memory.own);
    if let Some(since) = own.unscheduled_since {
        // Past that, an answer was missing: it is asked for again.
        alarm.at((since + t.grace).max(pass.now + t.capture_retry));
    }
    if let Some(since) = own.absent_since {
        // What becomes of its DaemonSet wakes nobody.
        alarm.at(pass.now + t.refresh);
        alarm.at(since + t.own_absent);
        alarm.at(since + t.grace);
    }
    if let Some(since) = own.relief_since {
        alarm.at(since + t.step_down_limit);
    }
    if let Some(since) = own.static_path.without_twin_since {
        alarm.at(since + t.twin_limit);
    }
    if let Some(at) = own.refreshed_at {
        alarm.at(at + t.refresh * OWN_REFRESH);
    }
}

/// A tenth of the shortest `max-offline` on this node.
pub fn mark_interval(pass: &Pass) -> Option<Duration> {
    pass.disk.checkpoints.values().filter_map(|c| c.max_offline).min().map(|limit| limit / 10)
}

/// The agent's own assets are its token and CA: hours are soon enough.
const OWN_REFRESH: u32 = 12;

/// The node's next round of refreshing.
pub fn refresh_is_due(pass: &Pass) -> bool {
    pass.now >= refresh_due_at(pass)
}

/// The same for the agent's own assets.
pub fn own_refresh_is_due(pass: &Pass) -> bool {
    pass.memory.own.refreshed_at.is_none_or(|at| pass.now >= at + pass.timings.refresh * OWN_REFRESH)
}

fn refresh_due_at(pass: &Pass) -> BootInstant {
    let Some(last) = pass.memory.refreshed_at else { return pass.now };
    last + jittered(pass.timings.refresh, &pass.snapshot.node_name, last)
}

/// Between 0.9 and 1.1 of the interval, the same for the same node and round: nodes do not ask in step.
fn jittered(interval: Duration, node: &str, round: BootInstant) -> Duration {
    let mut hasher = DefaultHasher::new();
    (node, round.0).hash(&mut hasher);
    let tenths = u32::try_from(hasher.finish() % 201).unwrap_or(100);
    interval * (900 + tenths) / 1000
}

struct Alarm {
    now: BootInstant,
    at: Option<BootInstant>,
}

impl Alarm {
    fn at(&mut self, moment: BootInstant) {
        if moment > self.now && self.at.is_none_or(|at| moment < at) {
            self.at = Some(moment);
        }
    }
}
