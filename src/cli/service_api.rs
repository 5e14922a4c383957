//! Our API behind the API server, asked with whatever credentials a kubeconfig has: its URLs, one question, and waiting for a
//! checkpoint that takes longer than the API server lets a request last.

pub(super) mod url;

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::checkpoint_api::waiting;
use crate::cluster::config::{ClientConfigError, from_environment};

/// No answer of `serve` is longer.
const MOST: usize = 4 << 20;
/// The API server cuts a request to an aggregated API after 60 s; `serve` answers before.
const ANSWER: Duration = Duration::from_secs(75);
/// What one question about a running checkpoint waits for, seconds; below `serve`'s own 55.
pub(super) const ROUND: u64 = 50;
/// A checkpoint goes on without us: the network may be away for so long before we give up asking.
const PATIENCE: Duration = Duration::from_secs(300);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(15);

/// Which cluster, and as whom.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Kubeconfig [default: KUBECONFIG, then ~/.kube/config, then the pod's own ServiceAccount]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}

impl ClusterArgs {
    /// Connects to nobody yet. Needs a running tokio runtime.
    pub(super) async fn client(&self) -> Result<kube::Client, ClientConfigError> {
        from_environment(self.kubeconfig.as_deref(), self.context.as_deref()).await
    }
}

/// What the API server, or `serve` behind it, answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Of a checkpoint that is still running.
    pub(super) fn identifier(&self) -> Option<String> {
        let text = |body: &Value| body.get("checkpointIdentifier")?.as_str().map(str::to_owned);
        (self.status == StatusCode::ACCEPTED).then(|| self.json().as_ref().and_then(text)).flatten()
    }

    /// Somebody between us and `serve` has too much to do or is away: asking again is worth it.
    fn is_passing(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 502 | 503 | 504)
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds).min(LAST_RETRY))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Connecting, TLS, credentials.
    #[error("cannot ask the API server: {0}; does `kubectl version` work with the same kubeconfig?")]
    Unreachable(String),
    /// It took the question and went silent.
    #[error("the API server has not answered within {0:?}")]
    Silent(Duration),
    /// More than anything that `serve` says.
    #[error("the answer is longer than {MOST} bytes")]
    TooLong,
}

/// One question and its whole answer.
pub(super) async fn ask(client: &kube::Client, method: Method, path: &str, body: Bytes) -> Result<Reply, AskError> {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|why| AskError::Unreachable(format!("{path}: {why}")))?;
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json.clone());
    request.headers_mut().insert(header::ACCEPT, json);
    let asking = async {
        let unreachable = |why: kube::Error| AskError::Unreachable(crate::error_chain::chain(&why));
        let (head, mut body) = client.send(request).await.map_err(unreachable)?.into_parts();
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Trailers say nothing here.
            let Ok(data) = frame.map_err(unreachable)?.into_data() else { continue };
            if all.len() + data.len() > MOST {
                return Err(AskError::TooLong);
            }
            all.extend_from_slice(&data);
        }
        Ok(Reply { status: head.status, headers: head.headers, body: all.freeze() })
    };
    timeout(ANSWER, asking).await.unwrap_or(Err(AskError::Silent(ANSWER)))
}

/// Asks about a checkpoint until it is done or failed, or until `within` is over (then the answer is still 202). What is in the
/// way for a while is waited out.
pub(super) async fn settled(client: &kube::Client, path: &str, within: Option<Duration>) -> Result<Reply, AskError> {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    let (began, mut heard) = (Instant::now(), Instant::now());
    loop {
        let left = within.map(|within| within.saturating_sub(began.elapsed()));
        let round = left.map_or(ROUND, |left| ROUND.min(left.as_secs()));
        let asked = ask(client, Method::GET, &waiting(path, round), Bytes::new()).await;
        match &asked {
            Ok(reply) if reply.status == StatusCode::ACCEPTED => {
                backoff.reset();
                heard = Instant::now();
                if left.is_some_and(|left| left.as_secs() <= round) {
                    return asked;
                }
                // One that answers at once must not make us spin.
                sleep(Duration::from_millis(200)).await;
            }
            Ok(reply) if !reply.is_passing() => return asked,
            _ if heard.elapsed() >= PATIENCE || left.is_some_and(|left| left.is_zero()) => return asked,
            passing => {
                let told = passing.as_ref().ok().and_then(Reply::retry_after);
                let own = backoff.wait();
                sleep(told.unwrap_or(own)).await;
            }
        }
    }
}
