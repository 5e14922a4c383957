//! Whom the fake server knows by their tokens, what they may do, and the objects that servers behind it write: Secrets and
//! APIServices, with versions that conflict.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::FakeApi;
use super::routes::status;
use super::world::{Call, World};

/// Audience of the server itself.
pub const API: &str = "https://kubernetes.default.svc";

/// Tokens and rights.
#[derive(Default)]
pub struct Register {
    tokens: BTreeMap<String, (Vec<String>, Value)>,
    /// `user verb group/resource/subresource namespace/name`
    rights: BTreeSet<String>,
    /// Answers no audiences, as a server that knows none.
    pub no_audiences: bool,
    /// What a `SubjectAccessReview` is answered with in place of a verdict.
    pub verdict: Option<Value>,
}

impl FakeApi {
    /// Whoever shows `token` is `user` (with group `people`), for these audiences.
    pub fn token(&self, token: &str, user: &str, audiences: &[&str]) -> &Self {
        let info =
            json!({"username": user, "uid": format!("uid of {user}"), "groups": ["people", "system:authenticated"]});
        let audiences = audiences.iter().map(|a| (*a).to_owned()).collect();
        self.change(|world| drop(world.register.tokens.insert(token.to_owned(), (audiences, info))))
    }

    /// `user` may do `verb` on `what` (`group/resource/subresource`) in `place` (`namespace/name`, name may be empty).
    pub fn right(&self, user: &str, verb: &str, what: &str, place: &str) -> &Self {
        let right = format!("{user} {verb} {what} {place}");
        self.change(|world| world.register.rights.extend([right]))
    }

    /// Takes back every right.
    pub fn no_rights(&self) -> &Self {
        self.change(|world| world.register.rights.clear())
    }

    /// Changes how reviews are answered.
    pub fn reviews(&self, change: impl FnOnce(&mut Register)) -> &Self {
        self.change(|world| change(&mut world.register))
    }

    /// What is under an API path now.
    pub fn object(&self, path: &str) -> Option<Value> {
        self.state.world().objects.get(path).cloned()
    }
}

pub fn token_review(world: &World, call: &Call) -> Response {
    let spec = &call.body["spec"];
    let token = spec["token"].as_str().unwrap_or_default();
    let asked: Vec<&str> = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let asked = if asked.is_empty() { vec![API] } else { asked };
    let mut answer = json!({"authenticated": false});
    if let Some((audiences, user)) = world.register.tokens.get(token) {
        let fitting: Vec<&&str> = asked.iter().filter(|a| audiences.iter().any(|own| own == **a)).collect();
        if world.register.no_audiences {
            answer = json!({"authenticated": true, "user": user});
        } else if !fitting.is_empty() {
            answer = json!({"authenticated": true, "user": user, "audiences": fitting});
        }
    }
    created(&json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {}, "status": answer}))
}

pub fn access_review(world: &World, call: &Call) -> Response {
    let spec = &call.body["spec"];
    let attributes = &spec["resourceAttributes"];
    let text = |field: &str| attributes[field].as_str().unwrap_or_default();
    let right = format!(
        "{} {} {}/{}/{} {}/{}",
        spec["user"].as_str().unwrap_or_default(),
        text("verb"),
        text("group"),
        text("resource"),
        text("subresource"),
        text("namespace"),
        text("name")
    );
    let allowed = world.register.rights.contains(&right);
    let verdict = json!({"allowed": allowed, "reason": if allowed { "" } else { "no role says so" }});
    let verdict = world.register.verdict.clone().unwrap_or(verdict);
    created(
        &json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}, "status": verdict}),
    )
}

/// POST of an object to its folder.
pub fn create(world: &mut World, call: &Call) -> Response {
    let path = format!("{}/{}", call.path, call.body["metadata"]["name"].as_str().unwrap_or_default());
    if world.objects.contains_key(&path) {
        return status(409, &format!("{path} already exists"));
    }
    store(world, &path, call.body.clone(), StatusCode::CREATED)
}

/// PUT of an object: only over the version that it was made from.
pub fn replace(world: &mut World, call: &Call) -> Response {
    match world.objects.get(&call.path) {
        None => status(404, &format!("{} not found", call.path)),
        Some(old) if old["metadata"]["resourceVersion"] != call.body["metadata"]["resourceVersion"] => {
            status(409, "the object has been modified; please apply your changes to the latest version")
        }
        Some(_) => store(world, &call.path, call.body.clone(), StatusCode::OK),
    }
}

/// PATCH of an object's metadata and spec, field by field (the merge patches that are sent here go no deeper).
pub fn merge(world: &mut World, call: &Call) -> Response {
    let Some(mut object) = world.objects.get(&call.path).cloned() else {
        return status(404, &format!("{} not found", call.path));
    };
    let version = &call.body["metadata"]["resourceVersion"];
    if !version.is_null() && object["metadata"]["resourceVersion"] != *version {
        return status(409, "the object has been modified");
    }
    for part in ["metadata", "spec"] {
        for (key, value) in call.body[part].as_object().into_iter().flatten() {
            object[part][key] = value.clone();
        }
    }
    store(world, &call.path, object, StatusCode::OK)
}

fn store(world: &mut World, path: &str, mut object: Value, code: StatusCode) -> Response {
    object["metadata"]["resourceVersion"] = json!(world.next_version().to_string());
    world.objects.insert(path.to_owned(), object.clone());
    (code, axum::Json(object)).into_response()
}

fn created(body: &Value) -> Response {
    (StatusCode::CREATED, axum::Json(body)).into_response()
}
