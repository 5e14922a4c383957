//! An API server as `serve` asks it: reviews, pods, Secrets. Whatever else it is asked for is noted as a fault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What it knows.
#[derive(Default)]
pub struct World {
    pub objects: BTreeMap<String, Value>,
    /// `verb resource[/subresource]` that is denied to everybody.
    pub denied: Vec<String>,
    /// Paths that our own ServiceAccount may not touch.
    pub forbidden: Vec<String>,
    /// Every call: method and path.
    pub calls: Vec<String>,
    /// UIDs in the preconditions of deletions that were carried out.
    pub deleted: Vec<String>,
    pub faults: Vec<String>,
    /// Answers nothing but 503.
    pub down: bool,
}

/// The handle; clones are the same server.
#[derive(Clone)]
pub struct Cluster {
    world: Arc<Mutex<World>>,
    pub url: String,
}

impl Cluster {
    /// Listens on a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cluster = Self { world: Arc::default(), url };
        let own = cluster.clone();
        let router = Router::new().fallback(move |request: Request| {
            let own = own.clone();
            async move { own.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let data = json!({"requestheader-client-ca-file": "", "client-ca-file": ""});
        let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
        cluster
            .world()
            .objects
            .insert(path.to_owned(), json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}, "data": data}));
        cluster
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A running pod.
    pub fn add_pod(&self, name: &str, node: &str, containers: &[&str]) {
        let listed: Vec<Value> = containers.iter().map(|name| json!({"name": name})).collect();
        let statuses: Vec<Value> = containers
            .iter()
            .map(|name| json!({"name": name, "containerID": format!("containerd://id-of-{name}"), "state": {"running": {}}}))
            .collect();
        let pod = json!({"kind": "Pod", "apiVersion": "v1",
            "metadata": {"namespace": "default", "name": name, "uid": format!("uid-of-{name}")},
            "spec": {"nodeName": node, "containers": listed}, "status": {"containerStatuses": statuses}});
        self.world().objects.insert(format!("/api/v1/namespaces/default/pods/{name}"), pod);
    }

    pub fn has_pod(&self, name: &str) -> bool {
        self.world().objects.contains_key(&format!("/api/v1/namespaces/default/pods/{name}"))
    }

    /// A Secret of a type, in `default`.
    pub fn add_secret(&self, namespace: &str, name: &str, kind: &str, key: &str, value: &[u8]) {
        let secret = json!({"kind": "Secret", "apiVersion": "v1", "type": kind,
            "metadata": {"namespace": namespace, "name": name}, "data": {key: STANDARD.encode(value)}});
        self.world().objects.insert(format!("/api/v1/namespaces/{namespace}/secrets/{name}"), secret);
    }

    #[track_caller]
    pub fn assert_no_faults(&self) {
        assert!(self.world().faults.is_empty(), "{:#?}", self.world().faults);
    }

    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body: Bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
        let mut world = self.world();
        world.calls.push(format!("{method} {path}"));
        if world.down {
            return status(503, "ServiceUnavailable", "down");
        }
        if world.forbidden.contains(&path) {
            return status(403, "Forbidden", "User \"system:serviceaccount:kube-system:container-checkpoints\" cannot");
        }
        match (method.as_str(), path.as_str()) {
            ("POST", "/apis/authentication.k8s.io/v1/tokenreviews") => token_review(&body),
            ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") => access_review(&world, &body),
            ("GET", _) => match world.objects.get(&path) {
                Some(object) => axum::Json(object.clone()).into_response(),
                None => status(404, "NotFound", &format!("{path} not found")),
            },
            ("DELETE", _) if path.contains("/pods/") => delete(&mut world, &path, &body),
            ("POST", "/api/v1/namespaces/kube-system/secrets") => {
                let mut made = body.clone();
                made["metadata"]["resourceVersion"] = json!("1");
                let name = made["metadata"]["name"].as_str().unwrap().to_owned();
                world.objects.insert(format!("{path}/{name}"), made.clone());
                (StatusCode::CREATED, axum::Json(made)).into_response()
            }
            _ => {
                world.faults.push(format!("{method} {path}"));
                status(400, "BadRequest", "nobody may ask this")
            }
        }
    }
}

/// A token is its holder's name; `stranger` is nobody's.
fn token_review(review: &Value) -> Response {
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let mut review = review.clone();
    review["status"] = if token == "stranger" {
        json!({"authenticated": false})
    } else {
        json!({"authenticated": true, "audiences": review["spec"]["audiences"], "user": {"username": token, "groups": []}})
    };
    axum::Json(review).into_response()
}

fn access_review(world: &World, review: &Value) -> Response {
    let asked = &review["spec"]["resourceAttributes"];
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let mut what = format!("{} {}", text("verb"), text("resource"));
    if !text("subresource").is_empty() {
        what = format!("{what}/{}", text("subresource"));
    }
    let user = review["spec"]["user"].as_str().unwrap_or_default();
    let allowed = !world.denied.iter().any(|denied| *denied == what || *denied == format!("{user}: {what}"));
    let mut review = review.clone();
    review["status"] = json!({"allowed": allowed});
    axum::Json(review).into_response()
}

fn delete(world: &mut World, path: &str, options: &Value) -> Response {
    let Some(pod) = world.objects.get(path) else { return status(404, "NotFound", "no such pod") };
    let wanted = &options["preconditions"]["uid"];
    if *wanted != pod["metadata"]["uid"] {
        return status(409, "Conflict", "the UID in the precondition does not match");
    }
    world.deleted.push(wanted.as_str().unwrap().to_owned());
    let pod = world.objects.remove(path).unwrap();
    axum::Json(pod).into_response()
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}
