//! What an API object says about a parent: whether it is one, how it stands, and when its digest changes.

use std::time::Duration;

use pod_checkpointer::pod::asset_refs::{ObjectKind, ObjectRef, TokenRef, wanted};
use pod_checkpointer::pod::parent::{BadPod, Parent, Standing};
use rstest::rstest;
use serde_json::{Value, json};

fn pod() -> Value {
    json!({
        "metadata": {
            "name": "web-5d9c-x2x", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
            "managedFields": [{"manager": "kubectl"}],
            "labels": {"app": "web", "pod-template-hash": "5d9c"},
            "annotations": {"checkpointer.alpha.coreos.com/checkpoint": "true", "note": "a"},
            "ownerReferences": [
                {"kind": "Hoarder", "name": "other", "controller": false},
                {"kind": "ReplicaSet", "name": "web-5d9c", "controller": true},
            ],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut pod = pod();
    set(&mut pod, path, value);
    pod
}

fn set(pod: &mut Value, path: &str, value: Value) {
    let (parent, leaf) = path.rsplit_once('/').unwrap();
    pod.pointer_mut(parent).unwrap_or_else(|| panic!("{parent}"))[leaf.replace("~1", "/").as_str()] = value;
}

fn parent(pod: &Value) -> Parent {
    Parent::from_api(pod, "n1").unwrap().expect("a parent")
}

#[rstest]
#[case::not_annotated("/metadata/annotations", json!({}))]
#[case::annotated_otherwise("/metadata/annotations/checkpointer.alpha.coreos.com~1checkpoint", json!("yes"))]
#[case::a_static_pod("/metadata/annotations/kubernetes.io~1config.source", json!("file"))]
#[case::a_mirror_pod("/metadata/annotations/kubernetes.io~1config.mirror", json!("abc"))]
#[case::a_checkpoint("/metadata/annotations/checkpointer.alpha.coreos.com~1checkpoint-of", json!(""))]
fn these_are_no_parents(#[case] path: &str, #[case] value: Value) {
    assert_eq!(Parent::from_api(&with(path, value), "n1").unwrap(), None);
}

#[test]
fn a_source_annotation_of_the_api_is_no_hindrance() {
    parent(&with("/metadata/annotations/kubernetes.io~1config.source", json!("api")));
}

#[test]
fn names_that_could_become_another_path_are_refused() {
    let bad = Parent::from_api(&with("/metadata/name", json!("../etc")), "n1");
    assert!(matches!(bad, Err(BadPod::Name(_))), "{bad:?}");
    let bad = Parent::from_api(&with("/metadata/uid", json!("")), "n1");
    assert!(matches!(bad, Err(BadPod::Missing("metadata.uid"))), "{bad:?}");
}

#[rstest]
#[case::ready("/status/phase", json!("Running"), Standing::Here { ready: true })]
#[case::not_ready("/status/conditions", json!([{"type": "Ready", "status": "False"}]), Standing::Here { ready: false })]
#[case::no_status("/status", Value::Null, Standing::Here { ready: false })]
#[case::terminating("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"), gone("being deleted"))]
#[case::elsewhere("/spec/nodeName", json!("n2"), gone("bound to node n2"))]
#[case::succeeded("/status/phase", json!("Succeeded"), gone("succeeded"))]
#[case::failed("/status", json!({"phase": "Failed", "reason": "NodePorts"}), gone("failed: NodePorts"))]
fn a_deployments_pod_stands(#[case] path: &str, #[case] value: Value, #[case] standing: Standing) {
    assert_eq!(parent(&with(path, value)).standing, standing);
}

#[rstest]
#[case("NodePorts", true)]
#[case("OutOfcpu", true)]
#[case("Preempting", true)]
#[case("Evicted", true)]
#[case("UnexpectedAdmissionError", true)]
#[case("Error", false)]
#[case("", false)]
fn a_failed_pod_of_a_daemonset_or_of_nobody_is_rejected_or_gone(#[case] reason: &str, #[case] rejected: bool) {
    for owners in [json!([]), json!([{"kind": "DaemonSet", "name": "d", "controller": true}])] {
        let mut pod = with("/status", json!({"phase": "Failed", "reason": reason}));
        pod["metadata"]["ownerReferences"] = owners;
        let standing = parent(&pod).standing;
        assert_eq!(matches!(standing, Standing::Rejected { .. }), rejected, "{standing:?}");
        assert_eq!(matches!(standing, Standing::Gone { .. }), !rejected, "{standing:?}");
    }
}

/// The condition that the kubelet leaves on every pod that it ends by itself.
fn ended_by_the_kubelet(reason: &str) -> Value {
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"});
    with("/status", json!({"phase": "Failed", "reason": reason, "conditions": [condition]}))
}

#[rstest]
#[case::of_today(ended_by_the_kubelet("Terminated"))]
#[case::by_its_reason_alone(with("/status", json!({"phase": "Failed", "reason": "Terminated"})))]
#[case::refused_while_it_lasts(with("/status", json!({"phase": "Failed", "reason": "NodeShutdown"})))]
#[case::by_its_condition_alone(ended_by_the_kubelet(""))]
fn a_pod_that_the_node_shut_down_is_not_gone(#[case] pod: Value) {
    assert_eq!(parent(&pod).standing, Standing::ShutDown);
    let mut deleted = pod;
    set(&mut deleted, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    assert!(matches!(parent(&deleted).standing, Standing::Gone { .. }), "its owner wants it away");
}

#[rstest]
#[case("Evicted")]
#[case("Preempting")]
fn an_eviction_is_no_shutdown_though_it_has_the_condition(#[case] reason: &str) {
    assert!(matches!(parent(&ended_by_the_kubelet(reason)).standing, Standing::Gone { .. }), "of a Deployment");
    let mut bare = ended_by_the_kubelet(reason);
    bare["metadata"]["ownerReferences"] = json!([]);
    assert!(matches!(parent(&bare).standing, Standing::Rejected { .. }), "of nobody");
}

fn gone(why: &str) -> Standing {
    Standing::Gone { why: why.to_owned() }
}

#[test]
fn lineage_is_the_controlling_owner() {
    assert_eq!(parent(&pod()).lineage.to_string(), "shop/ReplicaSet/web");
    let owned = |kind: &str, name: &str| {
        let owner = json!([{"kind": kind, "name": name, "controller": true}]);
        parent(&with("/metadata/ownerReferences", owner)).lineage.to_string()
    };
    assert_eq!(owned("ReplicaSet", "made-by-hand"), "shop/ReplicaSet/made-by-hand");
    assert_eq!(owned("DaemonSet", "agent-5d9c"), "shop/DaemonSet/agent-5d9c");
    assert_eq!(parent(&with("/metadata/ownerReferences", json!([]))).lineage.to_string(), "shop/Pod/web-5d9c-x2x");
}

#[rstest]
#[case::a_deployments("ReplicaSet", "web-65c4", &[("pod-template-hash", "65c4")], "ReplicaSet/web")]
#[case::a_rollouts("ReplicaSet", "web-65c4", &[("rollouts-pod-template-hash", "65c4")], "ReplicaSet/web")]
#[case::another_operators("Fleet", "web-65c4", &[("acme.example/template-hash", "65c4"), ("x-hash", "1")], "Fleet/web")]
#[case::of_the_name_itself("CloneSet", "web", &[("controller-revision-hash", "web-65c4")], "CloneSet/web")]
#[case::of_nothing_else("ReplicaSet", "65c4", &[("pod-template-hash", "65c4")], "ReplicaSet/65c4")]
#[case::empty("ReplicaSet", "web-", &[("pod-template-hash", "")], "ReplicaSet/web-")]
#[case::no_hash("ReplicaSet", "web-65c4", &[("version", "65c4")], "ReplicaSet/web-65c4")]
#[case::of_a_deployment_config("ReplicationController", "web-12", &[("deploymentconfig", "web")],
    "ReplicationController/web")]
#[case::not_numbered("ReplicationController", "web-a", &[("deploymentconfig", "web")], "ReplicationController/web-a")]
#[case::set_by_name("StatefulSet", "web-65c4", &[("controller-revision-hash", "65c4")], "StatefulSet/web-65c4")]
fn what_tells_versions_apart_is_not_in_the_lineage(
    #[case] kind: &str,
    #[case] owner: &str,
    #[case] labels: &[(&str, &str)],
    #[case] lineage: &str,
) {
    let mut pod = with("/metadata/ownerReferences", json!([{"kind": kind, "name": owner, "controller": true}]));
    pod["metadata"]["labels"] = labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    assert_eq!(parent(&pod).lineage.to_string(), format!("shop/{lineage}"));
}

#[rstest]
#[case("/metadata/resourceVersion", json!("8"))]
#[case("/metadata/generation", json!(3))]
#[case("/metadata/managedFields", json!([]))]
#[case("/metadata/annotations/note", json!("b"))]
#[case("/metadata/labels/app", json!("shop"))]
#[case("/status/phase", json!("Pending"))]
#[case("/spec/tolerations", json!([{"operator": "Exists"}]))]
#[case("/spec/ephemeralContainers", json!([{"name": "debug"}]))]
fn the_digest_does_not_change_with(#[case] path: &str, #[case] value: Value) {
    assert_eq!(parent(&with(path, value)).digest, parent(&pod()).digest);
}

#[rstest]
#[case("/metadata/uid", json!("u-2"))]
#[case("/metadata/annotations/checkpointer.alpha.coreos.com~1max-offline", json!("5m"))]
#[case("/metadata/annotations/checkpointer.alpha.coreos.com~1inline-secret-env", json!("true"))]
#[case("/metadata/ownerReferences", json!([]))]
#[case("/spec/containers/0/image", json!("j"))]
#[case("/spec/serviceAccountName", json!("robot"))]
#[case("/spec/fieldOfTomorrow", json!(1))]
fn the_digest_changes_with(#[case] path: &str, #[case] value: Value) {
    assert_ne!(parent(&with(path, value)).digest, parent(&pod()).digest);
}

#[rstest]
#[case("metadata.labels", true)]
#[case("metadata.labels['app']", true)]
#[case("metadata.labels['other']", false)]
fn the_digest_changes_with_labels_that_the_pod_reads(#[case] field_path: &str, #[case] changes: bool) {
    let mut one = pod();
    one["spec"]["containers"][0]["env"] = json!([{"name": "L", "valueFrom": {"fieldRef": {"fieldPath": field_path}}}]);
    let mut other = one.clone();
    set(&mut other, "/metadata/labels/app", json!("changed"));
    assert_eq!(parent(&one).digest != parent(&other).digest, changes);
}

#[test]
fn the_digest_changes_with_annotations_that_are_kept() {
    let other = with("/metadata/annotations/note", json!("b"));
    let digest = |pod| Parent::from_api_keeping(pod, "n1", &["no".to_owned()]).unwrap().unwrap().digest;
    assert_ne!(digest(&pod()), digest(&other));
}

#[test]
fn status_and_managed_fields_are_not_kept() {
    let object = parent(&pod()).object;
    assert!(object.get("status").is_none() && object["metadata"].get("managedFields").is_none());
}

#[test]
fn images_are_those_of_containers_and_volumes() {
    let volumes = json!([{"name": "v", "image": {"reference": "mounted"}}, {"name": "w", "emptyDir": {}}]);
    let mut pod = with("/spec/volumes", volumes);
    pod["spec"]["initContainers"] = json!([{"name": "i", "image": "first"}]);
    assert_eq!(parent(&pod).images().into_iter().collect::<Vec<_>>(), ["first", "i", "mounted"]);
}

#[test]
fn max_offline_is_a_duration_or_an_error() {
    let limit = |text: &str| {
        parent(&with("/metadata/annotations/checkpointer.alpha.coreos.com~1max-offline", json!(text))).max_offline()
    };
    assert_eq!(parent(&pod()).max_offline(), Ok(None));
    assert_eq!(limit("1h30m"), Ok(Some(Duration::from_secs(5400))));
    assert!(limit("soon").unwrap_err().contains("\"soon\""));
}

#[test]
fn everything_a_pod_reads_is_wanted_once() {
    let mut pod = pod();
    pod["spec"] = json!({
        "serviceAccountName": "robot",
        "volumes": [
            {"name": "a", "secret": {"secretName": "tls", "items": [{"key": "crt", "path": "crt"}]}},
            {"name": "b", "configMap": {"name": "conf"}},
            {"name": "c", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token"}},
                {"serviceAccountToken": {"path": "vault", "audience": "vault"}},
                {"configMap": {"name": "kube-root-ca.crt"}},
                {"secret": {"name": "tls"}},
                {"secret": {"name": "../tls"}},
            ]}},
        ],
        "initContainers": [{"name": "i", "image": "i", "envFrom": [{"configMapRef": {"name": "env"}}]}],
        "containers": [{"name": "c", "image": "i", "env": [
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "password", "key": "p"}}},
        ]}],
    });
    let token = |audience: &str| TokenRef { service_account: "robot".to_owned(), audience: audience.to_owned() };
    let maps = ["conf", "env", "kube-root-ca.crt"].map(|name| object(ObjectKind::ConfigMap, name));

    let found = wanted(&pod);
    assert_eq!(found.tokens, [token(""), token("vault")].into());
    assert_eq!(found.objects, maps.iter().cloned().chain([object(ObjectKind::Secret, "tls")]).collect());

    set(&mut pod, "/metadata/annotations/checkpointer.alpha.coreos.com~1inline-secret-env", json!("true"));
    assert!(wanted(&pod).objects.contains(&object(ObjectKind::Secret, "password")));
}

fn object(kind: ObjectKind, name: &str) -> ObjectRef {
    ObjectRef { kind, name: name.to_owned() }
}
