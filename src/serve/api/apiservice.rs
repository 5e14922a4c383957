//! What the API server asks of a server behind an APIService: which groups, versions and resources there are. It must answer
//! whatever else is down, and to everybody: a broken discovery keeps namespaces from being deleted.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::openapi;
use crate::checkpoint_api::{BASE_URL, GROUP, GROUP_URL, GROUP_VERSION, GROUPS_URL, VERSION};

/// Discovery and OpenAPI; merges into any router, whatever its state.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(GROUPS_URL, get(|| async { Json(groups()) }))
        .route(GROUP_URL, get(|| async { Json(group()) }))
        .route(BASE_URL, get(|| async { Json(resources()) }))
        .merge(openapi::router())
}

fn groups() -> Value {
    let mut group = group();
    for field in ["kind", "apiVersion"] {
        group.as_object_mut().map(|fields| fields.remove(field));
    }
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]})
}

fn group() -> Value {
    let version = json!({"groupVersion": GROUP_VERSION, "version": VERSION});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version})
}

/// Only what can be asked for: a verb named here is one that controllers will use on every namespace.
fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [
            {"name": "pods/checkpoint", "singularName": "", "namespaced": true, "kind": "CheckpointRequest",
             "verbs": ["create"]},
            {"name": "checkpoints", "singularName": "checkpoint", "namespaced": true, "kind": "Checkpoint",
             "verbs": ["get"]},
        ],
    })
}
