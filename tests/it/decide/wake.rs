//! When the deciding code wants to be asked again although nothing happens.

use crate::support::world::World;
use pod_checkpointer::moment::Observation;
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::runtime::ContainerState;
use pod_checkpointer::pod::snapshot::Scheduling;

/// The agent's twin leads, and its DaemonSet's pod is not there.
fn without_its_pod() -> World {
    let mut world = World::new();
    world.agent("agent-aaaaa", true);
    world.saved("agent-aaaaa", "agent");
    world.copy("agent-aaaaa").active = true;
    world
}

#[test]
fn a_missing_answer_about_its_daemonset_is_asked_for_again() {
    let mut world = without_its_pod();
    assert!(world.pass().ask_scheduling.is_some());
    world.snapshot.scheduling = Some(Observation::Seen(Scheduling::Deleted, world.now));
    world.pass();
    world.later(world.timings.grace.as_secs() + 1);
    world.api_confirms();
    world.snapshot.scheduling = Some(Observation::Unavailable("timed out".into()));
    let wake_at = world.pass().wake_at.expect("somebody has to ask again");
    assert!(wake_at <= world.now + world.timings.capture_retry, "{wake_at:?}");
}

#[test]
fn a_daemonset_that_lacks_its_pod_here_is_looked_at_again() {
    let mut world = without_its_pod();
    world.snapshot.scheduling = Some(Observation::Seen(Scheduling::Wanted, world.now));
    world.pass();
    world.later(world.timings.own_absent.as_secs() + 1);
    world.api_confirms();
    world.snapshot.scheduling = Some(Observation::Seen(Scheduling::Wanted, world.now));
    let wake_at = world.pass().wake_at.expect("its DaemonSet may change its mind");
    assert!(wake_at <= world.now + world.timings.refresh, "{wake_at:?}");
}

#[test]
fn the_end_of_a_yield_is_looked_at_again_at_once() {
    let mut world = World::new();
    world.in_api("web", "web", Standing::Here { ready: true });
    world.saved("web", "web");
    world.copy("web").active = true;
    world.pass();
    world.parent_starts("web", Some(ContainerState::Running));
    world.pass();
    assert!(!world.copy("web").active, "the twin makes room");
    world.later(world.timings.up_after.as_secs());
    let decision = world.pass();
    assert!(decision.memory.pods[&crate::support::world::key("web")].yielding.is_none());
    assert_eq!(decision.wake_at, Some(world.now));
}
