//! A registry that takes what it is given if the digests are right, and can be told to refuse or to stand still.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Well,
    /// 400 to everything: what no retry mends.
    Refuses,
    /// Answers nothing.
    Still,
}

#[derive(Default)]
struct Held {
    begun: usize,
    uploads: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (Vec<u8>, String)>,
}

#[derive(Clone)]
pub struct Registry {
    held: Arc<Mutex<Held>>,
    mode: tokio::sync::watch::Sender<Mode>,
    pub address: String,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let registry = Self { held: Arc::default(), mode: tokio::sync::watch::channel(Mode::Well).0, address };
        let own = registry.clone();
        let router = Router::new().fallback(move |request: Request| {
            let own = own.clone();
            async move { own.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        registry
    }

    pub fn go(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Tags of images.
    pub fn tags(&self) -> Vec<String> {
        let held = self.held.lock().unwrap();
        held.manifests.keys().filter(|key| !key.starts_with("sha256:")).cloned().collect()
    }

    /// Whether some blob is this.
    pub fn has(&self, content: &[u8]) -> bool {
        self.held.lock().unwrap().blobs.values().any(|blob| blob == content)
    }

    async fn answer(&self, request: Request) -> Response {
        let mut mode = self.mode.subscribe();
        let now = *mode.wait_for(|mode| *mode != Mode::Still).await.unwrap();
        if now == Mode::Refuses {
            return (StatusCode::BAD_REQUEST, "told to refuse").into_response();
        }
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 1 << 30).await.unwrap_or_default();
        let path = head.uri.path().trim_start_matches("/v2/").to_owned();
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.held.lock().unwrap().dispatch(
            head.method.as_str(),
            &path,
            head.uri.query().unwrap_or_default(),
            kind,
            &body,
        )
    }
}

impl Held {
    fn dispatch(&mut self, method: &str, path: &str, query: &str, kind: &str, body: &Bytes) -> Response {
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        match method {
            "POST" if path.ends_with("/blobs/uploads/") => {
                self.begun += 1;
                let id = format!("u{}", self.begun);
                self.uploads.insert(id.clone(), Vec::new());
                said(StatusCode::ACCEPTED, &[("location", &format!("/v2/{path}{id}"))])
            }
            "PATCH" => {
                self.uploads.entry(last.clone()).or_default().extend_from_slice(body);
                said(StatusCode::ACCEPTED, &[("location", &format!("/v2/{path}"))])
            }
            "PUT" if path.contains("/blobs/uploads/") => {
                let mut content = self.uploads.remove(&last).unwrap_or_default();
                content.extend_from_slice(body);
                let digest = digest(&content);
                if !query.replace("%3A", ":").contains(&digest) {
                    return said(StatusCode::BAD_REQUEST, &[]);
                }
                self.blobs.insert(digest.clone(), content);
                said(StatusCode::CREATED, &[("docker-content-digest", &digest), ("location", "/v2/x")])
            }
            "PUT" => {
                let digest = digest(body);
                for key in [last, digest.clone()] {
                    self.manifests.insert(key, (body.to_vec(), kind.to_owned()));
                }
                said(StatusCode::CREATED, &[("docker-content-digest", &digest), ("location", "/v2/x")])
            }
            "GET" | "HEAD" if path.contains("/blobs/") => match self.blobs.get(&last) {
                Some(blob) => {
                    found(&last, "application/octet-stream", if method == "GET" { blob } else { &[] }, blob.len())
                }
                None => said(StatusCode::NOT_FOUND, &[]),
            },
            "GET" | "HEAD" => match self.manifests.get(&last) {
                Some((body, kind)) => found(&digest(body), kind, if method == "GET" { body } else { &[] }, body.len()),
                None => said(StatusCode::NOT_FOUND, &[]),
            },
            _ => said(StatusCode::METHOD_NOT_ALLOWED, &[]),
        }
    }
}

fn digest(content: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(content).iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn said(code: StatusCode, headers: &[(&'static str, &str)]) -> Response {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect();
    (code, headers).into_response()
}

fn found(digest: &str, kind: &str, body: &[u8], length: usize) -> Response {
    let mut response = said(StatusCode::OK, &[("docker-content-digest", digest), ("content-type", kind)]);
    if body.is_empty() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        *response.body_mut() = body.to_vec().into();
    }
    response
}
