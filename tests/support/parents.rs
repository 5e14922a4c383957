//! Parents of any kind, for what must hold for all of them: the properties of `sanitize`, and what the kubelet makes of
//! ten thousand checkpoints (`examples/kubelet_cases.rs`). `parents/*.yaml` has the parts.

use pod_checkpointer::pod::asset_refs::{Assets, Fetched, FetchedToken, ObjectKind, ObjectRef, wanted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// Namespace of all of them.
pub const NAMESPACE: &str = "shop";
/// Stands in every Secret and token, and may stand in no manifest.
pub const SECRET_VALUE: &str = "SECRET-VALUE";

const PARTS: &str = include_str!("parents/parts.yaml");
const LEFT_IN: &str = include_str!("parents/left_in.yaml");

/// A pod that an API server has taken, and of which there can be a checkpoint.
pub fn any_parent() -> impl Strategy<Value = Value> {
    let parts: Value = serde_yaml::from_str(PARTS).expect("parts.yaml is YAML");
    let main = (1..=3usize).prop_flat_map({
        let ways = laid_over(&parts["container"]);
        move |count| proptest::collection::vec(ways.clone(), count)
    });
    let mounts = any::<[bool; 2]>();
    (
        laid_over(&parts["spec"]),
        main,
        select(list(&parts["ports"])),
        [some(&parts["env"]), some(&parts["envFrom"]), some(&parts["volumes"]), some(&parts["initContainers"])],
        some(&parts["annotations"]),
        mounts,
    )
        .prop_map(|(spec, containers, ports, [env, env_from, volumes, init], annotations, [sub_path, twice])| {
            let mut pod = parent(&spec, &annotations);
            let mut containers: Vec<_> = containers.iter().enumerate().map(|(at, way)| container(at, way)).collect();
            lay_over(&mut containers[0], &ports);
            containers[0]["env"] = json!(env);
            containers[0]["envFrom"] = json!(env_from);
            let mounting = if twice { containers.len() } else { 1 };
            for container in &mut containers[..mounting] {
                container["volumeMounts"] = volumes.iter().map(|volume| mount(volume, sub_path)).collect();
            }
            pod["spec"]["containers"] = json!(containers);
            pod["spec"]["initContainers"] = json!(init);
            pod["spec"]["volumes"] = json!(volumes);
            pod
        })
}

/// One way of each dimension, laid over each other.
fn laid_over(dimensions: &Value) -> BoxedStrategy<Value> {
    let ways: Vec<_> = list(dimensions).iter().map(|dimension| select(list(dimension))).collect();
    ways.prop_map(|chosen| {
        let mut all = json!({});
        chosen.iter().for_each(|way| lay_over(&mut all, way));
        all
    })
    .boxed()
}

fn some(parts: &Value) -> BoxedStrategy<Vec<Value>> {
    let parts = list(parts);
    let most = parts.len();
    subsequence(parts, 0..=most).boxed()
}

fn parent(spec: &Value, annotations: &[Value]) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-6d4cf56db6-9kq2z",
            "namespace": NAMESPACE,
            "uid": "0d5c1f3a-7f2f-4f0e-9a55-1f3e9a7c0002",
            "labels": {"app": "web", "pod-template-hash": "6d4cf56db6"},
            "annotations": {"checkpointer.alpha.coreos.com/checkpoint": "true"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6", "uid": "r-1", "controller": true},
            ],
        },
        // As the API server fills it in.
        "spec": {"nodeName": "edge-1", "restartPolicy": "Always", "serviceAccountName": "default"},
    });
    lay_over(&mut pod["spec"], spec);
    annotations.iter().for_each(|annotation| lay_over(&mut pod["metadata"]["annotations"], annotation));
    pod
}

fn container(at: usize, way: &Value) -> Value {
    let mut container = json!({"name": format!("c{at}"), "image": "registry.example/web:1"});
    lay_over(&mut container, way);
    container
}

/// Of a ConfigMap, where asked for, one file alone.
fn mount(volume: &Value, sub_path: bool) -> Value {
    let mut mount =
        json!({"name": volume["name"], "mountPath": format!("/m/{}", volume["name"].as_str().unwrap_or_default())});
    if sub_path && volume["configMap"]["name"] == "settings" {
        mount["subPath"] = json!("greeting");
    }
    mount
}

/// Everything that such a pod reads.
pub fn granted(pod: &Value) -> Assets {
    let wanted = wanted(pod);
    let mut assets = Assets::default();
    for object in wanted.objects {
        let fetched = held(&object).map_or(Fetched::Missing, |data| {
            Fetched::Found(data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect())
        });
        assets.objects.insert(object, fetched);
    }
    for token in wanted.tokens {
        assets.tokens.insert(token, FetchedToken::Granted { token: SECRET_VALUE.to_owned(), expires_at: 9 });
    }
    assets
}

fn held(object: &ObjectRef) -> Option<&'static [(&'static str, &'static str)]> {
    match (object.kind, object.name.as_str()) {
        (ObjectKind::Secret, "tls") => Some(&[("tls.crt", SECRET_VALUE), ("tls.key", SECRET_VALUE)]),
        (ObjectKind::ConfigMap, "settings") => {
            Some(&[("greeting", "hello $(USER) for $5\n"), ("page.size", "10"), ("10-late.conf", "x")])
        }
        (ObjectKind::ConfigMap, "kube-root-ca.crt") => Some(&[("ca.crt", "ROOT")]),
        _ => None,
    }
}

/// One thing that a static pod cannot have.
#[derive(Debug, Clone)]
pub struct LeftIn {
    pub name: String,
    /// We refuse the pod for it; else something else is written in its place.
    pub refused: bool,
    /// As `left_in.yaml` has it.
    pub what: Value,
}

/// All of `left_in.yaml`.
pub fn left_in() -> Vec<LeftIn> {
    let all: Value = serde_yaml::from_str(LEFT_IN).expect("left_in.yaml is YAML");
    let one = |what: &Value| LeftIn {
        name: what["name"].as_str().expect("a name").to_owned(),
        refused: what["for_us"] != "converted",
        what: what.clone(),
    };
    list(&all).iter().map(one).collect()
}

impl LeftIn {
    /// Puts it into a pod or into a manifest.
    pub fn put_into(&self, pod: &mut Value) {
        let empty = json!({});
        let of = |field: &str| self.what.get(field).unwrap_or(&empty);
        lay_over(&mut pod["spec"], of("lay"));
        for (field, item) in of("add").as_object().into_iter().flatten() {
            push(&mut pod["spec"], field, item);
        }
        lay_over(&mut pod["spec"]["containers"][0], of("container"));
        for field in ["env", "envFrom"] {
            if let Some(item) = self.what.get(field) {
                push(&mut pod["spec"]["containers"][0], field, item);
            }
        }
        if self.what["long_name"] == true {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            pod["metadata"]["name"] = json!(format!("{name:x<250}"));
        }
    }
}

fn push(object: &mut Value, field: &str, item: &Value) {
    match object[field].as_array_mut() {
        Some(list) => list.push(item.clone()),
        None => object[field] = json!([item]),
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn lay_over(base: &mut Value, over: &Value) {
    let empty = Map::new();
    for (key, value) in over.as_object().unwrap_or(&empty) {
        base[key] = value.clone();
    }
}
