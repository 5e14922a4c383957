//! What is installed for retention.

use serde::Deserialize;
use serde_json::{Value, json};

#[test]
fn retention_writes_nothing_but_status_and_events() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rbac/serve/container-checkpoints-retention.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let objects: Vec<Value> =
        serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).unwrap()).collect();
    let rules = objects[0]["rules"].as_array().unwrap();
    assert!(!objects[0].to_string().contains('*'));
    for rule in rules {
        let allowed = match rule["resources"][0].as_str().unwrap() {
            "checkpointrestoreoperators" => json!(["get", "list", "watch"]),
            "checkpointrestoreoperators/status" => json!(["patch"]),
            "pods" => json!(["get"]),
            "events" => json!(["create"]),
            other => panic!("{other} is nothing to retention"),
        };
        assert_eq!(rule["verbs"], allowed);
    }
    assert_eq!(objects[1]["roleRef"]["name"], objects[0]["metadata"]["name"]);
}
