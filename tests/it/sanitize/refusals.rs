//! Every reason for which a pod is not restorable, and that each says what to do.

use super::pods::{config_map, facts, fetched, parent, pod, secret, small, small_container, with_image};
use pod_checkpointer::pod::asset_refs::Assets;
use pod_checkpointer::pod::runtime::ImagePresence;
use pod_checkpointer::pod::sanitize::{NodeFacts, sanitize};
use rstest::rstest;
use serde_json::{Value, json};

fn reasons(pod: &Value, facts: &NodeFacts, assets: &Assets) -> Vec<String> {
    sanitize(&parent(pod), facts, assets).expect_err("not restorable").reasons
}

/// The only reason, which must contain all of these.
#[track_caller]
fn refused(pod: &Value, words: &[&str]) {
    one_reason_with(&reasons(pod, &facts(), &Assets::default()), words);
}

#[track_caller]
fn one_reason_with(reasons: &[String], words: &[&str]) {
    assert_eq!(reasons.len(), 1, "{reasons:#?}");
    for word in words {
        assert!(reasons[0].contains(word), "{word:?} is not in {:?}", reasons[0]);
    }
}

#[rstest]
#[case::a_job(json!({"restartPolicy": "OnFailure"}), &["OnFailure", "would run again"])]
#[case::once(json!({"restartPolicy": "Never"}), &["Never", "would run again"])]
#[case::a_deadline(json!({"activeDeadlineSeconds": 5}), &["activeDeadlineSeconds", "remove it"])]
#[case::a_runtime_class(json!({"runtimeClassName": "kata"}), &["kata", "default"])]
#[case::a_claim(json!({"resourceClaims": [{"name": "gpu"}]}), &["resourceClaims"])]
#[case::another_system(json!({"os": {"name": "windows"}}), &["windows"])]
#[case::tomorrow(json!({"fieldOfTomorrow": {}}), &["spec.fieldOfTomorrow", "update pod-checkpointer"])]
#[case::a_list_for_a_scalar(json!({"hostPID": [true]}), &["spec.hostPID"])]
fn a_pod_with(#[case] spec: Value, #[case] words: &[&str]) {
    refused(&small(&spec), words);
}

#[rstest]
#[case::that_ends(json!({"restartPolicy": "Never"}), &["container c", "Never"])]
#[case::without_an_image(json!({"image": ""}), &["container c", "no image"])]
#[case::with_a_device(json!({"resources": {"limits": {"nvidia.com/gpu": 1}}}), &["nvidia.com/gpu", "static pods"])]
#[case::with_huge_pages(json!({"resources": {"limits": {"hugepages-2Mi": "4Mi"}}}), &["hugepages-2Mi"])]
#[case::with_a_claim(json!({"resources": {"claims": [{"name": "gpu"}]}}), &["resource claim"])]
#[case::with_a_secret_in_a_variable(
    json!({"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}]}),
    &["variable P of container c", "Secret s", "inline-secret-env: \"true\""],
)]
#[case::with_a_secret_as_environment(
    json!({"envFrom": [{"secretRef": {"name": "s"}}]}),
    &["envFrom of container c", "Secret s", "inline-secret-env: \"true\""],
)]
#[case::with_a_field_of_tomorrow(
    json!({"env": [{"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "status.mood"}}}]}),
    &["variable F of container c", "status.mood"],
)]
#[case::with_a_request_of_tomorrow(
    json!({"env": [{"name": "F", "valueFrom": {"resourceFieldRef": {"resource": "requests.mood"}}}]}),
    &["variable F of container c", "requests.mood"],
)]
#[case::with_an_empty_env_from(json!({"envFrom": [{"prefix": "A_"}]}), &["envFrom"])]
#[case::with_a_probe_of_tomorrow(
    json!({"livenessProbe": {"quantum": {}}}), &["spec.containers[0].livenessProbe.quantum"])]
fn a_container(#[case] container: Value, #[case] words: &[&str]) {
    refused(&small_container(&container), words);
}

#[rstest]
#[case::persistent_volume_claim(json!({"persistentVolumeClaim": {"claimName": "c"}}), &["PersistentVolumeClaim"])]
#[case::csi(json!({"csi": {"driver": "d"}}), &["csi", "hostPath"])]
#[case::ephemeral(json!({"ephemeral": {}}), &["ephemeral"])]
#[case::iscsi(json!({"iscsi": {}}), &["iscsi", "control plane"])]
#[case::azure_file(json!({"azureFile": {"secretName": "s"}}), &["azureFile", "Secret"])]
#[case::two_sources(json!({"emptyDir": {}, "hostPath": {"path": "/"}}), &["more than one source"])]
#[case::trust_bundle(json!({"projected": {"sources": [{"clusterTrustBundle": {}}]}}), &["clusterTrustBundle"])]
#[case::certificate(json!({"projected": {"sources": [{"podCertificate": {}}]}}), &["podCertificate"])]
#[case::empty_source(json!({"projected": {"sources": [{}]}}), &["no kind"])]
#[case::bad_mode(json!({"secret": {"secretName": "s", "defaultMode": 4096}}), &["4096", "no file mode"])]
#[case::bad_name(json!({"secret": {"secretName": "../../etc"}}), &["../../etc", "DNS-1123"])]
#[case::bad_projected_name(json!({"projected": {"sources": [{"configMap": {"name": "A/B"}}]}}), &["A/B", "DNS-1123"])]
#[case::unset_limit(
    json!({"projected": {"sources": [
        {"configMap": {"name": "m", "optional": true}},
        {"downwardAPI": {"items": [{"path": "p", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}}]}},
    ]}}),
    &["limits.cpu of container c is not set", "set resources.limits.cpu"],
)]
#[case::kubelet_annotation_among_others(
    json!({"downwardAPI": {"items": [
        {"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "s", "fieldRef": {"fieldPath": "metadata.annotations['kubernetes.io/config.seen']"}},
    ]}}),
    &["config.seen", "a downwardAPI volume of its own"],
)]
fn a_volume(#[case] source: Value, #[case] words: &[&str]) {
    let mut volume = source;
    volume["name"] = json!("v");
    let assets = fetched().missing(config_map("m")).assets();
    let reasons = reasons(&small(&json!({"volumes": [volume]})), &facts(), &assets);
    one_reason_with(&reasons, words);
}

#[rstest]
#[case::missing(fetched().missing(secret("s")).assets(), &["Secret ns/s does not exist", "volume v", "create it"])]
#[case::denied(fetched().denied(secret("s")).assets(),
    &["Secret ns/s", "forbidden by RBAC", "get on secrets", "resourceNames [s]", "namespace ns"])]
#[case::not_fetched(Assets::default(), &["Secret ns/s", "not fetched"])]
#[case::without_the_key(fetched().found(secret("s"), &[("a", "")]).assets(), &["Secret s has no key \"k\""])]
#[case::leading_out(fetched().found(secret("s"), &[("k", "")]).assets(), &["\"../k\" is no path"])]
fn a_secret(#[case] assets: Assets, #[case] words: &[&str]) {
    let path = if words[0].contains("is no path") { "../k" } else { "k" };
    let source = json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": path}]}});
    let reasons = reasons(&small(&json!({"volumes": [source]})), &facts(), &assets);
    one_reason_with(&reasons, words);
}

#[test]
fn a_denied_object_is_refused_even_where_it_is_optional() {
    let volume = json!({"name": "v", "configMap": {"name": "m", "optional": true}});
    let reasons = reasons(&small(&json!({"volumes": [volume]})), &facts(), &fetched().denied(config_map("m")).assets());
    assert!(reasons[0].contains("get on configmaps"), "{reasons:?}");
}

#[test]
fn a_file_that_is_also_a_directory_is_refused() {
    let items = json!([{"key": "a", "path": "x"}, {"key": "a", "path": "x/y"}]);
    let volume = json!({"name": "v", "configMap": {"name": "m", "items": items}});
    let assets = fetched().found(config_map("m"), &[("a", "1")]).assets();
    let reasons = reasons(&small(&json!({"volumes": [volume]})), &facts(), &assets);
    assert!(reasons[0].contains("both a file and a directory"), "{reasons:?}");
}

#[rstest]
#[case::absent(ImagePresence::Absent, Some("crictl pull i"))]
#[case::pulled_with_a_secret(ImagePresence::PulledWithSecret, Some("pull secret"))]
#[case::present(ImagePresence::Present, None)]
#[case::nobody_could_say(ImagePresence::Unknown("no CRI".to_owned()), None)]
fn an_image(#[case] presence: ImagePresence, #[case] word: Option<&str>) {
    let made = sanitize(&parent(&small(&json!({}))), &with_image(presence), &Assets::default());
    match (made, word) {
        (Ok(_), None) => {}
        (Err(refused), Some(word)) => assert!(refused.reasons[0].contains(word), "{refused}"),
        (made, _) => panic!("{made:?}"),
    }
}

#[test]
fn an_image_volume_must_be_on_the_node_as_well() {
    let volume = json!({"name": "v", "image": {"reference": "i", "pullPolicy": "Always"}});
    let mut pod = small(&json!({"volumes": [volume]}));
    pod["spec"]["containers"][0]["image"] = json!("other");
    let reasons = reasons(&pod, &with_image(ImagePresence::Absent), &Assets::default());
    assert!(reasons[0].contains("volume v"), "{reasons:?}");
}

#[test]
fn a_host_port_needs_a_controller_or_the_hosts_network() {
    let ports = json!({"ports": [{"containerPort": 80, "hostPort": 80}]});
    let bare = small_container(&ports);
    refused(&bare, &["hostPort", "DaemonSet"]);
    let mut on_host = bare.clone();
    on_host["spec"]["hostNetwork"] = json!(true);
    let mut owned = bare;
    owned["metadata"]["ownerReferences"] = json!([{"kind": "DaemonSet", "name": "d", "controller": true}]);
    for pod in [on_host, owned] {
        sanitize(&parent(&pod), &facts(), &Assets::default()).unwrap();
    }
}

#[test]
fn a_probe_on_the_hosts_network_must_name_a_port_that_there_is() {
    let mut pod = small_container(&json!({"livenessProbe": {"httpGet": {"port": "http"}}}));
    pod["spec"]["hostNetwork"] = json!(true);
    refused(&pod, &["livenessProbe of container c", "\"http\""]);
}

#[test]
fn a_name_too_long_for_its_twin_is_refused() {
    let mut pod = small(&json!({"hostname": "h"}));
    pod["metadata"]["name"] = json!("p".repeat(250));
    refused(&pod, &["250 letters", "logs", "293 where 255", "at most 212"]);
}

#[test]
fn every_name_made_of_the_pods_fits_or_the_pod_is_refused() {
    for (namespace, node, longest) in [("n".repeat(63), "n", 156), ("ns".to_owned(), "n", 217)] {
        let facts = NodeFacts { node_name: node.to_owned(), ..facts() };
        let mut pod = small(&json!({}));
        pod["metadata"]["namespace"] = json!(namespace);
        pod["metadata"]["name"] = json!("p".repeat(longest));
        assert!(sanitize(&parent(&pod), &facts, &Assets::default()).is_ok(), "{longest}");
        pod["metadata"]["name"] = json!("p".repeat(longest + 1));
        one_reason_with(&reasons(&pod, &facts, &Assets::default()), &[&format!("at most {longest}")]);
    }
}

#[rstest]
#[case("x".repeat(256), "a file's name may have 255")]
#[case(format!("{}y", "x/".repeat(2000)), "a path here may have 3072")]
fn a_file_whose_path_is_too_long_is_refused(#[case] path: String, #[case] words: &str) {
    let items = json!([{"key": "k", "path": path}]);
    let volume = json!({"name": "v", "configMap": {"name": "m", "items": items}});
    let assets = fetched().found(config_map("m"), &[("k", "1")]).assets();
    one_reason_with(&reasons(&small(&json!({"volumes": [volume]})), &facts(), &assets), &[words, "shorten"]);
}

#[test]
fn a_limit_of_the_outage_that_cannot_be_read_is_refused() {
    let mut pod = small(&json!({}));
    pod["metadata"]["annotations"]["checkpointer.alpha.coreos.com/max-offline"] = json!("a while");
    refused(&pod, &["max-offline", "a while", "10m"]);
}

#[test]
fn text_that_no_manifest_can_hold_is_refused() {
    let mut pod = small_container(&json!({"envFrom": [{"secretRef": {"name": "s"}}]}));
    pod["metadata"]["annotations"]["checkpointer.alpha.coreos.com/inline-secret-env"] = json!("true");
    let reasons = reasons(&pod, &facts(), &fetched().binary(secret("s"), "K", &[0xff]).assets());
    assert!(reasons[0].contains("variable K of container c is not UTF-8"), "{reasons:?}");
}

#[test]
fn all_reasons_come_at_once() {
    let mut pod = pod(super::pods::WEB);
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["runtimeClassName"] = json!("kata");
    pod["spec"]["fieldOfTomorrow"] = json!(1);
    pod["spec"]["containers"][0]["resources"]["limits"]["example.com/dongle"] = json!(1);
    let assets = fetched().missing(secret("web-tls")).denied(config_map("settings")).assets();
    let reasons = reasons(&pod, &facts(), &assets).join("\n");
    for word in ["fieldOfTomorrow", "Never", "kata", "dongle", "web-tls does not exist", "get on configmaps"] {
        assert!(reasons.contains(word), "{word} is not in {reasons}");
    }
}
