//! The agent's own affairs, as `decide` sees them: its copy, who leads, and leaving the node.

use crate::support::world::{World, key};
use pod_checkpointer::moment::{BootInstant, Observation};
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::plan::Step;
use pod_checkpointer::pod::runtime::ContainerState::Running;
use pod_checkpointer::pod::snapshot::{Scheduling, Scope};

const READY: Standing = Standing::Here { ready: true };

fn activates(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|s| matches!(s, Step::Activate(keys) if keys.contains(&key(name))))
}

fn agent_saved_and_up() -> World {
    let mut world = World::new();
    world.agent("agent-1", false);
    world.in_api("agent-1", "agent", READY);
    world.parent_starts("agent-1", Some(Running));
    world
}

#[test]
fn its_own_copy_is_saved_when_ready_and_active_at_once() {
    let mut world = agent_saved_and_up();
    assert_eq!(world.pass().steps, vec![Step::Capture(key("agent-1"))]);
    assert!(activates(&world.pass().steps, "agent-1"));
}

#[test]
fn an_agent_outside_its_namespaces_says_what_to_add() {
    let mut world = agent_saved_and_up();
    assert_eq!(world.pass().report.notes, [""; 0]);
    world.snapshot.scope = Scope::Only(["other".to_owned()].into());
    let notes = world.pass().report.notes;
    assert!(notes.iter().any(|note| note.contains("--namespace=ns")), "{notes:?}");
}

#[test]
fn an_unready_instance_is_never_saved_over_the_last_good_one() {
    let mut world = agent_saved_and_up();
    world.in_api("agent-1", "agent", Standing::Here { ready: false });
    assert_eq!(world.pass().steps, vec![]);
}

#[test]
fn an_older_own_copy_goes_only_when_its_successors_is_active() {
    let mut world = agent_saved_and_up();
    world.saved("agent-0", "agent");
    world.copy("agent-0").active = true;
    world.saved("agent-1", "agent");
    let steps = world.pass().steps;
    assert!(activates(&steps, "agent-1") && !steps.contains(&Step::RemoveManifests(key("agent-0"))), "{steps:?}");
    assert!(world.pass().steps.contains(&Step::RemoveManifests(key("agent-0"))));
}

#[test]
fn an_own_copy_of_a_parent_that_is_here_and_ready_stays() {
    let mut world = agent_saved_and_up();
    world.saved("agent-1", "agent");
    // Two instances on one node, as a DaemonSet with maxSurge has them; and a copy from a clock that was ahead.
    world.saved("agent-0", "agent");
    world.copy("agent-0").captured_at = i64::MAX;
    world.copy("agent-0").active = true;
    for _ in 0..10 {
        let steps = world.pass().steps;
        assert!(!steps.contains(&Step::RemoveManifests(key("agent-1"))), "{steps:?}");
    }
}

#[test]
fn a_rollout_removes_nothing_of_anybody_else() {
    let mut world = agent_saved_and_up();
    world.saved("agent-1", "agent");
    world.in_api("web-1", "web", READY);
    world.saved("web-1", "web");
    world.gone_from_api("agent-1"); // old instance deleted, new one not there yet
    world.agent("agent-1", true);
    for _ in 0..30 {
        let decision = world.pass();
        assert!(!decision.steps.iter().any(|s| matches!(s, Step::RemoveManifests(_) | Step::RemoveOwn(_))));
        world.snapshot.scheduling = Some(Observation::Seen(Scheduling::Wanted, world.now));
        world.later(10);
        world.api_confirms();
    }
}

#[test]
fn without_its_daemonset_everything_goes_and_itself_last() {
    let mut world = agent_saved_and_up();
    world.saved("agent-1", "agent");
    world.copy("agent-1").active = true;
    world.in_api("web-1", "web", READY);
    world.saved("web-1", "web");
    world.agent("agent-1", true);
    world.gone_from_api("agent-1");
    world.dies(&key("agent-1"));
    let mut order = Vec::new();
    assert!(world.pass().ask_scheduling.is_some());
    while !order.iter().any(|s| matches!(s, Step::RemoveOwn(_))) {
        assert!(world.now < BootInstant(2_000_000), "it never leaves");
        world.snapshot.scheduling = Some(Observation::Seen(Scheduling::Deleted, world.now));
        order.extend(world.pass().steps);
        world.later(5);
        world.api_confirms();
    }
    let wanted = [
        Step::RemoveManifests(key("web-1")),
        Step::RemoveAssets(key("web-1")),
        Step::RemoveOwn([key("agent-1")].into()),
    ];
    let removals: Vec<Step> =
        order.into_iter().filter(|s| !matches!(s, Step::Refresh(_) | Step::Activate(_))).collect();
    assert_eq!(removals, wanted);
}

#[test]
fn leaving_waits_for_an_active_twins_parent() {
    let mut world = agent_saved_and_up();
    world.saved("agent-1", "agent");
    world.copy("agent-1").active = true;
    world.saved("web-1", "web");
    world.copy("web-1").active = true;
    world.in_api("web-1", "web", Standing::Here { ready: false });
    world.agent("agent-1", true);
    world.gone_from_api("agent-1");
    for _ in 0..30 {
        world.snapshot.scheduling = Some(Observation::Seen(Scheduling::Deleted, world.now));
        let steps = world.pass().steps;
        assert!(!steps.iter().any(|s| matches!(s, Step::RemoveManifests(_) | Step::RemoveOwn(_))), "{steps:?}");
        world.later(5);
        world.api_confirms();
    }
}

#[test]
fn the_twin_steps_down_once_the_daemonsets_instance_is_up() {
    let mut world = agent_saved_and_up();
    world.saved("agent-1", "agent");
    world.copy("agent-1").active = true;
    world.agent("agent-1", true);
    world.api_refuses();
    assert!(!world.pass().steps.contains(&Step::StepDown), "not up for ten seconds yet");
    world.later(10);
    assert!(world.pass().steps.contains(&Step::StepDown));
    world.agent("agent-1", false);
    assert!(!world.pass().steps.contains(&Step::StepDown), "the DaemonSet's instance never does");
}

#[test]
fn offline_another_instance_is_known_by_the_form_of_its_name() {
    let mut world = agent_saved_and_up();
    world.saved("agent-1", "agent");
    world.copy("agent-1").active = true;
    world.agent("agent-1", true);
    world.dies(&key("agent-1"));
    world.pass();
    world.parent_starts("agent-x7k2p", Some(Running));
    world.api_unavailable();
    world.pass();
    world.later(10);
    world.api_unavailable();
    assert!(world.pass().steps.contains(&Step::StepDown));
}
