//! What an operator is told, table by table.

use std::time::Duration;

use super::*;
use crate::pod::key::{ContainerId, SandboxId, Uid};
use crate::pod::runtime::{Container, ContainerState};
use crate::pod::status::Running;

fn key(name: &str) -> PodKey {
    PodKey::new("kube-system", name).unwrap()
}

fn copy() -> OnDisk {
    OnDisk {
        uid: Uid::from("u1"),
        lineage: "kube-system/DaemonSet/web".parse().unwrap(),
        digest: "d".to_owned(),
        generation: 0,
        captured_at: 100,
        inactive: true,
        active: false,
        retired: None,
        containers: vec!["main".to_owned()],
        images: vec!["web:1".to_owned()],
        host_port: false,
        max_offline: None,
        incomplete: None,
        successor_seen: false,
        active_differs: false,
        degraded: Vec::new(),
        assets_at: Some(90),
    }
}

fn sandbox(pod: &str, source: PodSource) -> Sandbox {
    let container = Container {
        id: ContainerId::from("c"),
        name: "main".to_owned(),
        state: ContainerState::Running,
        restarts: 0,
        created_at: 1,
    };
    Sandbox {
        id: SandboxId::from("s"),
        pod: key(pod),
        uid: Uid::from("u1"),
        source,
        annotated: source == PodSource::Api,
        checkpoint_of: None,
        ready: true,
        created_at: 1,
        containers: vec![container],
    }
}

fn twin(of: &str) -> Sandbox {
    let name = format!("{of}-n1");
    Sandbox { checkpoint_of: Some(of.to_owned()), ..sandbox(&name, PodSource::Static) }
}

/// A healthy node: one checkpoint, its parent running, its image there, an agent leading that has nothing to add.
fn healthy() -> Evidence {
    Evidence {
        node: "n1".to_owned(),
        leader: Some(true),
        disk: Ok(Inventory { checkpoints: BTreeMap::from([(key("web"), copy())]), ..Inventory::default() }),
        runtime: Ok(NodePods { sandboxes: vec![sandbox("web", PodSource::Api)] }),
        images: Images::from([("web:1".to_owned(), ImagePresence::Present)]),
        agent: Some(StatusDoc { api: "ok".to_owned(), kubelet: "aware".to_owned(), ..StatusDoc::default() }),
        offline: Vec::new(),
        now: 1000,
    }
}

fn with_copy(change: impl FnOnce(&mut OnDisk)) -> Evidence {
    let mut evidence = healthy();
    change(evidence.disk.as_mut().unwrap().checkpoints.get_mut(&key("web")).unwrap());
    evidence
}

fn reported(name: &str, restorable: bool, reason: &str) -> PodStatus {
    let report = PodReport {
        namespace: "kube-system".to_owned(),
        name: name.to_owned(),
        uid: None,
        lineage: None,
        phase: Phase::Watching,
        restorable,
        reasons: vec![reason.to_owned()],
        decision: "stay".to_owned(),
        image_present: None,
        assets_at: None,
    };
    PodStatus { report, running: None }
}

#[track_caller]
fn only(doc: &StatusDoc) -> &PodStatus {
    assert_eq!(doc.pods.len(), 1, "{doc:?}");
    &doc.pods[0]
}

#[test]
fn a_healthy_pod_is_restorable_and_its_node_has_nothing_to_note() {
    let doc = merge(&healthy());
    let pod = only(&doc);
    assert!(pod.report.restorable);
    assert_eq!(pod.report.reasons, [""; 0]);
    assert_eq!(pod.report.phase, Phase::Standby);
    assert_eq!(pod.report.image_present, Some(true));
    assert_eq!(pod.running, Some(Running::Parent));
    assert_eq!((doc.api.as_str(), doc.kubelet.as_str(), doc.runtime.as_str()), ("ok", "aware", "ok"));
    assert_eq!(doc.notes, [""; 0]);
}

#[test]
fn in_an_outage_with_the_agent_down_disk_and_runtime_are_enough() {
    let mut evidence = with_copy(|copy| copy.active = true);
    evidence.leader = Some(false);
    evidence.agent = None;
    evidence.runtime = Ok(NodePods { sandboxes: vec![twin("web")] });
    let doc = merge(&evidence);
    let pod = only(&doc);
    assert!(pod.report.restorable);
    assert_eq!((pod.report.phase, pod.running), (Phase::Active, Some(Running::Twin)));
    assert!(doc.api.starts_with("unknown: "), "{}", doc.api);
    assert!(doc.notes[0].contains("no agent runs"), "{:?}", doc.notes);
}

#[test]
fn an_annotated_pod_without_a_checkpoint_is_shown_with_a_hint() {
    let mut evidence = healthy();
    evidence.runtime.as_mut().unwrap().sandboxes.push(sandbox("new", PodSource::Api));
    let doc = merge(&evidence);
    let pod = &doc.pods[0];
    assert_eq!((pod.report.name.as_str(), pod.report.phase), ("new", Phase::Watching));
    assert!(!pod.report.restorable);
    assert!(pod.report.reasons[0].contains("--namespace"), "{:?}", pod.report.reasons);
    assert!(!doc.all_restorable());
}

#[test]
fn a_gone_agents_last_report_explains_a_missing_checkpoint() {
    let mut evidence = healthy();
    evidence.leader = Some(false);
    evidence.runtime.as_mut().unwrap().sandboxes.push(sandbox("db", PodSource::Api));
    evidence.agent.as_mut().unwrap().pods.push(reported("db", false, "it mounts a PersistentVolumeClaim"));
    let doc = merge(&evidence);
    assert_eq!(doc.pods[0].report.reasons, ["it mounts a PersistentVolumeClaim"]);
}

#[test]
fn what_a_gone_agent_said_of_a_vanished_pod_is_dropped() {
    let mut evidence = healthy();
    evidence.leader = Some(false);
    evidence.agent.as_mut().unwrap().pods.push(reported("old", false, "whatever"));
    assert_eq!(only(&merge(&evidence)).report.name, "web");
}

#[test]
fn a_leading_agent_that_sees_an_obstacle_is_believed() {
    let mut evidence = healthy();
    evidence.agent.as_mut().unwrap().pods.push(reported("web", false, "its new spec has a CSI volume"));
    let doc = merge(&evidence);
    assert!(!only(&doc).report.restorable);
    assert_eq!(only(&doc).report.reasons, ["its new spec has a CSI volume"]);
}

#[rstest::rstest]
#[case::absent(ImagePresence::Absent, false, Some(false), "crictl pull")]
#[case::pulled_with_secret(ImagePresence::PulledWithSecret, false, Some(true), "pull secret")]
#[case::unknown(ImagePresence::Unknown("timeout".to_owned()), true, None, "")]
fn an_image_that_cannot_be_had_offline_is_an_obstacle(
    #[case] presence: ImagePresence,
    #[case] restorable: bool,
    #[case] image: Option<bool>,
    #[case] reason: &str,
) {
    let mut evidence = healthy();
    evidence.images.insert("web:1".to_owned(), presence);
    let doc = merge(&evidence);
    let pod = &only(&doc).report;
    assert_eq!((pod.restorable, pod.image_present), (restorable, image));
    assert!(pod.reasons.join(" ").contains(reason), "{:?}", pod.reasons);
}

#[test]
fn a_copy_with_missing_assets_is_not_restorable() {
    let evidence = with_copy(|copy| copy.incomplete = Some("Secret tls is missing".to_owned()));
    let doc = merge(&evidence);
    assert!(!only(&doc).report.restorable);
    assert_eq!(only(&doc).report.reasons, ["Secret tls is missing"]);
}

#[test]
fn a_deployments_pod_is_restorable_and_may_run_twice() {
    let evidence = with_copy(|copy| {
        copy.lineage = "kube-system/ReplicaSet/web".parse().unwrap();
        copy.max_offline = Some(Duration::from_secs(600));
    });
    let doc = merge(&Evidence { agent: None, leader: None, ..evidence });
    let pod = &only(&doc).report;
    assert!(pod.restorable);
    assert!(pod.reasons[0].starts_with("may run twice"), "{:?}", pod.reasons);
    assert!(pod.reasons[1].contains("10m"), "{:?}", pod.reasons);
}

#[test]
fn a_pod_that_an_operator_holds_back_would_not_come_back() {
    let mut evidence = healthy();
    evidence.disk.as_mut().unwrap().held.insert(key("web"));
    assert!(!only(&merge(&evidence)).report.restorable);
}

#[test]
fn a_retired_copy_is_retiring_and_the_agent_names_yielding_ones() {
    assert_eq!(only(&merge(&with_copy(|copy| copy.retired = Some(5)))).report.phase, Phase::Retiring);
    let mut evidence = healthy();
    let mut said = reported("web", true, "making room");
    said.report.phase = Phase::Yielding;
    evidence.agent.as_mut().unwrap().pods.push(said);
    assert_eq!(only(&merge(&evidence)).report.phase, Phase::Yielding);
}

#[rstest::rstest]
#[case::of_a_daemonset("DaemonSet", false, true)]
#[case::of_a_deployment("ReplicaSet", false, false)]
#[case::of_a_deployment_with_its_twin_running("ReplicaSet", true, true)]
fn without_an_agent_a_retired_copy_is_judged_alike(#[case] kind: &str, #[case] active: bool, #[case] restorable: bool) {
    let evidence = with_copy(|copy| {
        copy.lineage.kind = kind.to_owned();
        (copy.retired, copy.active) = (Some(5), active);
    });
    let doc = merge(&Evidence { agent: None, leader: Some(false), ..evidence });
    let pod = &only(&doc).report;
    assert_eq!(pod.restorable, restorable, "{pod:?}");
    assert_eq!(pod.reasons.iter().any(|why| why.starts_with("retired: ")), !restorable, "{pod:?}");
}

#[test]
fn nothing_is_unseen_on_a_healthy_node_alone() {
    assert_eq!(healthy().unseen(), [""; 0]);
    let blind = [
        Evidence { leader: None, ..healthy() },
        Evidence { leader: Some(false), ..healthy() },
        Evidence { agent: None, ..healthy() },
        Evidence { runtime: Err("timeout".to_owned()), ..healthy() },
        Evidence { disk: Err("denied".to_owned()), ..healthy() },
        Evidence {
            images: Images::from([("web:1".to_owned(), ImagePresence::Unknown("timeout".to_owned()))]),
            ..healthy()
        },
    ];
    for evidence in blind {
        assert_eq!(evidence.unseen().len(), 1, "{evidence:?}");
    }
}

#[test]
fn a_runtime_that_does_not_answer_says_nothing_about_what_runs() {
    let evidence = Evidence { runtime: Err("timeout".to_owned()), ..healthy() };
    let doc = merge(&evidence);
    assert_eq!(only(&doc).running, None);
    assert_eq!(doc.runtime, "unavailable: timeout");
}

#[test]
fn a_disk_that_cannot_be_read_is_no_proof_of_anything() {
    let mut evidence = healthy();
    evidence.disk = Err("permission denied; run it as root".to_owned());
    evidence.agent.as_mut().unwrap().pods.push(reported("web", true, ""));
    let doc = merge(&evidence);
    assert!(!only(&doc).report.restorable);
    assert!(only(&doc).report.reasons[0].contains("run it as root"));
    assert_eq!(doc.disk, "unavailable: permission denied; run it as root");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let mut evidence = healthy();
    let files = &mut evidence.disk.as_mut().unwrap().unreadable;
    files.insert("kube-system_x.yaml".to_owned(), "unknown format 9".to_owned());
    assert!(merge(&evidence).notes[0].contains("kube-system_x.yaml"));
}
