//! What a policy says, in both forms of the original and in ours.

use std::time::Duration;

use pod_checkpointer::serve::retention::policy::{ContainerKey, Global, Level, MinFree, Policy, RetentionLimits};
use pod_checkpointer::serve::retention::resource::{Field, Form, SPEC};
use pod_checkpointer::serve::retention::spec::{Read, read, read_document};
use rstest::rstest;
use serde_json::{Value, json};

#[track_caller]
fn good(spec: &Value) -> Read {
    read(spec).unwrap_or_else(|refusals| panic!("{refusals:?}"))
}

fn count(count: u64) -> RetentionLimits {
    RetentionLimits { count: Some(count), ..RetentionLimits::default() }
}

const MIB: u64 = 1 << 20;

#[test]
fn nothing_said_is_ten_twenty_thirty() {
    for spec in [json!(null), json!({}), json!({"globalPolicy": {}})] {
        let Read { policy, notes } = good(&spec);
        assert_eq!(policy, Policy::default());
        assert_eq!(
            (policy.global.container, policy.global.pod, policy.global.namespace),
            (Some(count(10)), Some(count(20)), Some(count(30)))
        );
        assert!(policy.global.retain_orphan && !policy.immediately && notes.is_empty());
    }
}

#[test]
fn the_older_form_limits_containers_alone() {
    let policy = good(&json!({"maxCheckpointsPerContainer": 3, "checkpointDirectory": "/srv/checkpoints/"})).policy;
    assert_eq!(policy.directory, "/srv/checkpoints");
    let unlimited = Some(RetentionLimits::default());
    let global = Global { retain_orphan: true, container: Some(count(3)), pod: unlimited, namespace: unlimited };
    assert_eq!(policy.global, global);
}

#[test]
fn the_newer_form_counts_where_both_are_there() {
    let Read { policy, notes } =
        good(&json!({"maxCheckpointsPerContainer": 3, "globalPolicy": {"maxCheckpointsPerContainer": 4}}));
    assert_eq!((policy.global.container, policy.global.pod), (Some(count(4)), Some(count(20))));
    assert!(notes[0].starts_with("spec.maxCheckpointsPerContainer: "), "{notes:?}");
}

#[test]
fn an_object_in_the_originals_form_has_its_sizes_in_mebibytes() {
    let object = json!({
        "apiVersion": "criu.org/v1", "kind": "CheckpointRestoreOperator", "metadata": {"name": "sample"},
        "spec": {
            "checkpointDirectory": "/var/lib/kubelet/checkpoints",
            "applyPoliciesImmediately": false,
            "globalPolicy": {"maxCheckpointsPerPod": 30, "maxCheckpointSize": 10, "maxTotalSizePerPod": 500},
            "containerPolicies": [{"namespace": "<namespace>", "pod": "<pod_name>", "container": "<container_name>", "maxCheckpoints": 5}],
            "namespacePolicies": [{"namespace": "shop", "maxCheckpoints": 15, "maxTotalSize": 1000}],
        },
    });
    let Read { policy, notes } = read_document(&object).unwrap();
    assert_eq!(
        policy.global.pod,
        Some(RetentionLimits { count: Some(30), size: Some(10 * MIB), total: Some(500 * MIB) })
    );
    assert_eq!(policy.namespaces["shop"].limits.unwrap().total, Some(1000 * MIB));
    assert!(notes.iter().any(|note| note.starts_with("spec.globalPolicy.maxCheckpointSize: 10 was taken for 10Mi")));
    assert!(notes.iter().any(|note| note.starts_with("spec.containerPolicies[0].pod: ")), "{notes:?}");
}

#[test]
fn our_own_fields_are_read() {
    let policy = good(&json!({
        "maxAge": "720h", "maxTotalSizePerNode": "100Gi", "minFreeSpace": "10%", "dryRun": true,
        "applyPoliciesImmediately": true, "globalPolicy": {"retainOrphan": false},
    }))
    .policy;
    assert_eq!(policy.max_age, Some(Duration::from_secs(720 * 3600)));
    assert_eq!((policy.max_total, policy.min_free), (Some(100 << 30), Some(MinFree::Percent(10))));
    assert!(policy.dry_run && policy.immediately && !policy.global.retain_orphan);
    assert_eq!(good(&json!({"minFreeSpace": "5Gi"})).policy.min_free, Some(MinFree::Bytes(5 << 30)));
    assert_eq!(MinFree::Percent(10).of(u64::MAX), u64::MAX / 100 * 10);
    assert_eq!(MinFree::Percent(10).of(1005), 100);
}

#[rstest]
#[case(json!({"maxCheckpoints": 0, "maxTotalSize": "1Gi"}))]
#[case(json!({"maxCheckpoints": -1}))]
#[case(json!({"maxCheckpointSize": 0, "maxCheckpoints": 3}))]
#[case(json!({"maxTotalSize": "-1Gi"}))]
fn one_value_that_is_off_turns_its_whole_level_off(#[case] mut of: Value) {
    of["namespace"] = json!("shop");
    let policy = good(&json!({"namespacePolicies": [of]})).policy;
    assert_eq!(policy.namespaces["shop"].limits, None);
    assert_eq!(policy.governing(&ContainerKey::new("shop", "p", "c")).limits(Level::Namespace), None);
}

#[rstest]
#[case(json!([]), &["spec"])]
#[case(json!({"applyPoliciesImmediately": "yes"}), &["spec.applyPoliciesImmediately"])]
#[case(json!({"globalPolicy": {"maxCheckpointSize": "10 apples"}}), &["spec.globalPolicy.maxCheckpointSize"])]
#[case(json!({"globalPolicy": {"maxCheckpointsPerPod": 1.5}}), &["spec.globalPolicy.maxCheckpointsPerPod"])]
#[case(json!({"podPolicies": [{"namespace": "a", "pod": "b"}, {"maxTotalSize": []}]}), &["spec.podPolicies[1].maxTotalSize"])]
#[case(json!({"podPolicies": {}, "maxAge": "30d"}), &["spec.maxAge", "spec.podPolicies"])]
#[case(json!({"minFreeSpace": "100%"}), &["spec.minFreeSpace"])]
#[case(json!({"checkpointDirectory": "checkpoints"}), &["spec.checkpointDirectory"])]
#[case(json!({"checkpointDirectory": "/a/../b"}), &["spec.checkpointDirectory"])]
#[case(json!({"maxTotalSizePerNode": "99999999999999E"}), &["spec.maxTotalSizePerNode"])]
fn what_cannot_be_is_refused_with_its_path(#[case] spec: Value, #[case] paths: &[&str]) {
    let refusals = read(&spec).unwrap_err();
    let found: Vec<&str> = refusals.iter().map(|refusal| refusal.path.as_str()).collect();
    assert_eq!(found, paths);
}

#[test]
fn an_unknown_field_is_noted_and_another_kind_is_refused() {
    assert!(good(&json!({"maxAges": "1h"})).notes[0].starts_with("spec.maxAges: there is no such field"));
    assert_eq!(read_document(&json!({"kind": "Pod", "spec": {}})).unwrap_err()[0].path, "kind");
    assert_eq!(read_document(&json!({"maxAge": "1h"})).unwrap().policy.max_age, Some(Duration::from_secs(3600)));
}

#[test]
fn the_first_policy_that_is_for_an_archive_decides() {
    let policy = good(&json!({
        "containerPolicies": [{"namespace": "a", "pod": "p", "container": "c", "maxCheckpoints": 1},
                              {"namespace": "a", "pod": "p", "container": "c", "maxCheckpoints": 9}],
        "podPolicies": [{"namespace": "a", "pod": "p", "maxCheckpoints": 2}],
        "namespacePolicies": [{"namespace": "a", "maxCheckpoints": 3}],
    }))
    .policy;
    for (key, level, limit) in [
        (ContainerKey::new("a", "p", "c"), Level::Container, count(1)),
        (ContainerKey::new("a", "p", "d"), Level::Pod, count(2)),
        (ContainerKey::new("a", "q", "c"), Level::Namespace, count(3)),
        (ContainerKey::new("b", "p", "c"), Level::Container, count(10)),
    ] {
        let governing = policy.governing(&key);
        assert_eq!(governing.limits(level), Some(limit), "{key}");
        let others = [Level::Container, Level::Pod, Level::Namespace].into_iter().filter(|other| *other != level);
        let is_global = key.namespace == "b";
        assert!(others.into_iter().all(|other| governing.limits(other).is_some() == is_global), "{key}");
    }
}

#[test]
fn the_resource_definition_is_the_one_in_the_manifests() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/crds/checkpointrestoreoperators.criu.org.yaml");
    let definition = pod_checkpointer::serve::retention::resource::definition();
    if std::env::var_os("UPDATE_MANIFESTS").is_some() {
        let text = serde_yaml::to_string(&definition).unwrap();
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(
            path,
            format!(
                "# Made from src/serve/retention/resource.rs: UPDATE_MANIFESTS=1 cargo test --test it retention\n{text}"
            ),
        )
        .unwrap();
    }
    let found: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(found, definition, "make it anew: UPDATE_MANIFESTS=1 cargo test --test it resource_definition");
}

/// Every field of the schema, as a `spec` in which its value has a form that it cannot have, with its path.
fn misformed(fields: &'static [Field]) -> Vec<(String, Value)> {
    let one = |field: &Field| {
        let wrong = if matches!(field.form, Form::List(_)) { json!({}) } else { json!([]) };
        let mut found = vec![(field.name.to_owned(), json!({field.name: wrong}))];
        match field.form {
            Form::Object(inner) => found.extend(
                misformed(inner)
                    .into_iter()
                    .map(|(path, value)| (format!("{}.{path}", field.name), json!({field.name: value}))),
            ),
            Form::List(inner) => found.extend(
                misformed(inner)
                    .into_iter()
                    .map(|(path, value)| (format!("{}[0].{path}", field.name), json!({field.name: [value]}))),
            ),
            _ => {}
        }
        found
    };
    fields.iter().flat_map(one).collect()
}

#[test]
fn every_field_of_the_schema_is_read() {
    let cases = misformed(SPEC);
    assert!(cases.len() > 30, "{}", cases.len());
    for (path, spec) in cases {
        let refused = read(&spec).expect_err(&path);
        assert!(refused.iter().any(|refusal| refusal.path == format!("spec.{path}")), "{path}: {refused:?}");
    }
}
