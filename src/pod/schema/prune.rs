//! What an API server does with fields that it does not know: it leaves them out before it stores an object.

use serde_json::Value;

use super::{Fields, POD_SPEC, Shape, shape_of};

/// Takes every field out of a pod's spec that is not one of Kubernetes, of the version that this program knows; their paths.
/// What has a known name and another form than it should stays, for an API server refuses that.
pub(crate) fn prune(spec: &mut Value) -> Vec<String> {
    let mut pruned = Vec::new();
    fields(spec, &POD_SPEC, "spec", &mut pruned);
    pruned
}

fn fields(value: &mut Value, known: &Fields, path: &str, pruned: &mut Vec<String>) {
    let Some(object) = value.as_object_mut() else { return };
    object.retain(|name, _| {
        let keeps = known.dropped.contains(&name.as_str()) || shape_of(known, name).is_some();
        if !keeps {
            pruned.push(format!("{path}.{name}"));
        }
        keeps
    });
    for (name, inner) in object {
        let at = format!("{path}.{name}");
        match (shape_of(known, name), inner) {
            (Some(Shape::One(known)), inner) => fields(inner, known, &at, pruned),
            (Some(Shape::Each(known)), Value::Array(list)) => {
                list.iter_mut().enumerate().for_each(|(i, item)| fields(item, known, &format!("{at}[{i}]"), pruned));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_names_go_wherever_they_stand_and_wrong_forms_stay() {
        let known = json!({
            "nodeSelector": {"any": "name"},
            "containers": [{"name": "c", "env": [{"name": "E"}], "resources": {"limits": {"acme.example/x": 1}}}],
            "hostPID": [true],
            "volumes": "none",
        });
        let mut spec = known.clone();
        spec["tomorrow"] = json!({});
        spec["containers"][0]["imagePullpolicy"] = json!("Always");
        spec["containers"][0]["env"][0]["valeu"] = json!(1);
        assert_eq!(
            prune(&mut spec),
            ["spec.tomorrow", "spec.containers[0].imagePullpolicy", "spec.containers[0].env[0].valeu"]
        );
        assert_eq!(spec, known);
    }
}
