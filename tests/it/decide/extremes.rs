//! Deciding goes on from numbers that only a damaged memory or a confused runtime can have.

use std::time::Duration;

use crate::support::world::{World, key};
use pod_checkpointer::moment::Observation;
use pod_checkpointer::pod::key::ContainerId;
use pod_checkpointer::pod::memory::{Gone, Memory, PodMemory};
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::report::Phase;
use pod_checkpointer::pod::runtime::ContainerState::{Exited, Running};
use pod_checkpointer::pod::runtime::{Container, NodePods};

const READY: Standing = Standing::Here { ready: true };

fn saved_and_up() -> World {
    let mut world = World::new();
    world.in_api("web-1", "web", READY);
    world.parent_starts("web-1", Some(Running));
    world.saved("web-1", "web");
    world.pass();
    world
}

fn remember(world: &mut World, change: impl FnOnce(&mut PodMemory)) {
    change(world.memory.pods.entry(key("web-1")).or_default());
}

#[test]
fn a_grace_period_that_has_ended_does_not_begin_anew() {
    let mut world = saved_and_up();
    world.gone_from_api("web-1");
    world.pass();
    let counted_to = Some(world.now);
    remember(&mut world, |m| m.gone = Some(Gone { answered_ms: u64::MAX - 1, counted_to }));
    world.later(5);
    world.api_confirms();
    world.pass();
    let gone = world.memory.pods.get(&key("web-1")).and_then(|m| m.gone.clone());
    assert!(gone.is_none_or(|gone| gone.answered_ms == u64::MAX), "it wrapped around");
}

#[test]
fn a_parent_that_failed_beyond_counting_still_waits() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.pass();
    world.twin_runs("web-1");
    world.in_api("web-1", "web", READY);
    world.parent_starts("web-1", Some(Running));
    world.pass();
    let uid = world.memory.pods[&key("web-1")].yielding.clone().expect("it yields").uid;
    remember(&mut world, |m| m.tried = [(uid.clone(), u32::MAX)].into());
    world.parent_turns("web-1", Exited);
    world.twin_dies("web-1");
    world.pass();
    world.later(world.timings.yield_limit.as_secs() + 1);
    world.api_confirms();
    world.pass();
    assert_eq!(world.memory.pods[&key("web-1")].tried.get(&uid), Some(&u32::MAX));
    assert!(world.copy("web-1").active, "the twin has its place back");
}

#[test]
fn restarts_that_add_up_to_too_many_are_many() {
    let mut world = saved_and_up();
    world.parent_turns("web-1", Exited);
    // Without the API the copy says which containers are the main ones.
    world.copy("web-1").containers = vec!["main".into(), "other".into()];
    world.api_unavailable();
    let Observation::Seen(NodePods { sandboxes }, _) = &mut world.snapshot.runtime else {
        panic!("the runtime is there")
    };
    let one = sandboxes[0].containers[0].clone();
    sandboxes[0].containers = ["main", "other"]
        .map(|name| Container { id: ContainerId(name.into()), name: name.into(), restarts: u32::MAX, ..one.clone() })
        .into();
    world.pass();
    world.now = world.now + Duration::from_secs(u64::MAX / 2000);
    assert_eq!(world.pass().report.pods[0].phase, Phase::Standby);
}

#[test]
fn a_memory_from_the_end_of_time_reports_as_an_empty_one() {
    let mut world = saved_and_up();
    let text = r#"{"pods":{},"running_since":{},"kubelet":{"identity":null,"known":null,"proven":null},
        "last_api_read":18446744073709551615,"marked_api_read":null,"members":{},"refreshed_at":18446744073709551615,
        "own":{"unscheduled_since":null,"absent_since":null,"relief_since":null,"refreshed_at":18446744073709551615}}"#;
    world.memory = serde_json::from_str::<Memory>(text).expect("it is one");
    let phase = world.pass().report.pods[0].phase;
    assert_eq!(phase, Phase::Standby);
}
