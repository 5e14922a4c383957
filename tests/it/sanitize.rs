//! What becomes of the parts of a pod, one by one.

mod golden;
mod lost;
mod nested;
mod pods;
mod properties;
mod refusals;

use pod_checkpointer::pod::asset_refs::{Assets, FetchedToken};
use pod_checkpointer::pod::checkpoint::{AssetVolume, Checkpoint, Tree};
use pod_checkpointer::pod::sanitize::volume::refresh;
use pod_checkpointer::pod::sanitize::{has_api_object_reference, sanitize};
use pods::{WEB, all_assets, config_map, facts, fetched, listing, parent, pod, secret, small, small_container, token};
use rstest::rstest;
use serde_json::{Value, json};

fn made(pod: &Value, assets: &Assets) -> Checkpoint {
    sanitize(&parent(pod), &facts(), assets).unwrap()
}

/// The variables of the first container, those of the API server's address left out.
fn environment(container: &Value, assets: &Assets) -> Vec<(String, String)> {
    let checkpoint = made(&small_container(container), assets);
    let env = checkpoint.manifest["spec"]["containers"][0]["env"].as_array().unwrap();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    env.iter().map(|e| (text(&e["name"]), text(&e["value"]))).filter(|(n, _)| !n.starts_with("KUBERNETES_")).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn of_two_sources_of_one_variable_the_later_counts() {
    let assets = fetched()
        .found(config_map("one"), &[("A", "1"), ("B", "1")])
        .found(config_map("two"), &[("B", "2"), ("not=a-name", "x")])
        .assets();
    let container = json!({
        "envFrom": [{"configMapRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}],
        "env": [{"name": "A", "value": "$(A)$(B)"}],
    });
    assert_eq!(environment(&container, &assets), pairs(&[("A", "1"), ("B", "2"), ("A", "$(A)$(B)")]));
}

#[test]
fn binary_data_never_becomes_a_variable() {
    let assets = fetched().binary(config_map("m"), "B", &[0xff]).assets();
    let container = json!({"envFrom": [{"configMapRef": {"name": "m"}}]});
    assert_eq!(environment(&container, &assets), pairs(&[]));
}

#[test]
fn the_api_servers_address_is_frozen_unless_the_pod_sets_it() {
    let assets = fetched().found(config_map("m"), &[("SERVICE_PORT", "1")]).assets();
    let container = json!({
        "envFrom": [{"prefix": "KUBERNETES_", "configMapRef": {"name": "m"}}],
        "env": [{"name": "X", "value": "$(KUBERNETES_SERVICE_HOST)"}],
    });
    let checkpoint = made(&small_container(&container), &assets);
    assert_eq!(
        checkpoint.manifest["spec"]["containers"][0]["env"],
        json!([
            {"name": "KUBERNETES_SERVICE_HOST", "value": "10.96.0.1"},
            {"name": "KUBERNETES_SERVICE_PORT", "value": "1"},
            {"name": "X", "value": "$(KUBERNETES_SERVICE_HOST)"},
        ])
    );
}

#[rstest]
#[case("requests.cpu", "", "1")]
#[case("requests.cpu", "1m", "250")]
#[case("requests.memory", "1Mi", "2")]
#[case("requests.ephemeral-storage", "", "0")]
fn requests_are_the_parents_or_its_limits(#[case] resource: &str, #[case] divisor: &str, #[case] value: &str) {
    let container = json!({
        "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1500k"}},
        "env": [{"name": "R", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}],
    });
    assert_eq!(environment(&container, &Assets::default()), pairs(&[("R", value)]));
}

#[rstest]
#[case::nothing(json!({}), json!({}), &["0644 token = \"T\""])]
#[case::common_user(json!({"runAsUser": 7}), json!({}), &["0600 owner 7 token = \"T\""])]
#[case::group(json!({"fsGroup": 9}), json!({}), &["0640 token = \"T\""])]
#[case::both(json!({"runAsUser": 7, "fsGroup": 9}), json!({}), &["0640 owner 7 token = \"T\""])]
#[case::users_that_differ(json!({"runAsUser": 7}), json!({"runAsUser": 8}), &["0644 token = \"T\""])]
fn a_token_is_as_private_as_the_kubelet_makes_it(
    #[case] of_pod: Value,
    #[case] of_second: Value,
    #[case] lines: &[&str],
) {
    let pod = small(&json!({
        "securityContext": of_pod,
        "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i", "securityContext": of_second}],
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
    }));
    let checkpoint = made(&pod, &fetched().granted(token("default", ""), "T").assets());
    let found: Vec<_> = listing(&checkpoint.volumes)[1..].iter().map(|line| line.trim().to_owned()).collect();
    assert_eq!(found, lines);
}

#[test]
fn a_token_that_is_refused_is_left_out_and_told() {
    let pod = small(&json!({
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
    }));
    let checkpoint = made(&pod, &fetched().no_token(token("default", "")).assets());
    assert_eq!(listing(&checkpoint.volumes), ["checkpoint-volumes/v"]);
    let degraded = checkpoint.manifest["metadata"]["annotations"]["checkpointer.alpha.coreos.com/degraded"].as_str();
    assert!(degraded.unwrap().contains("resourceNames [default]"), "{degraded:?}");
}

#[test]
fn a_token_that_is_refused_for_another_reason_asks_for_no_role() {
    let pod = small(&json!({
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
    }));
    let mut assets = Assets::default();
    assets.tokens.insert(token("default", ""), FetchedToken::Refused("there is no Node".to_owned()));
    let checkpoint = made(&pod, &assets);
    let degraded = checkpoint.manifest["metadata"]["annotations"]["checkpointer.alpha.coreos.com/degraded"].as_str();
    let sentence = "volume v at token lacks the token of ServiceAccount ns/default: there is no Node";
    assert_eq!(degraded, Some(json!([sentence]).to_string().as_str()));
}

#[test]
fn volumes_of_one_secret_share_a_directory_if_modes_allow() {
    let volume = |name: &str, mode: u32| json!({"name": name, "secret": {"secretName": "s", "defaultMode": mode}});
    let pod = small(&json!({"volumes": [volume("a", 0o400), volume("b", 0o644), volume("c", 0o400)]}));
    let checkpoint = made(&pod, &fetched().found(secret("s"), &[("k", "v")]).assets());
    let lines = ["checkpoint-secrets/s", "  0400 k = \"v\"", "checkpoint-volumes/b", "  0644 k = \"v\""];
    assert_eq!(listing(&checkpoint.volumes), lines);
    let path = |i: usize| checkpoint.manifest["spec"]["volumes"][i]["hostPath"]["path"].as_str().unwrap();
    assert_eq!(path(0), path(2));
    assert_eq!(path(1), "/etc/kubernetes/checkpoint-volumes/ns/p/b");
}

#[test]
fn paths_are_cleaned_and_optional_keys_left_out() {
    let items = json!([
        {"key": "a", "path": "./x//y", "mode": 0o600},
        {"key": "b", "path": "b"},
    ]);
    let volume = json!({"name": "v", "configMap": {"name": "m", "optional": true, "items": items}});
    let checkpoint =
        made(&small(&json!({"volumes": [volume]})), &fetched().found(config_map("m"), &[("a", "1")]).assets());
    assert_eq!(listing(&checkpoint.volumes), ["checkpoint-volumes/v", "  0600 x/y = \"1\""]);
}

#[test]
fn projected_volumes_of_fields_that_stay_the_twins_own_stay() {
    let source = |path: &str| json!({"downwardAPI": {"items": [{"path": "f", "fieldRef": {"fieldPath": path}}]}});
    let volume = |path: &str| json!({"name": "v", "projected": {"sources": [source(path)]}});
    let spec =
        |path: &str| made(&small(&json!({"volumes": [volume(path)]})), &Assets::default()).manifest["spec"].clone();
    assert_eq!(spec("metadata.namespace")["volumes"], json!([volume("metadata.namespace")]));
    assert!(spec("metadata.name")["volumes"][0]["hostPath"].is_object());
}

#[test]
fn the_twin_learns_where_it_comes_from() {
    let volume = json!({"name": "v", "downwardAPI": {"items": [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "source", "fieldRef": {"fieldPath": "metadata.annotations['kubernetes.io/config.source']"}},
    ]}});
    let checkpoint = made(&small(&json!({"volumes": [volume]})), &Assets::default());
    assert_eq!(listing(&checkpoint.volumes)[2], "  0644 source = \"file\"");
}

#[rstest]
#[case::the_name("web-1", json!({}), json!("web-1"))]
#[case::its_own("web-1", json!({"hostname": "h"}), json!("h"))]
#[case::cut("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b-c",
    json!({}), json!("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b"))]
#[case::on_the_hosts_network("web-1", json!({"hostNetwork": true}), Value::Null)]
#[case::with_dots("web.1", json!({}), Value::Null)]
fn the_host_name_is_the_parents(#[case] name: &str, #[case] spec: Value, #[case] hostname: Value) {
    let mut pod = small(&spec);
    pod["metadata"]["name"] = json!(name);
    assert_eq!(made(&pod, &Assets::default()).manifest["spec"]["hostname"], hostname);
}

#[test]
fn pod_level_resources_ask_for_nothing_either() {
    let pod = small(&json!({"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}}));
    let resources = json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "0", "memory": "0"}});
    assert_eq!(made(&pod, &Assets::default()).manifest["spec"]["resources"], resources);
}

#[test]
fn a_refresh_gives_the_directories_of_the_capture() {
    let parent = parent(&pod(WEB));
    let captured = sanitize(&parent, &facts(), &all_assets()).unwrap();
    let refreshed = refresh(&parent, &all_assets());
    // The one whose token was denied stays as it is: another answer may have filled it before.
    let expected: Vec<&AssetVolume> = captured.volumes.iter().filter(|v| v.name != "everything").collect();
    assert_eq!(refreshed.volumes.iter().collect::<Vec<_>>(), expected);
    assert_eq!(refreshed.reasons.len(), 1);
    assert!(refreshed.kept.is_empty());
}

#[test]
fn a_refresh_keeps_the_copy_of_what_was_deleted() {
    let parent = parent(&small(&json!({"volumes": [
        {"name": "a", "secret": {"secretName": "s"}},
        {"name": "b", "secret": {"secretName": "s", "optional": true}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "m"}}]}},
        {"name": "d", "configMap": {"name": "m"}},
    ]})));
    let refreshed = refresh(&parent, &fetched().missing(secret("s")).found(config_map("m"), &[]).assets());
    let names: Vec<_> = refreshed.volumes.iter().map(|v| (v.tree, v.name.as_str())).collect();
    assert_eq!(names, [(Tree::ConfigMaps, "m")]);
    assert_eq!(refreshed.kept, [secret("s")].into());
    assert!(refreshed.reasons[0].contains("does not exist"), "{:?}", refreshed.reasons);
}

#[rstest]
#[case(json!({"serviceAccountName": "a"}), "spec.serviceAccountName")]
#[case(json!({"imagePullSecrets": [{"name": "a"}]}), "spec.imagePullSecrets")]
#[case(json!({"resourceClaims": [{"name": "a"}]}), "spec.resourceClaims")]
#[case(json!({"volumes": [{"name": "v", "configMap": {"name": "a"}}]}), "configMap of volume v")]
#[case(json!({"volumes": [{"name": "v", "secret": {"secretName": "a", "optional": true}}]}), "secret of volume v")]
#[case(json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}]}), "persistentVolumeClaim")]
#[case(json!({"volumes": [{"name": "v", "rbd": {"secretRef": {"name": "a"}}}]}), "rbd of volume v")]
#[case(json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
    "projected serviceAccountToken of volume v")]
#[case(json!({"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "a"}}]}]}), "envFrom of container i")]
#[case(json!({"containers": [{"name": "c", "env": [
    {"name": "E", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "k"}}}]}]}), "of container c")]
fn the_kubelets_rule_finds(#[case] spec: Value, #[case] what: &str) {
    let found = has_api_object_reference(&json!({"spec": spec}));
    assert!(found.as_ref().is_some_and(|found| found.contains(what)), "{found:?}");
}

#[test]
fn the_kubelets_rule_lets_pass_what_needs_no_api_server() {
    let volumes = json!([
        {"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "emptyDir": {}}, {"name": "c", "nfs": {}},
        {"name": "d", "projected": {"sources": [{"downwardAPI": {}}]}}, {"name": "e"},
    ]);
    assert_eq!(has_api_object_reference(&json!({"spec": {"volumes": volumes, "containers": []}})), None);
}
