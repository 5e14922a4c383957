//! What is laid over the shipped DaemonSet where a node asks for it.

use serde_json::{Value, json};

use super::{agent, names, objects, root, text};

const OTHER_OWNER: &str = "manifests/overlays/other-owner";

fn patch() -> Value {
    objects(&root().join(OTHER_OWNER).join("patch.yaml")).remove(0)
}

fn capabilities(daemon_set: &Value) -> Value {
    daemon_set["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"].clone()
}

/// Kubernetes replaces such a list as a whole, so it must have all of the other's.
#[test]
fn another_owner_takes_one_capability_for_another() {
    let shipped = capabilities(&agent());
    let expected: Vec<&str> = names(&shipped, "add")
        .into_iter()
        .map(|name| if name == "DAC_READ_SEARCH" { "DAC_OVERRIDE" } else { name })
        .collect();
    assert_ne!(expected, names(&shipped, "add"));
    assert_eq!(capabilities(&patch()), json!({"add": expected}));
}

#[test]
fn the_patch_changes_nothing_else() {
    let (patch, agent) = (patch(), agent());
    for field in ["apiVersion", "kind"] {
        assert_eq!(patch[field], agent[field]);
    }
    for field in ["name", "namespace"] {
        assert_eq!(patch["metadata"][field], agent["metadata"][field]);
    }
    let name = &agent["spec"]["template"]["spec"]["containers"][0]["name"];
    let container = json!({"name": name, "securityContext": {"capabilities": capabilities(&patch)}});
    assert_eq!(patch["spec"], json!({"template": {"spec": {"containers": [container]}}}));
}

#[test]
fn a_kustomization_takes_the_patch_as_a_component() {
    let component = &objects(&root().join(OTHER_OWNER).join("kustomization.yaml"))[0];
    assert_eq!(component["kind"], "Component");
    assert_eq!(component["patches"], json!([{"path": "patch.yaml"}]));
}

#[test]
fn doctor_and_the_operators_page_name_the_patch() {
    for place in ["src/cli/doctor/directories.rs", "docs/operations.md"] {
        assert!(text(&root().join(place)).contains("manifests/overlays/other-owner/patch.yaml"), "{place}");
    }
}
