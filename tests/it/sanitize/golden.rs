//! Checkpoints of realistic pods, whole: what changes in them changes what every node runs in an outage.

use super::pods::{APISERVER, BARE, WEB, all_assets, facts, listing, parent, pod};
use pod_checkpointer::pod::sanitize::{NodeFacts, has_api_object_reference, sanitize};

fn checkpoint(yaml: &str, facts: &NodeFacts) -> serde_json::Value {
    let made = sanitize(&parent(&pod(yaml)), facts, &all_assets()).unwrap();
    assert_eq!(has_api_object_reference(&made.manifest), None);
    serde_json::json!({"manifest": made.manifest, "volumes": listing(&made.volumes)})
}

#[test]
fn a_self_hosted_apiserver() {
    insta::assert_yaml_snapshot!(checkpoint(APISERVER, &facts()));
}

#[test]
fn a_deployments_pod_with_every_kind_of_reference() {
    let facts = NodeFacts { keep_annotations: vec!["k8s.v1.cni.cncf.io/".to_owned()], ..facts() };
    insta::assert_yaml_snapshot!(checkpoint(WEB, &facts));
}

#[test]
fn a_bare_pod_that_may_show_its_secrets() {
    insta::assert_yaml_snapshot!(checkpoint(BARE, &facts()));
}
