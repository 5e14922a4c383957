//! Paths and types of the interface as data, and from them the documents of both OpenAPI versions, which differ in where
//! they put things.

use serde_json::{Map, Value, json};

use crate::checkpoint_api::{ARCHIVES, BASE_URL, CHECKPOINT, CHECKPOINTS, GROUP, IMAGE, VERSION};

const TYPES: &str = "com.coreos.alpha.checkpointer.v1alpha1";

/// What one path takes and gives.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    description: &'static str,
    /// As the API server's own documents name it (`x-kubernetes-action`).
    action: &'static str,
    kind: &'static str,
    body: Option<&'static str>,
    answers: &'static [(&'static str, &'static str, Option<&'static str>)],
    query: &'static [(&'static str, &'static str, &'static str)],
}

const LATER: (&str, &str, Option<&str>) =
    ("202", "It is still running; ask for it by its identifier.", Some("Accepted"));

const OPERATIONS: [Operation; 4] = [
    Operation {
        path: ARCHIVES,
        method: "post",
        id: "checkpointPod",
        description: "Checkpoint the pod's containers and keep the archives on its node.",
        action: "post",
        kind: "CheckpointRequest",
        body: Some("CheckpointRequest"),
        answers: &[("200", "The archives.", Some("Archives")), LATER],
        query: &[],
    },
    Operation {
        path: IMAGE,
        method: "post",
        id: "checkpointContainer",
        description: "Checkpoint one container, make an image of it and push it.",
        action: "connect",
        kind: "CheckpointRequest",
        body: Some("ImageRequest"),
        answers: &[("201", "The image.", Some("Checkpoint")), LATER],
        query: &[],
    },
    Operation {
        path: CHECKPOINT,
        method: "get",
        id: "readCheckpoint",
        description: "A checkpoint by its identifier; waits until it is done.",
        action: "get",
        kind: "Checkpoint",
        body: None,
        answers: &[("200", "It is done.", Some("Checkpoint")), LATER],
        query: &[("wait", "integer", "Seconds after which it is answered 202 if it is not done.")],
    },
    Operation {
        path: CHECKPOINTS,
        method: "get",
        id: "findCheckpoint",
        description: "The same where its namespace is not known.",
        action: "get",
        kind: "Checkpoint",
        body: None,
        answers: &[("200", "It is done.", Some("Checkpoint")), LATER],
        query: &[
            ("checkpointIdentifier", "string", "NODE:HEX, as it was answered."),
            ("wait", "integer", "Seconds after which it is answered 202 if it is not done."),
        ],
    },
];

/// Type, description, fields: name, type, format, description.
type Fields = &'static [(&'static str, &'static str, Option<&'static str>, &'static str)];
const SCHEMAS: [(&str, &str, Fields); 5] = [
    (
        "CheckpointRequest",
        "What is to be made of a pod.",
        &[
            ("leaveRunning", "boolean", None, "False: the pod is deleted once everything is safe. Default true."),
            ("encrypt", "boolean", None, "Encrypt the archives; needs encryptionSecret. Default false."),
            ("encryptionSecret", "string", None, "Secret of type kubernetes.io/tls in the pod's namespace."),
            ("container", "string", None, "One container; empty is all of them."),
            (
                "timeout",
                "integer",
                Some("int64"),
                "Seconds that the node may take for one archive; 0 is its own limit.",
            ),
        ],
    ),
    (
        "ImageRequest",
        "What is to be made of a container.",
        &[
            ("deletePod", "boolean", None, "Delete the pod once the image is pushed. Default false."),
            ("async", "boolean", None, "Answer 202 with an identifier at once. Default false."),
        ],
    ),
    ("Archives", "Archives on the pod's node.", &[("items", "array", None, "Their paths.")]),
    ("Accepted", "A checkpoint that is running.", &[("checkpointIdentifier", "string", None, "NODE:HEX.")]),
    (
        "Checkpoint",
        "A checkpoint that was made.",
        &[
            ("containerIdentifier", "object", None, "Namespace, pod and container."),
            ("beginTimestamp", "integer", Some("int64"), "Seconds since the epoch."),
            ("endTimestamp", "integer", Some("int64"), "Seconds since the epoch."),
            ("containerImageName", "string", None, "The image that was pushed."),
        ],
    ),
];

fn kind(name: &str) -> Value {
    json!({"group": GROUP, "version": VERSION, "kind": name})
}

fn schema((name, description, fields): &(&str, &str, Fields)) -> (String, Value) {
    let mut properties = Map::new();
    for (field, of, format, said) in *fields {
        let mut property = json!({"type": of, "description": said});
        match (*of, format) {
            ("array", _) => property["items"] = json!({"type": "string"}),
            ("object", _) => property["additionalProperties"] = json!({"type": "string"}),
            (_, Some(format)) => property["format"] = json!(format),
            _ => {}
        }
        properties.insert((*field).to_owned(), property);
    }
    let mut whole = json!({"type": "object", "description": description, "properties": properties});
    if matches!(*name, "CheckpointRequest" | "Checkpoint") {
        whole["x-kubernetes-group-version-kind"] = json!([kind(name)]);
    }
    (format!("{TYPES}.{name}"), whole)
}

fn schemas() -> Map<String, Value> {
    SCHEMAS.iter().map(schema).collect()
}

/// Parameters within the path, by their names in braces.
fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// All operations by path; `form` writes one in its version's way.
fn paths(form: impl Fn(&Operation) -> Value) -> Map<String, Value> {
    OPERATIONS
        .iter()
        .map(|operation| {
            let mut value = form(operation);
            value["operationId"] = json!(operation.id);
            value["description"] = json!(operation.description);
            value["tags"] = json!([format!("{GROUP}_{VERSION}")]);
            value["x-kubernetes-action"] = json!(operation.action);
            value["x-kubernetes-group-version-kind"] = kind(operation.kind);
            (format!("{BASE_URL}{}", operation.path), json!({operation.method: value}))
        })
        .collect()
}

fn info() -> Value {
    json!({"title": "pod-checkpointer", "version": VERSION})
}

/// The whole as OpenAPI 3.
pub(super) fn v3() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{TYPES}.{name}")});
    let content = |name: &str| json!({"application/json": {"schema": reference(name)}});
    let paths = paths(|operation| {
        let path = in_path(operation.path)
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        let query = operation
            .query
            .iter()
            .map(|(name, of, said)| json!({"name": name, "in": "query", "description": said, "schema": {"type": of}}));
        let mut value = json!({"parameters": path.chain(query).collect::<Vec<_>>(), "responses": {}});
        if let Some(body) = operation.body {
            value["requestBody"] = json!({"content": content(body)});
        }
        for (code, said, of) in operation.answers {
            value["responses"][code] = json!({"description": said});
            if let Some(of) = of {
                value["responses"][code]["content"] = content(of);
            }
        }
        value
    });
    json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas()}})
}

/// The whole as OpenAPI 2.
pub(super) fn v2() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/definitions/{TYPES}.{name}")});
    let paths = paths(|operation| {
        let path =
            in_path(operation.path).map(|name| json!({"name": name, "in": "path", "required": true, "type": "string"}));
        let query = operation
            .query
            .iter()
            .map(|(name, of, said)| json!({"name": name, "in": "query", "description": said, "type": of}));
        let body = operation.body.map(|body| json!({"name": "body", "in": "body", "schema": reference(body)}));
        let parameters: Vec<Value> = path.chain(query).chain(body).collect();
        let json_alone = ["application/json"];
        let mut value =
            json!({"consumes": json_alone, "produces": json_alone, "parameters": parameters, "responses": {}});
        for (code, said, of) in operation.answers {
            value["responses"][code] = json!({"description": said});
            if let Some(of) = of {
                value["responses"][code]["schema"] = reference(of);
            }
        }
        value
    });
    json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": schemas()})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in a document.
    fn references(value: &Value) -> Vec<&str> {
        match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(
                    |(key, value)| if key == "$ref" { value.as_str().into_iter().collect() } else { references(value) },
                )
                .collect(),
            Value::Array(items) => items.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_reference_leads_to_a_type() {
        for document in [v2(), v3()] {
            let all = references(&document);
            assert!(all.len() >= 8, "{all:?}");
            for reference in all {
                let pointer = reference.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        }
    }

    #[test]
    fn every_part_of_a_path_in_braces_is_a_parameter() {
        for (path, methods) in v3()["paths"].as_object().unwrap() {
            let operation = methods.as_object().unwrap().values().next().unwrap();
            for name in in_path(path) {
                let known =
                    operation["parameters"].as_array().unwrap().iter().any(|p| p["name"] == name && p["in"] == "path");
                assert!(known, "{name} in {path}");
            }
        }
    }
}
