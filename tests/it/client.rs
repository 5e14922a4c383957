//! `checkpoint` and `proxy` as they are run, against an API server in this process that answers from a script.

mod checkpoint;
mod proxy;

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

const GROUP: &str = "/apis/checkpointer.alpha.coreos.com/v1alpha1";

/// A request as the server saw it.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    line: String,
    token: String,
    body: Value,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Response>,
    calls: Vec<Call>,
}

/// Gives its answers in turn, whatever is asked; the last word is 500.
#[derive(Clone)]
struct Server {
    script: Arc<Mutex<Script>>,
    kubeconfig: Arc<NamedTempFile>,
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = Response>) -> Self {
        let script = Arc::new(Mutex::new(Script { answers: answers.into_iter().collect(), calls: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let file = NamedTempFile::new().unwrap();
        let user = |name: &str| json!({"name": name, "user": {"token": format!("token of {name}")}});
        let context = |name: &str| json!({"name": name, "context": {"cluster": "c", "user": name}});
        let config = json!({"kind": "Config", "apiVersion": "v1", "current-context": "ann",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [user("ann"), user("bob")], "contexts": [context("ann"), context("bob")]});
        std::fs::write(file.path(), config.to_string()).unwrap();
        Self { script, kubeconfig: Arc::new(file) }
    }

    fn calls(&self) -> Vec<Call> {
        self.script.lock().unwrap().calls.clone()
    }

    fn lines(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.line).collect()
    }

    fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    /// Runs the binary to its end with this server's kubeconfig.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output: Output = command()
            .args(arguments)
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn command() -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pod-checkpointer"));
    command.kill_on_drop(true).env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    command
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let token = head.headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let call = Call {
        line: format!("{} {}", head.method, head.uri),
        token: token.to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let mut script = script.lock().unwrap();
    script.calls.push(call);
    script.answers.pop_front().unwrap_or_else(|| says(500, json!({"kind": "Status", "message": "the script is over"})))
}

/// An answer in JSON.
fn says(code: u16, body: Value) -> Response {
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

/// A `Status`.
fn status(code: u16, message: &str) -> Response {
    says(code, json!({"kind": "Status", "apiVersion": "v1", "code": code, "status": "Failure", "message": message}))
}

/// Text that is no JSON, as the API server says that there is no such path.
fn text(code: u16, body: &'static str) -> Response {
    (StatusCode::from_u16(code).unwrap(), Body::from(body)).into_response()
}

fn entry() -> Value {
    json!({"containerIdentifier": {"namespace": "default", "pod": "counter", "container": "c"},
        "beginTimestamp": 1, "endTimestamp": 2, "containerImageName": "registry/x:0123456789abcdef"})
}

fn accepted() -> Value {
    json!({"checkpointIdentifier": "n1:0123456789abcdef"})
}
