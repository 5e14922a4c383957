//! Which call gets which answer.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, Request};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use super::world::{Call, World};
use super::{Mode, State, reviews, watches};

pub fn router(state: State) -> Router {
    Router::new().fallback(move |request: Request| answer(state.clone(), request))
}

async fn answer(state: State, request: Request) -> Response {
    let call = read(request).await;
    state.world().calls.push(call.clone());
    state.poke();
    let mode = *state.mode.borrow();
    match mode {
        Mode::Up => {}
        Mode::Down | Mode::BlackHole => std::future::pending().await,
        Mode::Status(code) => return status(code, "the server was told to say so"),
        Mode::Garbage => return "<html><body>It works!</body></html>".into_response(),
        Mode::Slow(by) => tokio::time::sleep(by).await,
    }
    if state.world().forbidden.iter().any(|path| call.path.starts_with(path)) {
        return status(403, &format!("{} is forbidden", call.path));
    }
    dispatch(&state, &call)
}

async fn read(request: Request) -> Call {
    let (head, body) = request.into_parts();
    let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&head.uri).unwrap_or_default();
    let token = head.headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query,
        token: token.and_then(|t| t.strip_prefix("Bearer ")).map(str::to_owned),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

fn dispatch(state: &State, call: &Call) -> Response {
    let parts: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["api", "v1", "pods"]) => pods(state, call, None),
        ("GET", ["api", "v1", "namespaces", ns, "pods"]) => pods(state, call, Some(ns)),
        (
            "GET",
            ["api", "v1", "namespaces" | "nodes", _]
            | ["api", "v1", "namespaces", _, "secrets" | "configmaps" | "pods", _]
            | ["apis", "apps", "v1", "namespaces", _, "daemonsets", _]
            | ["apis", "apiregistration.k8s.io", "v1", "apiservices", _],
        ) => object(&state.world(), &call.path),
        ("POST", ["api", "v1", "namespaces", ns, "serviceaccounts", account, "token"]) => {
            token(&state.world(), ns, account, &call.body)
        }
        ("POST", ["apis", "authentication.k8s.io", "v1", "tokenreviews"]) => {
            reviews::token_review(&state.world(), call)
        }
        ("POST", ["apis", "authorization.k8s.io", "v1", "subjectaccessreviews"]) => {
            reviews::access_review(&state.world(), call)
        }
        ("POST", ["api", "v1", "namespaces", _, "secrets"]) => reviews::create(&mut state.world(), call),
        ("PUT", ["api", "v1", "namespaces", _, "secrets", _]) => reviews::replace(&mut state.world(), call),
        ("PATCH", ["apis", "apiregistration.k8s.io", "v1", "apiservices", _]) => {
            reviews::merge(&mut state.world(), call)
        }
        ("POST" | "PATCH", ["api", "v1" | "apis", .., "events"] | ["api" | "apis", .., "events", _]) => {
            axum::Json(call.body.clone()).into_response()
        }
        _ => unexpected(&mut state.world(), call, "nobody may ask this"),
    }
}

fn pods(state: &State, call: &Call, namespace: Option<&str>) -> Response {
    let Some(node) = call.query.get("fieldSelector").and_then(|s| s.strip_prefix("spec.nodeName=")) else {
        return unexpected(&mut state.world(), call, "pods of all nodes");
    };
    let versioned = call.query.contains_key("resourceVersion");
    match (call.is_watch(), versioned) {
        (true, true) => watches::open(state, call, namespace, node),
        (false, false) => list(&mut state.world(), call, namespace, node),
        (true, false) => unexpected(&mut state.world(), call, "a watch from nowhere"),
        (false, true) => unexpected(&mut state.world(), call, "a list that need not be fresh"),
    }
}

/// The continue token holds the place and the version, and characters that must be escaped in a query.
fn list(world: &mut World, call: &Call, namespace: Option<&str>, node: &str) -> Response {
    let token = call.query.get("continue").and_then(|t| t.strip_prefix("from=+/&")?.split_once('@'));
    let (from, version) = match token {
        Some((from, version)) => (from.parse().unwrap(), version.parse().unwrap()),
        None if call.query.contains_key("continue") => return unexpected(world, call, "a mangled continue token"),
        None => (0, world.version),
    };
    if version < world.oldest {
        return status(410, "the continue token is too old");
    }
    let asked = call.query.get("limit").map_or(usize::MAX, |l| l.parse().unwrap());
    let size = asked.min(world.page_size);
    let mut all = world.pods(namespace, Some(node));
    if let Some((key, value)) = call.query.get("labelSelector").and_then(|selector| selector.split_once('=')) {
        all.retain(|pod| pod["metadata"]["labels"][key] == value);
    }
    let items: Vec<&Value> = all.iter().skip(from).take(size).collect();
    let next = from + items.len();
    let more = (next < all.len()).then(|| format!("from=+/&{next}@{version}"));
    let metadata = json!({"resourceVersion": version.to_string(), "continue": more});
    axum::Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items})).into_response()
}

fn object(world: &World, path: &str) -> Response {
    match world.objects.get(path) {
        Some(object) => axum::Json(object.clone()).into_response(),
        None => status(404, &format!("{path} not found")),
    }
}

/// Half of the asked lifetime is granted where that is above an hour, so that a test can tell.
fn token(world: &World, namespace: &str, account: &str, request: &Value) -> Response {
    let bound = &request["spec"]["boundObjectRef"];
    let node = bound["name"].as_str().unwrap_or_default();
    let Some(life) = request["spec"]["expirationSeconds"].as_u64().filter(|life| *life >= 600) else {
        return status(422, "may not specify a duration less than 10 minutes");
    };
    if bound["kind"] != "Node" || !world.objects.contains_key(&format!("/api/v1/nodes/{node}")) {
        return status(404, &format!("nodes {node:?} not found"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = now + Duration::from_secs(if life > 3600 { life / 2 } else { life });
    let claims = json!({"iat": now.as_secs(), "exp": end.as_secs(), "aud": request["spec"]["audiences"],
        "sub": format!("system:serviceaccount:{namespace}:{account}"), "node": node});
    let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let seconds = i64::try_from(end.as_secs()).unwrap();
    let expires = jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let body = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "status": {"token": jwt, "expirationTimestamp": expires}});
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

/// A `Status` as the API conventions have it.
pub fn status(code: u16, message: &str) -> Response {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "Invalid",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

fn unexpected(world: &mut World, call: &Call, why: &str) -> Response {
    world.unexpected.push(format!("{} {} {:?}: {why}", call.method, call.path, call.query));
    status(400, why)
}
