//! The digest that says whether a parent's checkpoint must be made anew: everything a checkpoint is made of, nothing
//! that changes without changing it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::hex::Hex;
use crate::pod::annotation::{self, kept_annotation, lost_effect};
use crate::pod::schema::{POD_SPEC, keep};

/// SHA-256, in hexadecimal, of what `pod` gives to its checkpoint. `keep_annotations`: prefixes, see
/// [`crate::pod::sanitize::NodeFacts::keep_annotations`].
pub(super) fn of(pod: &Value, lineage: &str, keep_annotations: &[String]) -> String {
    let empty = Map::new();
    let spec = pod.get("spec").and_then(Value::as_object).unwrap_or(&empty);
    let fields = field_paths(&pod["spec"]);
    let annotations = chosen(&pod["metadata"]["annotations"], |key| {
        key == annotation::MAX_OFFLINE
            || key == annotation::INLINE_SECRET_ENV
            || kept_annotation(key, keep_annotations)
            || lost_effect(key, keep_annotations).is_some()
            || reads(&fields, "metadata.annotations", key)
    });
    let labels = chosen(&pod["metadata"]["labels"], |key| reads(&fields, "metadata.labels", key));
    let essence = json!({
        "format": annotation::FORMAT_VERSION,
        "name": pod["metadata"]["name"],
        "namespace": pod["metadata"]["namespace"],
        "uid": pod["metadata"]["uid"],
        "lineage": lineage,
        "annotations": annotations,
        "labels": labels,
        "spec": keep(spec, &POD_SPEC, "spec", &mut Vec::new()),
    });
    Hex(&Sha256::digest(canonical(&essence).as_bytes())).to_string()
}

/// The same text for the same value, in whatever order its keys came.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let each = entries.into_iter().map(|(key, v)| format!("{}:{}", Value::from(key.as_str()), canonical(v)));
            format!("{{{}}}", each.collect::<Vec<_>>().join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

/// Every `fieldPath` anywhere in the spec.
fn field_paths(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, v)| match v.as_str() {
                Some(path) if key == "fieldPath" => BTreeSet::from([path]),
                _ => field_paths(v),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(field_paths).collect(),
        _ => BTreeSet::new(),
    }
}

fn reads(fields: &BTreeSet<&str>, map: &str, key: &str) -> bool {
    fields.contains(map) || fields.contains(format!("{map}['{key}']").as_str())
}

fn chosen(map: &Value, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter(|(key, _)| wanted(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}
