//! What holds for the checkpoint of any pod.

use super::pods::{APISERVER, BARE, WEB, all_assets, facts, fetched, parent, pod, secret, small_container};
use pod_checkpointer::pod::asset_refs::{Assets, Fetched, FetchedToken, wanted};
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::sanitize::{has_api_object_reference, sanitize};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Value, json};

const ANNOTATION: &str = "checkpointer.alpha.coreos.com/checkpoint";

/// A pod of any of the parts that the files have.
fn any_pod() -> impl Strategy<Value = Value> {
    let web = pod(WEB);
    let part = |path: &str| web.pointer(path).and_then(Value::as_array).unwrap().clone();
    let some = |parts: Vec<Value>| {
        let most = parts.len();
        subsequence(parts, 0..=most)
    };
    let environment = some(part("/spec/containers/0/env"));
    let volumes = some(part("/spec/volumes"));
    let from = some(part("/spec/initContainers/0/envFrom"));
    let ids = proptest::option::of(0u32..5000);
    (environment, volumes, from, any::<bool>(), ids, any::<bool>()).prop_map(
        move |(environment, volumes, from, host_network, group, sidecar)| {
            let mut pod = web.clone();
            let mounts: Vec<_> =
                volumes.iter().map(|v| json!({"name": v["name"], "mountPath": format!("/m/{}", v["name"])})).collect();
            pod["spec"]["volumes"] = json!(volumes);
            pod["spec"]["containers"][0]["env"] = json!(environment);
            pod["spec"]["containers"][0]["envFrom"] = json!(from);
            pod["spec"]["containers"][0]["volumeMounts"] = json!(mounts);
            pod["spec"]["hostNetwork"] = json!(host_network);
            pod["spec"]["securityContext"]["fsGroup"] = json!(group);
            if !sidecar {
                pod["spec"]["initContainers"] = Value::Null;
            }
            pod
        },
    )
}

/// Everything that the pod wants, there.
fn granted(pod: &Value) -> Assets {
    let wanted = wanted(pod);
    let mut assets = all_assets();
    assets.objects.retain(|object, _| wanted.objects.contains(object));
    assets.tokens = wanted
        .tokens
        .into_iter()
        .map(|token| (token, FetchedToken::Granted { token: "SECRET-VALUE-4".to_owned(), expires_at: 9 }))
        .collect();
    assets
}

/// Pointers to every object of the spec that has fields of Kubernetes' own, and that is looked into.
fn objects(value: &Value, at: &str, into: &mut Vec<String>) {
    const NOT_LOOKED_INTO: [&str; 8] = [
        "affinity",
        "tolerations",
        "nodeSelector",
        "imagePullSecrets",
        "topologySpreadConstraints",
        "readinessGates",
        "limits",
        "requests",
    ];
    match value {
        Value::Object(map) => {
            into.push(at.to_owned());
            for (key, inner) in map.iter().filter(|(key, _)| !NOT_LOOKED_INTO.contains(&key.as_str())) {
                objects(inner, &format!("{at}/{key}"), into);
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, inner)| objects(inner, &format!("{at}/{i}"), into));
        }
        _ => {}
    }
}

/// The checkpoint as if it were a parent itself.
fn as_parent(manifest: &Value) -> Parent {
    let mut pod = manifest.clone();
    pod["metadata"]["uid"] = json!("again");
    pod["metadata"]["annotations"] = json!({ANNOTATION: "true"});
    pod["spec"]["nodeName"] = json!("n");
    parent(&pod)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_is_one_that_the_kubelet_takes(pod in any_pod()) {
        let made = sanitize(&parent(&pod), &facts(), &granted(&pod)).unwrap();
        prop_assert_eq!(has_api_object_reference(&made.manifest), None);
        let text = made.manifest.to_string();
        prop_assert!(!text.contains("SECRET-VALUE"), "{}", text);

        let listed = made.manifest["metadata"]["annotations"]["checkpointer.alpha.coreos.com/assets"].as_str().unwrap();
        let listed: Vec<String> = serde_json::from_str(listed).unwrap();
        let volumes = made.manifest["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        for path in volumes.iter().filter_map(|v| v["hostPath"]["path"].as_str()) {
            let relative = path.strip_prefix("/etc/kubernetes/").unwrap();
            prop_assert!(listed.iter().any(|l| l == relative), "{} is not listed", path);
        }
        let written: std::collections::BTreeSet<_> =
            made.volumes.iter().map(|v| format!("{}/shop/web-6d4cf56db6-9kq2z/{}", v.tree.dir(), v.name)).collect();
        prop_assert_eq!(listed, written.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_same_pod_gives_the_same_bytes(pod in any_pod()) {
        let once = || sanitize(&parent(&pod), &facts(), &granted(&pod)).unwrap();
        prop_assert_eq!(once().manifest.to_string(), once().manifest.to_string());
        prop_assert_eq!(once().volumes, once().volumes);
    }

    #[test]
    fn a_checkpoint_needs_no_further_sanitising(pod in any_pod()) {
        let made = sanitize(&parent(&pod), &facts(), &granted(&pod)).unwrap();
        let again = as_parent(&made.manifest);
        prop_assert_eq!(wanted(&again.object), wanted(&json!({})));
        let again = sanitize(&again, &facts(), &Assets::default()).unwrap();
        prop_assert_eq!(&again.manifest["spec"], &made.manifest["spec"]);
        prop_assert!(again.volumes.is_empty());
    }

    #[test]
    fn a_field_of_tomorrow_is_refused_wherever_it_stands(file in select(vec![APISERVER, WEB, BARE]), at in any::<Index>()) {
        let mut pod = pod(file);
        let mut places = Vec::new();
        objects(&pod["spec"], "/spec", &mut places);
        let place = at.get(&places);
        pod.pointer_mut(place).unwrap()["fieldOfTomorrow"] = json!({"a": [1]});
        let reasons = sanitize(&parent(&pod), &facts(), &all_assets()).expect_err(place).reasons;
        prop_assert!(reasons.iter().any(|r| r.contains("fieldOfTomorrow")), "{}: {:?}", place, reasons);
    }

    #[test]
    fn nonsense_anywhere_is_no_reason_to_panic(
        file in select(vec![APISERVER, WEB, BARE]),
        at in any::<Index>(),
        nonsense in select(vec![json!(null), json!(-1), json!("$("), json!([1, {}]), json!({"name": 1}), json!([[]])]),
    ) {
        let mut pod = pod(file);
        let mut places = Vec::new();
        every_place(&pod, "", &mut places);
        let place = at.get(&places);
        *pod.pointer_mut(place).unwrap() = nonsense;
        if let Ok(Some(parent)) = Parent::from_api(&pod, "edge-1") {
            let assets = granted(&pod);
            if let Ok(made) = sanitize(&parent, &facts(), &assets) {
                prop_assert_eq!(has_api_object_reference(&made.manifest), None);
            }
            pod_checkpointer::pod::sanitize::volume::refresh(&parent, &assets);
        }
    }

    #[test]
    fn an_inlined_value_survives_the_kubelets_expansion(value in "[$()aé]{0,12}") {
        let mut pod = small_container(&json!({
            "env": [{"name": "V", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        }));
        pod["metadata"]["annotations"]["checkpointer.alpha.coreos.com/inline-secret-env"] = json!("true");
        let assets = fetched().found(secret("s"), &[("k", &value)]).assets();
        let made = sanitize(&parent(&pod), &facts(), &assets).unwrap();
        let env = made.manifest["spec"]["containers"][0]["env"].as_array().unwrap();
        prop_assert_eq!(expanded(env.last().unwrap()["value"].as_str().unwrap()), value);
    }
}

fn every_place(value: &Value, at: &str, into: &mut Vec<String>) {
    let mut inner = |key: String, value: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        into.push(at.clone());
        every_place(value, &at, into);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key.clone(), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| inner(index.to_string(), value)),
        _ => {}
    }
}

/// The rules of expansion in the API's documentation of `EnvVar.value`, where no variable is set: `$$` is `$`, a
/// reference to a variable that is not there stays as it is, and so does everything else.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let step = if rest.starts_with("$$") {
            out.push('$');
            2
        } else if let Some(end) = rest.strip_prefix("$(").and_then(|r| r.find(')')) {
            out.push_str("<reference>");
            end + 3
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[step..];
    }
    out
}

#[test]
fn wanted_is_all_that_a_checkpoint_asks_for() {
    for file in [APISERVER, WEB, BARE] {
        let pod = pod(file);
        let mut assets = Assets::default();
        for object in wanted(&pod).objects {
            assets.objects.insert(object, Fetched::Missing);
        }
        let reasons = sanitize(&parent(&pod), &facts(), &assets).expect_err("everything is missing").reasons;
        assert!(!reasons.iter().any(|r| r.contains("not fetched")), "{reasons:?}");
    }
}
