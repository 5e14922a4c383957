//! An API server with the resources, pods and namespaces that retention asks for, and nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::stream::{StreamExt, iter, unfold};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use pod_checkpointer::cluster::client::ApiClient;
use pod_checkpointer::cluster::config::ClientConfig;
use serde_json::{Value, json};
use tokio::sync::broadcast;

const RESOURCES: &str = "/apis/criu.org/v1/checkpointrestoreoperators";

/// In place of a line: the watch ends.
const END: &str = "";
/// Before the place of the first resource of a page; of characters that must be escaped in a query.
const CONTINUE: &str = "from=+/&";

/// What is there, and what was said.
#[derive(Default)]
pub struct World {
    pub resources: Vec<Value>,
    /// What happened to them, as a watch says it. How many these are is the version of a list.
    pub changes: Vec<String>,
    /// Paths of pods and namespaces.
    pub there: BTreeSet<String>,
    /// At most so many of them in one answer.
    pub page: Option<usize>,
    /// Every answer is 503.
    pub down: bool,
    /// Every answer about pods and namespaces is.
    pub pods_are_away: bool,
    pub statuses: Vec<(String, Value)>,
    pub events: Vec<Value>,
    /// How often it was asked whether something is there.
    pub asked: usize,
    pub unexpected: Vec<String>,
}

/// The handle; clones are the same server.
#[derive(Clone)]
pub struct Api {
    world: Arc<Mutex<World>>,
    watches: broadcast::Sender<String>,
    url: String,
}

impl Api {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Self { world: Arc::default(), watches: broadcast::channel(64).0, url };
        let own = api.clone();
        let router = Router::new().fallback(move |request: Request| answer(own.clone(), request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub async fn client(&self) -> ApiClient {
        ApiClient::new(&ClientConfig { servers: vec![self.url.clone()], ..ClientConfig::default() }).await.unwrap()
    }

    /// A resource appears or changes; watches are told.
    pub fn apply(&self, name: &str, created: &str, generation: i64, spec: &Value) {
        let object = json!({
            "apiVersion": "criu.org/v1", "kind": "CheckpointRestoreOperator", "spec": spec,
            "metadata": {"namespace": "ops", "name": name, "uid": name, "creationTimestamp": created, "generation": generation},
        });
        let mut world = self.world();
        world.resources.retain(|other| other["metadata"]["name"] != name);
        world.resources.push(object.clone());
        let event = format!("{}\n", json!({"type": "MODIFIED", "object": object}));
        world.changes.push(event.clone());
        // Nobody may be watching yet; then it is in the list, or told when the watch begins. Sent under the lock, so that
        // a watch gets it once.
        let _ = self.watches.send(event);
    }

    /// The same while nobody is told: every watch ends before.
    pub async fn apply_unseen(&self, name: &str, created: &str, generation: i64, spec: &Value) {
        let _ = self.watches.send(END.to_owned());
        until("no watch is open", || self.watches.receiver_count() == 0).await;
        self.apply(name, created, generation, spec);
    }

    /// Waits for something; says what it waited for if it does not come.
    pub async fn until(&self, what: &str, wanted: impl Fn(&World) -> bool) {
        until(what, || wanted(&self.world())).await;
    }
}

pub async fn until(what: &str, wanted: impl Fn() -> bool) {
    for _ in 0..600 {
        if wanted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

async fn answer(api: Api, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Value = serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap_or_default();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    if api.world().down {
        return status(503, "ServiceUnavailable");
    }
    let is_owner = path.starts_with("/api/v1/namespaces/");
    match head.method.as_str() {
        "GET" if path == RESOURCES && query.contains("watch=1") => {
            let world = api.world();
            let version = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
            let missed = world.changes[version.and_then(|version| version.parse().ok()).unwrap()..].to_vec();
            let lines = unfold(api.watches.subscribe(), async |mut lines| {
                let line = lines.recv().await.ok()?;
                (line != END).then_some((line, lines))
            });
            let lines = iter(missed).chain(lines).map(Ok::<_, std::io::Error>);
            Body::from_stream(lines).into_response()
        }
        "GET" if path == RESOURCES => {
            let world = api.world();
            axum::Json(list(&world, &query)).into_response()
        }
        "GET" if is_owner => {
            let mut world = api.world();
            world.asked += 1;
            if world.pods_are_away {
                return status(503, "ServiceUnavailable");
            }
            let kind = if path.contains("/pods/") { "Pod" } else { "Namespace" };
            if world.there.contains(&path) {
                axum::Json(json!({"kind": kind})).into_response()
            } else {
                status(404, "NotFound")
            }
        }
        "PATCH" if path.starts_with("/apis/criu.org/v1/namespaces/ops/") && query.contains("fieldManager=") => {
            api.world().statuses.push((path, body));
            axum::Json(json!({})).into_response()
        }
        "POST" if path.ends_with("/events") => {
            api.world().events.push(body);
            axum::Json(json!({})).into_response()
        }
        method => {
            api.world().unexpected.push(format!("{method} {path}?{query}"));
            status(400, "BadRequest")
        }
    }
}

/// The page of the resources that the query asks for.
fn list(world: &World, query: &str) -> Value {
    let token = query.split('&').find_map(|part| part.strip_prefix("continue="));
    let token = token.map(|token| percent_decode_str(token).decode_utf8().unwrap());
    let from = token.map_or(0, |token| token.strip_prefix(CONTINUE).unwrap().parse::<usize>().unwrap());
    let to = world.page.map_or(usize::MAX, |page| from + page).min(world.resources.len());
    let more = if to < world.resources.len() { format!("{CONTINUE}{to}") } else { String::new() };
    let metadata = json!({"resourceVersion": world.changes.len().to_string(), "continue": more});
    json!({"kind": "CheckpointRestoreOperatorList", "metadata": metadata, "items": world.resources[from..to]})
}

fn status(code: u16, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": reason});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}
