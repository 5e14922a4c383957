//! One question to several API servers that are one cluster: the first that answers wins, everyone has a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::io::{AsyncBufRead, AsyncReadExt};
use futures::stream::{FuturesUnordered, StreamExt};
use http::{Method, Request};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::config::{ClientConfig, ClientConfigError, Server};
use super::error::ApiError;
use super::request_metrics::RequestMetrics;
pub use super::request_metrics::Verb;

/// What a question may take where its asker has no better idea.
pub const LIMIT: Duration = Duration::from_secs(2);
/// A read goes to the other servers too when the preferred one has not answered for so long.
const HEDGE: Duration = Duration::from_millis(300);
/// No answer of the API is longer: 500 pods of the largest size that etcd takes would be refused, real lists are far
/// below. Protects the memory of the node.
const MAX_ANSWER: u64 = 64 << 20;
const NO_PREFERENCE: usize = usize::MAX;
/// Credentials that could not be used are read again after this: the kubelet replaces them, an operator mends them.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A request, made anew for each server that is tried.
#[derive(Clone)]
pub struct Call {
    method: Method,
    path: String,
    body: Vec<u8>,
    content_type: &'static str,
    verb: Verb,
}

impl Call {
    /// A GET of `path` (absolute, query included), counted as `verb`.
    pub fn get(path: impl Into<String>, verb: Verb) -> Self {
        Self { method: Method::GET, path: path.into(), body: Vec::new(), content_type: "application/json", verb }
    }

    /// A request that writes. The content type matters for PATCH (`application/merge-patch+json`, …).
    pub fn write(method: Method, path: impl Into<String>, body: &Value, content_type: &'static str) -> Self {
        Self { method, path: path.into(), body: body.to_string().into_bytes(), content_type, verb: Verb::Write }
    }

    fn request(&self) -> Result<Request<Vec<u8>>, ApiError> {
        Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, self.content_type)
            .body(self.body.clone())
            .map_err(|e| ApiError::Invalid(format!("{} {}: {e}", self.method, self.path)))
    }
}

/// Asks the API servers. Cheap to clone; clones share connections and the memory of who answered last.
#[derive(Clone)]
pub struct ApiClient(Arc<Inner>);

struct Inner {
    config: ClientConfig,
    servers: Mutex<Arc<Servers>>,
    preferred: AtomicUsize,
    requests: RequestMetrics,
}

/// The servers that can be asked.
struct Servers {
    usable: Vec<Server>,
    /// What is wrong with those that cannot: their address, or credentials that are read when a client is made.
    faults: Vec<String>,
    made_at: Instant,
}

impl ApiClient {
    /// Reads the credentials; connects to nobody yet. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The first thing that is wrong with any server or its credentials.
    pub async fn new(config: &ClientConfig) -> Result<Self, ClientConfigError> {
        let (usable, faults) = config.connect().await;
        let (left_out, fatal): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(|why| matches!(why, ClientConfigError::InClear(_)) && !usable.is_empty());
        if let Some(why) = fatal.into_iter().next() {
            return Err(why);
        }
        let faults: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        faults.iter().for_each(|why| tracing::warn!("{why}"));
        Ok(Self::over(config, Servers { usable, faults, made_at: Instant::now() }))
    }

    /// The same for who must go on whatever is in the files: what cannot be used is in [`Self::faults`], left out, and
    /// looked at again after half a minute when somebody asks. Without a server every answer is "unavailable".
    pub async fn lenient(config: &ClientConfig) -> Self {
        Self::over(config, Servers::of(config).await)
    }

    fn over(config: &ClientConfig, servers: Servers) -> Self {
        let (preferred, requests) = (AtomicUsize::new(NO_PREFERENCE), RequestMetrics::default());
        Self(Arc::new(Inner { config: config.clone(), servers: Mutex::new(Arc::new(servers)), preferred, requests }))
    }

    /// What is wrong with addresses and credentials, one line each.
    pub fn faults(&self) -> Vec<String> {
        self.0.servers.lock().faults.clone()
    }

    /// The servers; those with faults are looked at again from time to time.
    async fn servers(&self) -> Arc<Servers> {
        let servers = Arc::clone(&self.0.servers.lock());
        if servers.faults.is_empty() || servers.made_at.elapsed() < LOOK_AGAIN {
            return servers;
        }
        let anew = Arc::new(Servers::of(&self.0.config).await);
        self.0.preferred.store(NO_PREFERENCE, Ordering::Relaxed);
        *self.0.servers.lock() = Arc::clone(&anew);
        anew
    }

    /// The server that answered last, or all of them, for people.
    pub fn address(&self) -> String {
        let servers = &self.0.servers.lock().usable;
        match servers.get(self.0.preferred.load(Ordering::Relaxed)) {
            Some(server) => server.name.clone(),
            None => servers.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }

    /// Requests sent so far.
    pub fn requests(&self) -> &RequestMetrics {
        &self.0.requests
    }

    /// One object, which must be of `kind`: anything else that a confused server sends is nonsense, not an answer.
    pub async fn get(&self, path: &str, kind: &str, limit: Duration) -> Result<Value, ApiError> {
        self.read(&Call::get(path, Verb::Get), limit, |bytes| object(bytes, kind)).await
    }

    /// Creates an object under `path`; the answer must be of `kind`. Never sent to a second server while the first
    /// may still be carrying it out.
    pub async fn post(&self, path: &str, body: &Value, kind: &str, limit: Duration) -> Result<Value, ApiError> {
        let call = Call::write(Method::POST, path, body, "application/json");
        self.read(&call, limit, |bytes| object(bytes, kind)).await
    }

    /// Any call; what `parse` cannot read is nonsense, and the next server may know better.
    pub async fn read<T>(
        &self,
        call: &Call,
        limit: Duration,
        parse: impl Fn(&[u8]) -> Result<T, String> + Sync,
    ) -> Result<T, ApiError> {
        let parse = &parse;
        let attempt = |client: kube::Client, request| async move {
            let mut body = Vec::new();
            let answer = client.request_stream(request).await?;
            let read = answer.take(MAX_ANSWER).read_to_end(&mut body).await;
            read.map_err(|e| ApiError::Unavailable(format!("the answer broke off: {e}")))?;
            parse(&body).map_err(|why| ApiError::Unavailable(format!("answered nonsense: {why}")))
        };
        self.race(call, limit, attempt).await
    }

    /// The body as it comes; `limit` is for its beginning only. For watches.
    pub async fn stream(
        &self,
        call: &Call,
        limit: Duration,
    ) -> Result<impl AsyncBufRead + Send + Unpin + use<>, ApiError> {
        let attempt = |client: kube::Client, request| async move { Ok(client.request_stream(request).await?) };
        self.race(call, limit, attempt).await
    }

    async fn race<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        call: &Call,
        limit: Duration,
        attempt: impl Fn(kube::Client, Request<Vec<u8>>) -> F,
    ) -> Result<T, ApiError> {
        let deadline = Instant::now() + limit;
        let inner = &self.0;
        let servers = self.servers().await;
        if servers.usable.is_empty() {
            return Err(ApiError::Unavailable(format!("nobody can be asked: {}", servers.faults.join("; "))));
        }
        let preferred = inner.preferred.load(Ordering::Relaxed);
        let known = preferred < servers.usable.len();
        // A write may be under way at a server that has not answered yet.
        let repeatable = call.verb != Verb::Write;
        let mut waiting: Vec<usize> = (0..servers.usable.len()).filter(|i| *i != preferred).rev().collect();
        if known {
            waiting.push(preferred);
        }
        let mut failures = Failures::default();
        let mut running = FuturesUnordered::new();
        let mut start = if known || !repeatable { 1 } else { waiting.len() };
        loop {
            for index in waiting.split_off(waiting.len() - start).into_iter().rev() {
                let server = &servers.usable[index];
                inner.requests.sent(call.verb);
                let attempt = attempt(server.client.clone(), call.request()?);
                running.push(async move { (index, attempt.await.map_err(|e| e.at(&server.name))) });
            }
            start = tokio::select! {
                Some((index, result)) = running.next() => {
                    if settles(&result, index == preferred) {
                        inner.preferred.store(index, Ordering::Relaxed);
                        return result;
                    }
                    failures.0.extend(result.err());
                    if repeatable { waiting.len() } else { waiting.len().min(1) }
                }
                () = sleep(HEDGE), if repeatable && !waiting.is_empty() => waiting.len(),
                () = sleep_until(deadline) => {
                    failures.0.push(ApiError::Unavailable(format!("no answer within {limit:?}")));
                    running.clear();
                    waiting.clear();
                    0
                }
            };
            if running.is_empty() && waiting.is_empty() {
                inner.preferred.store(NO_PREFERENCE, Ordering::Relaxed);
                return Err(failures.verdict());
            }
        }
    }
}

impl Servers {
    async fn of(config: &ClientConfig) -> Self {
        let (usable, faults) = config.connect().await;
        Self { usable, faults: faults.iter().map(ToString::to_string).collect(), made_at: Instant::now() }
    }
}

/// Nobody else need be asked. A 403 of the server that has been answering is about the object; asking the others too
/// would be noise.
fn settles<T>(result: &Result<T, ApiError>, preferred: bool) -> bool {
    result.as_ref().map_or_else(|e| e.is_answer() || (preferred && matches!(e, ApiError::Forbidden(_))), |_| true)
}

fn object(bytes: &[u8], kind: &str) -> Result<Value, String> {
    // The parser's error quotes no input, which may be a Secret.
    let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
    match value.get("kind").and_then(Value::as_str) {
        Some(found) if found == kind => Ok(value),
        _ => Err(format!("not a {kind}")),
    }
}

/// What the servers said that gave no answer.
#[derive(Default)]
struct Failures(Vec<ApiError>);

impl Failures {
    /// A refusal outranks silence: somebody was there. "No route" only if that is all there is.
    fn verdict(mut self) -> ApiError {
        if let Some(at) = self.0.iter().position(ApiError::is_refusal) {
            return self.0.swap_remove(at);
        }
        let all = self.0.iter().map(ApiError::detail).collect::<Vec<_>>().join("; ");
        if self.0.iter().all(|e| matches!(e, ApiError::NoRoute(_))) {
            ApiError::NoRoute(all)
        } else if self.0.iter().all(|e| matches!(e, ApiError::TooManyRequests(_))) {
            ApiError::TooManyRequests(all)
        } else {
            ApiError::Unavailable(all)
        }
    }
}
