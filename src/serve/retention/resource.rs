//! The resource `CheckpointRestoreOperator` (`criu.org/v1`): its fields, of which both its schema and its reader (`spec`) are
//! made. Objects written for the original operator, of either of its forms, are valid. Pure.
//!
//! The schema is built from these tables and not derived from types: what types make of them is another schema to the API
//! server, and the reader needs the tables to name all that is wrong with its path. `docs/architecture.md` has the figures.

use serde_json::{Map, Value, json};

use crate::cluster::requests::CustomKind;

/// Group of the API.
pub const GROUP: &str = "criu.org";
/// Version of the API that is served and stored.
pub const VERSION: &str = "v1";
/// Kind of the object.
pub const KIND: &str = "CheckpointRestoreOperator";
/// Name in paths.
pub const PLURAL: &str = "checkpointrestoreoperators";
/// The three of them, for asking the API server.
pub const CUSTOM_KIND: CustomKind = CustomKind { group: GROUP, version: VERSION, plural: PLURAL };

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// true or false.
    Flag,
    /// Any text.
    Text,
    /// A whole number; 0 and less turn its level off.
    Count,
    /// A quantity of bytes; 0 and less turn its level off.
    Size,
    /// Text in Go's notation.
    Duration,
    /// A quantity of bytes, or a percentage of the filesystem.
    Free,
    /// Fields of its own.
    Object(&'static [Field]),
    /// A list of objects.
    List(&'static [Field]),
}

/// A field of the object.
#[derive(Debug)]
pub struct Field {
    /// Name of the field, as it is written in objects.
    pub name: &'static str,
    /// What values it takes.
    pub form: Form,
    /// For `kubectl explain`.
    pub about: &'static str,
}

const fn field(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { name, form, about }
}

const NAMESPACE: Field = field("namespace", Form::Text, "The namespace that it is for; no patterns.");
const POD: Field = field("pod", Form::Text, "The pod that it is for; no patterns.");
const CONTAINER: Field = field("container", Form::Text, "The container that it is for; no patterns.");
const RETAIN: Field = field(
    "retainOrphan",
    Form::Flag,
    "Whether archives stay when the pod is gone (for a namespace's own policy: when the namespace is). Default: true.",
);
const COUNT: Field = field("maxCheckpoints", Form::Count, "How many archives are kept. Default: any number.");
const SIZE: Field = field("maxCheckpointSize", Form::Size, "The largest that one archive may be. Default: any size.");
const TOTAL: Field =
    field("maxTotalSize", Form::Size, "The largest that all of them may be together. Default: any size.");

/// Under `globalPolicy`.
pub const GLOBAL: &[Field] = &[
    RETAIN,
    field("maxCheckpointsPerNamespace", Form::Count, "How many archives of one namespace are kept. Default: 30."),
    field("maxCheckpointsPerPod", Form::Count, "How many archives of one pod are kept. Default: 20."),
    field("maxCheckpointsPerContainer", Form::Count, "How many archives of one container are kept. Default: 10."),
    SIZE,
    field("maxTotalSizePerNamespace", Form::Size, "The largest that those of one namespace may be together."),
    field("maxTotalSizePerPod", Form::Size, "The largest that those of one pod may be together."),
    field("maxTotalSizePerContainer", Form::Size, "The largest that those of one container may be together."),
];
/// Of one of `containerPolicies`.
pub const OF_CONTAINER: &[Field] = &[NAMESPACE, POD, CONTAINER, RETAIN, COUNT, SIZE, TOTAL];
/// Of one of `podPolicies`.
pub const OF_POD: &[Field] = &[NAMESPACE, POD, RETAIN, COUNT, SIZE, TOTAL];
/// Of one of `namespacePolicies`.
pub const OF_NAMESPACE: &[Field] = &[NAMESPACE, RETAIN, COUNT, SIZE, TOTAL];

/// Under `spec`.
pub const SPEC: &[Field] = &[
    field("checkpointDirectory", Form::Text, "The directory that it is for. Default: /var/lib/kubelet/checkpoints."),
    field(
        "maxCheckpointsPerContainer",
        Form::Count,
        "The older form of globalPolicy.maxCheckpointsPerContainer; alone, it leaves pods and namespaces without limit.",
    ),
    field(
        "applyPoliciesImmediately",
        Form::Flag,
        "Whether archives that lie there already are held to numbers, sizes and sums at once; if not, when another one of their container comes. Default: false.",
    ),
    field("globalPolicy", Form::Object(GLOBAL), "For every archive that no other policy is for."),
    field(
        "containerPolicies",
        Form::List(OF_CONTAINER),
        "For single containers. The first that is for an archive decides, these before those of pods and namespaces.",
    ),
    field(
        "podPolicies",
        Form::List(OF_POD),
        "For single pods; archives under a policy of their container are not counted.",
    ),
    field(
        "namespacePolicies",
        Form::List(OF_NAMESPACE),
        "For single namespaces; archives under a policy of their container or pod are not counted.",
    ),
    field("maxAge", Form::Duration, "No archive is kept longer (720h). Default: for ever."),
    field(
        "maxTotalSizePerNode",
        Form::Size,
        "The largest that all archives of a node may be together. Default: any size.",
    ),
    field(
        "minFreeSpace",
        Form::Free,
        "What is to stay free on the filesystem of the archives: a size or a percentage (10%). Default: nothing.",
    ),
    field("dryRun", Form::Flag, "Delete nothing; say in the log what would be. Default: false."),
];

/// The CustomResourceDefinition.
pub fn definition() -> Value {
    let printed = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    let mut spec = object(SPEC);
    spec["description"] = json!("What is kept of the kubelet's checkpoint archives, on every node.");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": KIND.to_lowercase(),
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    // What one node makes of the values, all do; which of two resources counts, too.
                    printed("Valid", "string", ".status.nodes[0].conditions[?(@.type==\"Valid\")].status"),
                    printed("First node", "string", ".status.nodes[0].conditions[?(@.type==\"Held\")].reason"),
                    printed("Dry run", "boolean", ".spec.dryRun"),
                    printed("Age", "date", ".metadata.creationTimestamp"),
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "How many checkpoint archives of containers are kept, how large and how old.",
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": spec,
                        "status": status(),
                    },
                }},
            }],
        },
    })
}

fn object(fields: &[Field]) -> Value {
    let described = |field: &Field| {
        let mut schema = schema(field.form);
        schema["description"] = json!(field.about);
        (field.name.to_owned(), schema)
    };
    json!({"type": "object", "properties": fields.iter().map(described).collect::<Map<_, _>>()})
}

fn schema(form: Form) -> Value {
    match form {
        Form::Flag => json!({"type": "boolean"}),
        Form::Text | Form::Duration => json!({"type": "string"}),
        Form::Count => json!({"type": "integer", "format": "int64"}),
        // Without a pattern: an object of the original must not be refused, nor one that this program would only note.
        Form::Size | Form::Free => {
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]})
        }
        Form::Object(fields) => object(fields),
        Form::List(fields) => json!({"type": "array", "items": object(fields)}),
    }
}

/// What each node says of itself, written by that node alone.
fn status() -> Value {
    let (text, number, time) = (
        json!({"type": "string"}),
        json!({"type": "integer", "format": "int64"}),
        json!({"type": "string", "format": "date-time"}),
    );
    json!({
        "type": "object",
        "properties": {"nodes": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["node"],
            "items": {
                "type": "object",
                "required": ["node"],
                "properties": {
                    "node": text,
                    "observedGeneration": number,
                    "archives": number,
                    "incomplete": number,
                    "unknown": number,
                    "pinned": number,
                    "bytes": number,
                    "deleted": number,
                    "lastDeletion": {
                        "type": "object",
                        "properties": {"file": text, "reason": text, "time": time},
                    },
                    "conditions": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["type"],
                        "items": {
                            "type": "object",
                            "required": ["type", "status"],
                            "properties": {
                                "type": text,
                                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                                "reason": text,
                                "message": text,
                                "lastTransitionTime": time,
                            },
                        },
                    },
                },
            },
        }},
    })
}
