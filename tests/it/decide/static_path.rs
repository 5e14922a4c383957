//! A kubelet that reads static pods elsewhere: no twin will ever start, and the agent's own shows it.

use crate::support::world::{World, key};
use pod_checkpointer::moment::Observation;
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::runtime::ContainerState::Running;
use pod_checkpointer::pod::runtime::KubeletIdentity;

const READY: Standing = Standing::Here { ready: true };

/// The agent and another pod, both saved; the agent's copy is with the kubelet.
fn agent_and_web() -> World {
    let mut world = World::new();
    world.agent("agent-1", false);
    for (name, owner) in [("agent-1", "agent"), ("web-1", "web")] {
        world.in_api(name, owner, READY);
        world.parent_starts(name, Some(Running));
        world.saved(name, owner);
    }
    world.copy("agent-1").active = true;
    world
}

/// Whether `web-1` is restorable after so many seconds, and what is said of it.
fn after(world: &mut World, secs: u64) -> (bool, String) {
    world.later(secs);
    world.api_confirms();
    let report = world.pass().report;
    let web = report.pods.iter().find(|pod| pod.name == "web-1").expect("it is annotated and saved");
    (web.restorable, web.reasons.join("; "))
}

fn unread(mut world: World) -> World {
    assert!(after(&mut world, 0).0);
    let (restorable, why) = after(&mut world, 60);
    assert!(!restorable && why.contains("does not read static pods from /etc/kubernetes/manifests"), "{why}");
    world
}

#[test]
fn without_the_agents_own_twin_nothing_is_restorable() {
    let mut world = agent_and_web();
    assert!(after(&mut world, 0).0);
    assert!(after(&mut world, 59).0, "the kubelet is given time");
    let (restorable, why) = after(&mut world, 1);
    assert!(!restorable, "{why}");
    let pods = world.pass().report.pods;
    assert!(pods.iter().all(|pod| !pod.restorable), "{pods:?}");
}

#[test]
fn the_end_of_the_probes_time_wakes_the_agent() {
    let mut world = agent_and_web();
    let wake_at = world.pass().wake_at.expect("somebody has to look again");
    assert!(wake_at <= world.now + world.timings.twin_limit);
}

#[test]
fn a_twin_that_comes_proves_the_directory_again() {
    let mut world = unread(agent_and_web());
    world.twin_runs("agent-1");
    assert_eq!(after(&mut world, 1), (true, String::new()));
    assert!(after(&mut world, 600).0);
}

#[test]
fn another_twin_proves_the_directory_as_well() {
    let mut world = agent_and_web();
    world.copy("web-1").active = true;
    world.dies(&key("web-1"));
    world.api_unavailable();
    world.twin_runs("web-1");
    for _ in 0..5 {
        let (_, why) = after(&mut world, 60);
        assert!(!why.contains("static pods"), "{why}");
    }
}

#[test]
fn a_twin_from_before_that_lies_dead_proves_nothing() {
    let mut world = agent_and_web();
    world.twin_runs("agent-1");
    world.twin_dies("agent-1");
    unread(world);
}

#[test]
fn a_new_kubelet_process_is_given_time_and_the_verdict_stays() {
    let mut world = agent_and_web();
    assert!(after(&mut world, 0).0);
    world.snapshot.kubelet = Some(KubeletIdentity { inode: 9, ctime: 9 });
    assert!(after(&mut world, 59).0);
    assert!(after(&mut world, 59).0, "its process is younger than a minute");
    assert!(!after(&mut world, 1).0);
    world.snapshot.kubelet = Some(KubeletIdentity { inode: 10, ctime: 10 });
    assert!(!after(&mut world, 1).0, "nothing new was seen");
}

#[test]
fn a_runtime_that_does_not_answer_leaves_the_verdict() {
    let mut world = unread(agent_and_web());
    world.snapshot.runtime = Observation::Unavailable("timed out".to_owned());
    assert!(!after(&mut world, 60).0);
}

#[test]
fn a_kubelet_whose_socket_is_hidden_is_judged_all_the_same() {
    let mut world = agent_and_web();
    world.snapshot.kubelet = None;
    unread(world);
}

#[test]
fn an_agent_outside_a_pod_says_that_nothing_is_proven() {
    let mut world = agent_and_web();
    world.snapshot.own = None;
    world.copy("agent-1").active = false;
    let doubts = |world: &mut World| {
        let notes = world.pass().report.notes;
        notes.iter().any(|note| note.starts_with("not proven: ") && note.contains("/etc/kubernetes/manifests"))
    };
    assert!(doubts(&mut world));
    assert!(after(&mut world, 600).0, "no proof against it either");
    world.copy("web-1").active = true;
    world.twin_runs("web-1");
    assert!(!doubts(&mut world));
    world.twin_dies("web-1");
    assert!(!doubts(&mut world), "once proven is enough");
}
