//! Whole stories through `decide`: what a node does from a power cut to the hand-back, a rollout, an uninstallation.

mod extremes;
mod misread;
mod own;
mod static_path;
mod wake;

use std::time::Duration;

use crate::support::world::{World, key};
use pod_checkpointer::moment::{BootInstant, Observation};
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::plan::Step;
use pod_checkpointer::pod::report::Phase;
use pod_checkpointer::pod::runtime::ContainerState::{Exited, Running};
use pod_checkpointer::pod::snapshot::CaptureFailure;

const READY: Standing = Standing::Here { ready: true };
const NOT_READY: Standing = Standing::Here { ready: false };

/// `web-1` of DaemonSet `web`, saved, up, the API answering.
fn saved_and_up() -> World {
    let mut world = World::new();
    world.in_api("web-1", "web", READY);
    world.parent_starts("web-1", Some(Running));
    world.saved("web-1", "web");
    world.pass();
    world.later(20);
    world.api_confirms();
    world.pass();
    world
}

fn activated_after_power_cut() -> World {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.pass();
    world.twin_runs("web-1");
    world
}

fn phase(world: &mut World, name: &str) -> Phase {
    let report = world.pass().report;
    report.pods.iter().find(|p| p.name == name).expect("reported").phase
}

fn activates(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|s| matches!(s, Step::Activate(keys) if keys.contains(&key(name))))
}

fn deactivates(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|s| matches!(s, Step::Deactivate(keys) if keys.contains(&key(name))))
}

#[test]
fn an_offline_power_cut_activates_the_twin_in_the_first_pass() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    let steps = world.pass().steps;
    assert!(matches!(&steps[..], [Step::Activate(_)]) && activates(&steps, "web-1"), "nothing comes before: {steps:?}");
    assert_eq!(world.pass().steps, vec![], "the twin is not running yet");
    world.twin_runs("web-1");
    let steps = world.pass().steps;
    assert!(matches!(&steps[..], [Step::RemoveSandboxes { pod, .. }] if *pod == key("web-1")), "{steps:?}");
}

#[test]
fn dead_sandboxes_wait_for_starting_twins_but_not_for_ever() {
    let mut world = saved_and_up();
    world.in_api("db-1", "db", READY);
    world.parent_starts("db-1", Some(Running));
    world.saved("db-1", "db");
    world.pass();
    world.power_cut_offline();
    world.pass();
    world.twin_runs("web-1");
    let decision = world.pass();
    assert_eq!(decision.steps, vec![], "db-1 is still starting");
    assert_eq!(decision.wake_at, Some(world.now + Duration::from_secs(10)), "and may never start");
    world.later(10);
    world.api_unavailable();
    let steps = world.pass().steps;
    assert!(matches!(&steps[..], [Step::RemoveSandboxes { pod, .. }] if *pod == key("web-1")), "{steps:?}");
}

#[test]
fn an_api_not_asked_since_the_boot_is_asked_before_activation() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.snapshot.api.at = BootInstant(0);
    let decision = world.pass();
    assert!(decision.ask_api);
    assert_eq!(decision.steps, vec![]);
    world.api_unavailable();
    assert!(activates(&world.pass().steps, "web-1"));
}

#[test]
fn a_quiet_api_is_asked_once_before_a_down_parent_is_replaced() {
    let mut world = saved_and_up();
    world.dies(&key("web-1"));
    assert!(!world.pass().ask_api, "an aware kubelet has thirty seconds");
    world.later(31);
    let decision = world.pass();
    assert!(decision.ask_api, "thirty seconds down, and the watch said nothing since");
    assert_eq!(decision.steps, vec![]);
    world.api_unavailable();
    assert!(activates(&world.pass().steps, "web-1"));
}

#[test]
fn hand_back_begins_with_the_parents_first_new_container() {
    let mut world = activated_after_power_cut();
    world.later(60);
    world.in_api("web-1", "web", NOT_READY);
    assert_eq!(phase(&mut world, "web-1"), Phase::Active, "nothing of the parent has started yet");
    world.parent_starts("web-1", Some(Exited)); // the twin holds its port
    assert!(deactivates(&world.pass().steps, "web-1"));
    assert_eq!(phase(&mut world, "web-1"), Phase::Yielding);
    assert!(world.pass().steps.is_empty(), "the twin still runs");
    world.twin_dies("web-1");
    let steps = world.pass().steps;
    assert!(matches!(&steps[..], [Step::RemoveSandboxes { pod, .. }] if *pod == key("web-1")), "{steps:?}");
    world.parent_starts("web-1", Some(Exited));
    assert!(world.pass().steps.is_empty(), "once is enough");
    world.parent_turns("web-1", Running);
    world.pass();
    world.later(11);
    world.api_confirms();
    assert_eq!(phase(&mut world, "web-1"), Phase::Yielding, "this pass ends it");
    assert_eq!(phase(&mut world, "web-1"), Phase::Standby);
}

#[test]
fn a_parent_that_does_not_come_up_waits_longer_each_time() {
    let mut world = activated_after_power_cut();
    world.in_api("web-1", "web", NOT_READY);
    world.pass();
    let mut waited = Vec::new();
    for _ in 0..4 {
        let mut wait = 0;
        world.parent_starts("web-1", Some(Exited));
        while !deactivates(&world.pass().steps, "web-1") {
            world.later(60);
            wait += 1;
            assert!(wait < 100, "it never yields");
        }
        waited.push(wait);
        world.twin_dies("web-1");
        world.pass();
        world.later(61);
        assert!(activates(&world.pass().steps, "web-1"), "sixty seconds after the twin's death");
        world.twin_runs("web-1");
        world.pass();
    }
    assert_eq!(waited, [0, 10, 20, 40], "minutes of being active");
}

#[test]
fn a_rejected_parent_gets_its_place_at_once() {
    let mut world = activated_after_power_cut();
    world.in_api("web-1", "web", Standing::Rejected { reason: "NodePorts".into() });
    assert!(deactivates(&world.pass().steps, "web-1"));
    assert_eq!(phase(&mut world, "web-1"), Phase::Standby);
}

#[test]
fn a_gone_parent_is_removed_after_a_grace_period_of_answers() {
    let mut world = saved_and_up();
    world.gone_from_api("web-1");
    world.dies(&key("web-1"));
    assert_eq!(world.pass().steps, vec![Step::Retire(key("web-1"))]);
    world.pass();
    world.later(30);
    world.api_confirms();
    world.pass();
    world.later(1);
    world.api_unavailable();
    world.pass();
    world.later(600);
    world.pass();
    world.gone_from_api("web-1");
    assert_eq!(world.pass().steps, vec![], "an outage does not count");
    world.later(31);
    let decision = world.pass();
    assert!(decision.ask_api && decision.steps.is_empty(), "confirmed by a fresh answer or not at all");
    world.api_confirms();
    assert_eq!(world.pass().steps, vec![Step::RemoveManifests(key("web-1"))]);
    assert_eq!(world.pass().steps, vec![Step::RemoveAssets(key("web-1"))]);
}

#[test]
fn assets_stay_while_the_twin_still_runs_from_them() {
    let mut world = World::new();
    world.twin_runs("web-1");
    world.disk().orphans.insert(key("web-1"));
    assert_eq!(world.pass().steps, vec![]);
    world.snapshot.runtime = Observation::Unavailable("no answer".into());
    assert_eq!(world.pass().steps, vec![], "unknown is not absent");
    world.snapshot.runtime = Observation::Seen(pod_checkpointer::pod::runtime::NodePods::default(), world.now);
    assert_eq!(world.pass().steps, vec![Step::RemoveAssets(key("web-1"))]);
}

#[test]
fn a_power_cut_during_a_rollout_never_runs_two_of_a_lineage() {
    let mut world = saved_and_up();
    world.gone_from_api("web-1");
    world.in_api("web-2", "web", READY);
    world.saved("web-2", "web");
    world.pass();
    world.power_cut_offline();
    let steps = world.pass().steps;
    assert!(activates(&steps, "web-2") && !activates(&steps, "web-1"), "{steps:?}");
}

#[test]
fn the_last_good_copy_returns_if_its_successor_was_never_ready() {
    let mut world = saved_and_up();
    world.gone_from_api("web-1");
    world.in_api("web-2", "web", NOT_READY);
    world.pass();
    world.later(300);
    world.api_confirms();
    world.pass();
    assert_eq!(phase(&mut world, "web-1"), Phase::Retiring, "kept aside: nothing better was ever saved");
    world.power_cut_offline();
    assert!(activates(&world.pass().steps, "web-1"));
}

#[test]
fn a_successor_without_a_copy_displaces_its_predecessors_twin() {
    let mut world = activated_after_power_cut();
    world.in_api("web-2", "web", NOT_READY);
    world.pass();
    world.parent_starts("web-2", Some(Exited));
    assert!(deactivates(&world.pass().steps, "web-1"));
}

#[test]
fn a_held_pod_is_left_alone() {
    let mut world = saved_and_up();
    world.disk().held.insert(key("web-1"));
    world.power_cut_offline();
    assert_eq!(world.pass().steps, vec![]);
}

#[test]
fn max_offline_is_a_limit_even_when_nobody_knows_how_long() {
    let mut world = saved_and_up();
    world.copy("web-1").max_offline = Some(Duration::from_secs(600));
    world.power_cut_offline();
    world.snapshot.api.silent_for = None;
    assert_eq!(world.pass().steps, vec![]);
    world.snapshot.api.silent_for = Some(Duration::from_secs(601));
    assert_eq!(world.pass().steps, vec![]);
    world.snapshot.api.silent_for = Some(Duration::from_secs(599));
    assert!(activates(&world.pass().steps, "web-1"));
}

#[test]
fn a_kubelet_that_started_an_api_pod_after_the_boot_is_aware() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.parent_starts("other-1", Some(Running));
    let steps = world.pass().steps;
    assert!(!activates(&steps, "web-1"), "an aware kubelet starts web-1 itself: {steps:?}");
}

#[test]
fn a_pod_that_was_not_saved_is_still_named_with_the_api_away() {
    let mut world = World::new();
    let failure = CaptureFailure {
        uid: pod_checkpointer::pod::key::Uid("uid-web-1".into()),
        digest: "d1".into(),
        reasons: vec!["volume data needs a PersistentVolumeClaim".into()],
        copy_is_good: false,
        failures: 1,
        retry_at: None,
    };
    world.snapshot.captures.insert(key("web-1"), failure);
    world.api_unavailable();
    let report = world.pass().report;
    let [pod] = &report.pods[..] else { panic!("{report:?}") };
    assert!(!pod.restorable && pod.reasons.iter().any(|r| r.contains("PersistentVolumeClaim")), "{pod:?}");
}

#[test]
fn a_failed_capture_waits_for_its_time_or_for_another_content() {
    let mut world = World::new();
    world.in_api("web-1", "web", READY);
    world.parent_starts("web-1", Some(Running));
    let failure = |digest: &str, now: BootInstant| CaptureFailure {
        uid: pod_checkpointer::pod::key::Uid("uid-web-1".into()),
        digest: digest.into(),
        reasons: vec!["PVC".into()],
        copy_is_good: false,
        failures: 1,
        retry_at: Some(now + Duration::from_secs(300)),
    };
    world.snapshot.captures.insert(key("web-1"), failure("d1", world.now));
    assert_eq!(world.pass().steps, vec![]);
    world.snapshot.captures.insert(key("web-1"), failure("d0", world.now));
    assert_eq!(world.pass().steps, vec![Step::Capture(key("web-1"))]);
}
