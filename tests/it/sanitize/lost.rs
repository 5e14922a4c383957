//! What a pod gets besides its spec: from annotations, and from the Services of its namespace.

use std::collections::BTreeMap;

use pod_checkpointer::pod::asset_refs::Assets;
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::sanitize::{NodeFacts, sanitize};
use serde_json::{Value, json};

use super::pods::{config_map, facts, fetched, parent, small, small_container};

const DEGRADED: &str = "checkpointer.alpha.coreos.com/degraded";

fn annotated(annotations: &[&str], spec: &Value) -> Value {
    let mut pod = small(spec);
    for key in annotations {
        pod["metadata"]["annotations"][*key] = json!("value");
    }
    pod
}

/// The annotations of others that its checkpoint has, and what it says that it lacks.
fn made(pod: &Value, facts: &NodeFacts) -> (Vec<String>, Vec<String>) {
    let manifest = sanitize(&parent(pod), facts, &Assets::default()).unwrap().manifest;
    let annotations = manifest["metadata"]["annotations"].as_object().unwrap();
    let others = annotations.keys().filter(|key| !key.starts_with("checkpointer.alpha.coreos.com/")).cloned();
    let degraded = annotations.get(DEGRADED).map_or("[]", |text| text.as_str().unwrap());
    (others.collect(), serde_json::from_str(degraded).unwrap())
}

const WORKS: [&str; 4] = [
    "container.apparmor.security.beta.kubernetes.io/c",
    "devices.nri.io/container.c",
    "io.kubernetes.cri-o.Devices",
    "kubernetes.io/egress-bandwidth",
];
const ASKS: [&str; 3] = ["cni.projectcalico.org/ipAddrs", "ipam.cilium.io/ip-pool", "k8s.v1.cni.cncf.io/networks"];
const DOES_NOTHING: [&str; 3] = ["cni.projectcalico.org/podIP", "kubernetes.io/limit-ranger", "prometheus.io/scrape"];

#[test]
fn annotations_that_work_without_an_api_server_are_kept() {
    let pod = annotated(&[&WORKS[..], &DOES_NOTHING].concat(), &json!({"hostname": "h"}));
    assert_eq!(made(&pod, &facts()), (WORKS.map(str::to_owned).into(), Vec::new()));
}

#[test]
fn others_that_do_something_are_lacking_unless_asked_for() {
    let (kept, lacks) = made(&annotated(&ASKS, &json!({"hostname": "h"})), &facts());
    assert_eq!((kept.len(), lacks.len()), (0, 3), "{lacks:?}");
    assert!(lacks[2].contains("k8s.v1.cni.cncf.io/networks is left out (further network interfaces, by Multus)"));
    assert!(lacks[0].ends_with("--keep-annotation cni.projectcalico.org/ipAddrs"), "{lacks:?}");

    let facts = NodeFacts { keep_annotations: ["k8s.v1.cni.cncf.io/", "cni."].map(str::to_owned).into(), ..facts() };
    let (kept, lacks) = made(&annotated(&ASKS, &json!({"hostname": "h"})), &facts);
    assert_eq!((kept, lacks.len()), (vec![ASKS[0].to_owned(), ASKS[2].to_owned()], 1));
}

#[test]
fn in_the_hosts_network_no_network_plugin_is_missed() {
    assert_eq!(made(&annotated(&ASKS, &json!({"hostNetwork": true})), &facts()), (Vec::new(), Vec::new()));
}

#[test]
fn a_new_effect_is_a_new_checkpoint() {
    let digest = |annotations: &[&str]| -> String {
        let Parent { digest, .. } = parent(&annotated(annotations, &json!({})));
        digest
    };
    assert_ne!(digest(&[]), digest(&WORKS[..1]));
    assert_ne!(digest(&[]), digest(&ASKS[..1]));
    assert_eq!(digest(&[]), digest(&DOES_NOTHING));
}

fn service_links(container: &Value, seen: Option<&[(&str, &str)]>) -> (Value, Vec<String>) {
    let mut pod = small_container(container);
    pod["spec"]["hostname"] = json!("h");
    let seen = seen.map(|pairs| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    let service_variables = seen.into_iter().map(|variables: BTreeMap<_, _>| ("c".to_owned(), variables)).collect();
    let (api_host, api_port) = Default::default();
    let facts = NodeFacts { api_host, api_port, service_variables, ..facts() };
    let assets = fetched().found(config_map("m"), &[("CACHE_PORT", "1")]).assets();
    let manifest = sanitize(&parent(&pod), &facts, &assets).unwrap().manifest;
    let degraded = manifest["metadata"]["annotations"][DEGRADED].as_str().unwrap_or("[]");
    (manifest["spec"]["containers"][0]["env"].clone(), serde_json::from_str(degraded).unwrap())
}

fn reads_services() -> Value {
    json!({
        "args": ["--web=$(WEB_PORT_80_TCP_ADDR)", "$(date)", "$$(GONE_SERVICE_HOST)"],
        "envFrom": [{"configMapRef": {"name": "m"}}],
        "env": [{"name": "DB", "value": "$(DB_SERVICE_HOST):$(CACHE_PORT)$(NONE_PORT)"}],
    })
}

#[test]
fn variables_of_services_stand_before_what_reads_them() {
    let seen = [("DB_SERVICE_HOST", "10.0.0.7"), ("WEB_PORT_80_TCP_ADDR", "10.0.0.8"), ("OTHER_PORT", "x")];
    let (env, lacks) = service_links(&reads_services(), Some(&seen));
    assert_eq!(
        env,
        json!([
            {"name": "DB_SERVICE_HOST", "value": "10.0.0.7"},
            {"name": "WEB_PORT_80_TCP_ADDR", "value": "10.0.0.8"},
            {"name": "CACHE_PORT", "value": "1"},
            {"name": "DB", "value": "$(DB_SERVICE_HOST):$(CACHE_PORT)$(NONE_PORT)"},
        ])
    );
    assert_eq!(lacks, Vec::<String>::new());
}

#[test]
fn variables_of_services_that_nobody_knows_are_lacking() {
    let (env, lacks) = service_links(&reads_services(), None);
    assert_eq!(env.as_array().unwrap().len(), 2);
    let names = "container c reads $(DB_SERVICE_HOST), $(NONE_PORT), $(WEB_PORT_80_TCP_ADDR), which";
    assert!(lacks[0].starts_with(names) && lacks[0].contains("DNS"), "{lacks:?}");
    assert_eq!(lacks.len(), 1);
}
