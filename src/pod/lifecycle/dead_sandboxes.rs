//! What a power cut left of the parents. It counts towards the kubelet's back-off once the API is back (measured: 13 s,
//! and none without it), so it goes while the kubelet is blind; but not while people wait for twins: the runtime
//! starts ten of them half a second later when it has ten dead sandboxes to remove beside.

use super::awareness::Kubelet;
use super::facts::Pass;
use super::table::{Facts, PodView, Rows};
use crate::moment::BootInstant;
use crate::pod::key::PodKey;
use crate::pod::plan::Step;
use crate::pod::report::Phase;

/// Removals of the parents' dead sandboxes: of those whose twins run, once no other twin is starting.
pub fn removals(pass: &Pass, rows: &Rows) -> Vec<Step> {
    if rows.iter().any(|(key, ..)| starting_until(pass, key).is_some_and(|end| pass.now < end)) {
        return Vec::new();
    }
    rows.iter()
        .filter(|(key, facts, _)| stands_in(facts) && pass.twin_runs(key))
        .filter_map(|(key, ..)| of(pass, key))
        .collect()
}

/// Until when others wait for this twin: none once it runs, or where it is not known when it was activated.
pub fn starting_until(pass: &Pass, key: &PodKey) -> Option<BootInstant> {
    let activated = pass.memory.pods.get(key)?.activation.as_ref()?.at;
    (!pass.twin_runs(key)).then(|| activated + pass.timings.start_window)
}

fn stands_in(facts: &Facts) -> bool {
    let blind = facts.kubelet == Kubelet::Blind && facts.view == PodView::Unavailable;
    facts.phase == Phase::Active && !facts.held && blind
}

fn of(pass: &Pass, key: &PodKey) -> Option<Step> {
    let dead: Vec<_> = pass.sandboxes(key).iter().filter(|s| !s.ready).map(|s| s.id.clone()).collect();
    (!dead.is_empty()).then(|| Step::RemoveSandboxes { pod: key.clone(), sandboxes: dead })
}
