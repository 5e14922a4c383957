//! Worlds that are easily misread: a node that shuts down, a namespace that is refused, another cluster, a list that is old.
//! None of them is the owner's will.

use std::collections::BTreeSet;

use super::{NOT_READY, READY, activated_after_power_cut, activates, deactivates, phase, saved_and_up};
use crate::support::world::{World, key};
use pod_checkpointer::pod::lifecycle::awareness::Kubelet;
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::plan::Step;
use pod_checkpointer::pod::report::Phase;
use pod_checkpointer::pod::runtime::ContainerState::{Exited, Running};
use pod_checkpointer::pod::runtime::{KubeletCluster, KubeletIdentity};
use pod_checkpointer::pod::snapshot::{Answer, Scope};

fn cluster(server: &str, keys: &[&str]) -> KubeletCluster {
    let authorities: BTreeSet<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    KubeletCluster { server: server.to_owned(), authorities }
}

/// The kubelet's process is another one, the node and `/run` the same.
fn kubelet_restarts(world: &mut World) {
    let process = world.snapshot.kubelet.map_or(0, |k| k.inode) + 1;
    world.snapshot.kubelet = Some(KubeletIdentity { inode: process, ctime: 1 });
}

fn time_passes(world: &mut World, secs: u64) -> Vec<Step> {
    world.later(secs);
    world.pass().steps
}

#[test]
fn a_pod_that_the_node_shut_down_comes_back_without_an_api() {
    let mut world = saved_and_up();
    world.in_api("web-1", "web", Standing::ShutDown);
    world.dies(&key("web-1"));
    assert_eq!(world.pass().steps, vec![]);
    for _ in 0..10 {
        world.api_confirms();
        assert_eq!(time_passes(&mut world, 60), vec![], "with the API its controller replaces it");
    }
    world.power_cut_offline();
    assert!(activates(&world.pass().steps, "web-1"));
}

#[test]
fn a_shut_down_pod_whose_replacement_is_saved_retires() {
    let mut world = saved_and_up();
    world.in_api("web-1", "web", Standing::ShutDown);
    world.dies(&key("web-1"));
    world.in_api("web-2", "web", NOT_READY);
    assert_eq!(world.pass().steps, vec![], "a replacement that is pending retires nothing");
    world.in_api("web-2", "web", READY);
    world.saved("web-2", "web");
    assert!(world.pass().steps.contains(&Step::Retire(key("web-1"))));
    world.power_cut_offline();
    let steps = world.pass().steps;
    assert!(activates(&steps, "web-2") && !activates(&steps, "web-1"), "{steps:?}");
}

#[test]
fn a_twin_ends_when_the_api_says_its_parent_was_shut_down() {
    let mut world = activated_after_power_cut();
    world.in_api("web-1", "web", Standing::ShutDown);
    world.pass();
    assert_eq!(phase(&mut world, "web-1"), Phase::Retiring);
    world.api_confirms();
    world.pass();
    world.later(61);
    world.api_confirms();
    assert!(world.pass().steps.contains(&Step::RemoveManifests(key("web-1"))), "its controller has another");
}

#[test]
fn a_refused_namespace_says_nothing_of_the_others() {
    let mut world = saved_and_up();
    world.snapshot.api.refused.insert("ns".to_owned(), "403".to_owned());
    world.gone_from_api("web-1");
    for _ in 0..5 {
        world.api_confirms();
        assert_eq!(time_passes(&mut world, 60), vec![], "neither retired nor activated: it still runs");
    }
    let note = world.pass().report.notes;
    assert!(note.iter().any(|note| note.contains("namespace ns is refused")), "{note:?}");
}

#[test]
fn under_a_refusal_an_aware_kubelet_needs_no_help() {
    let mut world = saved_and_up();
    world.api_refuses();
    world.dies(&key("web-1"));
    for _ in 0..10 {
        assert_eq!(time_passes(&mut world, 60), vec![]);
    }
}

#[test]
fn a_pod_that_ends_by_itself_proves_the_kubelet_aware() {
    let mut world = saved_and_up();
    world.api_refuses();
    kubelet_restarts(&mut world);
    assert_eq!(world.pass().kubelet, Kubelet::Blind, "as far as is known");
    // `kubectl delete pod`, which the kubelet hears of by its own credentials.
    world.dies(&key("web-1"));
    for _ in 0..10 {
        assert_eq!(time_passes(&mut world, 60), vec![]);
    }
    assert_eq!(world.pass().kubelet, Kubelet::Aware);
}

#[test]
fn a_pod_that_dies_while_nobody_answers_proves_nothing() {
    let mut world = saved_and_up();
    world.api_unavailable();
    kubelet_restarts(&mut world);
    world.pass();
    world.dies(&key("web-1"));
    assert!(activates(&world.pass().steps, "web-1"), "a blind kubelet does not start it again");
}

#[test]
fn a_sandbox_that_the_agent_removes_proves_nothing() {
    let mut world = saved_and_up();
    world.api_unavailable();
    kubelet_restarts(&mut world);
    world.copy("web-1").containers = vec!["main".into(), "other".into()];
    world.pass();
    world.later(61);
    world.api_unavailable();
    let steps = world.pass().steps;
    assert!(matches!(steps.first(), Some(Step::RemoveSandboxes { .. })) && activates(&steps, "web-1"), "{steps:?}");
    assert_eq!(world.pass().kubelet, Kubelet::Blind);
}

#[test]
fn expired_certificates_are_a_day_to_bring_pods_back() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.api_refuses();
    assert_eq!(world.pass().steps, vec![], "somebody answers: the kubelet may be about to start it");
    world.later(91);
    world.api_refuses();
    assert!(activates(&world.pass().steps, "web-1"), "nobody else would");
}

#[test]
fn a_node_that_was_joined_elsewhere_starts_nothing_of_before() {
    let mut world = saved_and_up();
    world.snapshot.kubelet_cluster = Some(cluster("https://old:6443", &["a"]));
    world.pass();
    assert!(world.disk().kubelet_cluster.is_some(), "kept while the API answers");
    world.power_cut_offline();
    world.snapshot.kubelet_cluster = Some(cluster("https://new:6443", &["b"]));
    for _ in 0..5 {
        assert_eq!(time_passes(&mut world, 60), vec![]);
        world.api_unavailable();
    }
    world.snapshot.kubelet_cluster = None;
    assert!(activates(&world.pass().steps, "web-1"), "a kubeconfig that cannot be read changes nothing");
}

#[test]
fn a_rotated_ca_is_still_the_same_cluster() {
    let old = cluster("https://api:6443", &["a", "b"]);
    assert!(old.is_same(&cluster("https://api:6443", &["b", "c"])));
    assert!(old.is_same(&cluster("https://api:6443", &[])), "one that names none may be as before");
    assert!(!old.is_same(&cluster("https://api:6443", &["c"])));
    assert!(!old.is_same(&cluster("https://other:6443", &["a", "b"])));
}

#[test]
fn another_cluster_activates_and_retires_nothing() {
    let mut world = saved_and_up();
    world.snapshot.api.answer = Answer::OtherCluster("another cluster answers".to_owned());
    world.dies(&key("web-1"));
    kubelet_restarts(&mut world);
    for _ in 0..5 {
        world.api_confirms();
        assert_eq!(time_passes(&mut world, 60), vec![]);
    }
}

#[test]
fn a_namespace_taken_out_of_scope_retires_and_never_rises() {
    let mut world = saved_and_up();
    world.snapshot.scope = Scope::Only(["other".to_owned()].into());
    world.gone_from_api("web-1");
    assert_eq!(world.pass().steps, vec![Step::Retire(key("web-1"))]);
    world.power_cut_offline();
    assert_eq!(
        time_passes(&mut world, 600),
        vec![],
        "the grace does not count while nobody answers, and nothing rises"
    );
    world.gone_from_api("web-1");
    world.pass();
    world.later(61);
    world.api_confirms();
    assert!(world.pass().steps.contains(&Step::RemoveManifests(key("web-1"))));
}

#[test]
fn an_active_twin_out_of_scope_stays_until_its_parent_is_up() {
    let mut world = activated_after_power_cut();
    world.snapshot.scope = Scope::Only(["other".to_owned()].into());
    world.gone_from_api("other-1");
    for _ in 0..5 {
        world.api_confirms();
        let steps = time_passes(&mut world, 60);
        assert!(!steps.contains(&Step::Retire(key("web-1"))) && !deactivates(&steps, "web-1"), "{steps:?}");
    }
    world.parent_starts("web-1", Some(Running));
    assert!(deactivates(&world.pass().steps, "web-1"));
    world.twin_dies("web-1");
    world.pass();
    time_passes(&mut world, 11);
    world.api_confirms();
    assert!(world.pass().steps.contains(&Step::Retire(key("web-1"))), "then it goes as any other");
}

#[test]
fn nothing_is_activated_on_an_old_list_of_the_runtime() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.runtime_is_quiet = true;
    world.later(3600);
    world.api_unavailable();
    let decision = world.pass();
    assert!(decision.ask_runtime && decision.steps.is_empty(), "{decision:?}");
    world.runtime_is_quiet = false;
    assert!(activates(&world.pass().steps, "web-1"));
}

#[test]
fn a_successor_ready_for_a_second_replaces_no_good_copy() {
    let mut world = saved_and_up();
    world.copy("web-1").digest = "of before".into();
    world.parent_turns("web-1", Exited);
    world.parent_starts("web-1", Some(Running));
    assert_eq!(world.pass().steps, vec![], "Ready, but up for no time at all");
    world.later(11);
    world.api_confirms();
    assert!(world.pass().steps.contains(&Step::Capture(key("web-1"))));
}

#[test]
fn a_successor_of_another_name_is_saved_once_it_is_up() {
    let mut world = saved_and_up();
    world.gone_from_api("web-1");
    world.in_api("web-2", "web", READY);
    world.parent_starts("web-2", Some(Running));
    assert!(!world.pass().steps.contains(&Step::Capture(key("web-2"))), "web-1 would retire for it");
    world.later(11);
    world.api_confirms();
    assert!(world.pass().steps.contains(&Step::Capture(key("web-2"))));
}

#[test]
fn a_parent_that_a_blind_kubelet_started_by_half_is_taken_over() {
    let mut world = saved_and_up();
    world.power_cut_offline();
    world.parent_starts("web-1", None);
    assert_eq!(world.pass().steps, vec![], "it may be pulling its image");
    world.later(91);
    world.api_unavailable();
    let steps = world.pass().steps;
    assert!(matches!(steps.first(), Some(Step::RemoveSandboxes { .. })) && activates(&steps, "web-1"), "{steps:?}");
}

#[test]
fn a_retiring_twin_makes_room_for_a_newcomer() {
    let mut world = activated_after_power_cut();
    world.gone_from_api("web-1");
    world.pass();
    assert_eq!(phase(&mut world, "web-1"), Phase::Retiring);
    world.later(1);
    world.in_api("web-2", "web", NOT_READY);
    world.pass();
    world.parent_starts("web-2", Some(Exited));
    assert!(deactivates(&world.pass().steps, "web-1"), "it has the port that web-2 wants");
    world.twin_dies("web-1");
    let steps = world.pass().steps;
    let freed = |s: &Step| matches!(s, Step::RemoveSandboxes { pod, .. } if *pod == key("web-2"));
    assert!(steps.iter().any(freed), "and need not wait out the kubelet's back-off: {steps:?}");
}

#[test]
fn an_active_twin_reads_fresh_assets_while_the_api_answers() {
    let mut world = activated_after_power_cut();
    world.later(600);
    world.in_api("web-1", "web", NOT_READY);
    assert!(world.pass().steps.contains(&Step::Refresh([key("web-1")].into())));
    world.later(100);
    world.api_confirms();
    assert_eq!(world.pass().steps, vec![], "in the node's rounds, not at each pass");
}

#[test]
fn a_yield_to_a_twin_that_will_not_die_is_told() {
    let mut world = activated_after_power_cut();
    world.in_api("web-1", "web", READY);
    world.parent_starts("web-1", Some(Exited));
    assert!(deactivates(&world.pass().steps, "web-1"));
    let reasons = |world: &mut World| world.pass().report.pods.remove(0).reasons;
    assert!(!reasons(&mut world).iter().any(|why| why.contains("still runs")));
    world.later(61);
    assert!(reasons(&mut world).iter().any(|why| why.contains("web-1-n1 still runs 61s")), "{:?}", reasons(&mut world));
}

#[test]
fn only_a_retired_copy_that_would_rise_counts_as_restorable() {
    let mut world = saved_and_up();
    world.gone_from_api("web-1");
    world.pass();
    let restorable = |world: &mut World| world.pass().report.pods.remove(0).restorable;
    assert!(restorable(&mut world), "a DaemonSet's pod comes back");
    world.copy("web-1").lineage.kind = "ReplicaSet".into();
    assert!(!restorable(&mut world));
    world.copy("web-1").lineage.kind = "StatefulSet".into();
    assert!(restorable(&mut world), "under its own name");
}
