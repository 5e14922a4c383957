//! What holds for the checkpoint of any pod.

use super::pods::{APISERVER, BARE, WEB, all_assets, facts, fetched, parent, pod, secret, small_container};
use crate::support::parents::{NAMESPACE, SECRET_VALUE, any_parent, granted, left_in};
use pod_checkpointer::pod::asset_refs::{Assets, Fetched, wanted};
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::sanitize::{has_api_object_reference, sanitize};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const ANNOTATION: &str = "checkpointer.alpha.coreos.com/checkpoint";

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
    pod["metadata"]["ownerReferences"] = json!([{"kind": "DaemonSet", "name": "d", "controller": true}]);
    pod["metadata"]["annotations"] = json!({ANNOTATION: "true"});
    pod["spec"]["nodeName"] = json!("n");
    parent(&pod)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_is_one_that_the_kubelet_takes(pod in any_parent()) {
        let made = sanitize(&parent(&pod), &facts(), &granted(&pod)).unwrap();
        prop_assert_eq!(has_api_object_reference(&made.manifest), None);
        let text = made.manifest.to_string();
        prop_assert!(!text.contains(SECRET_VALUE), "{}", text);

        let listed = made.manifest["metadata"]["annotations"]["checkpointer.alpha.coreos.com/assets"].as_str().unwrap();
        let listed: Vec<String> = serde_json::from_str(listed).unwrap();
        let volumes = made.manifest["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        let paths = volumes.iter().filter_map(|v| v["hostPath"]["path"].as_str());
        for relative in paths.filter_map(|path| path.strip_prefix("/etc/kubernetes/")) {
            prop_assert!(listed.iter().any(|l| l == relative), "{} is not listed", relative);
        }
        let written: std::collections::BTreeSet<_> =
            made.volumes.iter().map(|v| format!("{}/{NAMESPACE}/web-6d4cf56db6-9kq2z/{}", v.tree.dir(), v.name)).collect();
        prop_assert_eq!(listed, written.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_no_static_pod_can_have_is_refused_or_replaced(pod in any_parent(), thing in select(left_in())) {
        let mut with = pod;
        thing.put_into(&mut with);
        match sanitize(&parent(&with), &facts(), &granted(&with)) {
            Ok(made) => {
                prop_assert!(!thing.refused, "{} is not refused", thing.name);
                prop_assert_eq!(has_api_object_reference(&made.manifest), None);
            }
            Err(refused) => prop_assert!(thing.refused && refused.reasons.len() == 1, "{}: {}", thing.name, refused),
        }
    }

    #[test]
    fn the_same_pod_gives_the_same_bytes(pod in any_parent()) {
        let once = || sanitize(&parent(&pod), &facts(), &granted(&pod)).unwrap();
        prop_assert_eq!(once().manifest.to_string(), once().manifest.to_string());
        prop_assert_eq!(once().volumes, once().volumes);
    }

    #[test]
    fn a_checkpoint_needs_no_further_sanitising(pod in any_parent()) {
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
            let assets = all_assets();
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
