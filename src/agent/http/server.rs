//! The leader's HTTP server: `/metrics`, `/livez`, `/readyz`, `/status`. Reads what was published, decides nothing; it
//! can neither fail the agent nor be used to fill its memory: 16 connections, one small request each, no bodies.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::View;
use crate::accept_loop;
use crate::backoff::Backoff;
use crate::clock;
use crate::openmetrics;

/// Connections served at a time; the next waits in the kernel's queue.
const CONNECTIONS: usize = 16;
/// A client that has not sent its request by then is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is over by then, whatever the client does.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Where the answers come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The last thing that the agent published.
    pub view: watch::Receiver<Arc<View>>,
    /// All metrics of the agent.
    pub registry: Arc<Registry>,
}

/// Serves until dropped. An address that cannot be bound is reported once and tried again with back-off: it costs
/// the operator a view, never a pod.
pub async fn serve(address: SocketAddr, sources: Sources) -> Infallible {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tracing::info!(%address, "serving /metrics, /livez, /readyz and /status");
                serve_on(listener, sources.clone()).await;
            }
            Err(why) if backoff.is_fresh() => {
                tracing::warn!(%address, error = %why, "cannot serve metrics there; trying again. Another --listen would do");
            }
            Err(why) => tracing::debug!(%address, error = %why, "still cannot serve metrics"),
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// Serves on a bound socket until dropped.
pub async fn serve_on(listener: TcpListener, sources: Sources) -> Infallible {
    let router = router(sources);
    // Dropping the set ends the connections with the server.
    let mut open = JoinSet::new();
    let handle = |(stream, _)| {
        let served = timeout(CONNECTION_LIMIT, connection(stream, router.clone()));
        // What takes too long is dropped.
        Some(async move { drop(served.await) })
    };
    accept_loop::run(CONNECTIONS, &mut open, || listener.accept(), handle).await
}

async fn connection(stream: TcpStream, router: Router) {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(16 * 1024);
    // What goes wrong on a connection is its client's loss.
    let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

fn router(sources: Sources) -> Router {
    Router::new()
        .route("/metrics", get(serve_metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there are /metrics, /livez, /readyz and /status\n") })
        .layer(from_fn(refuse_bodies))
        .with_state(sources)
}

async fn refuse_bodies(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if length || headers.contains_key(header::TRANSFER_ENCODING) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "nothing here takes a body\n").into_response();
    }
    next.run(request).await
}

async fn serve_metrics(State(sources): State<Sources>) -> Response {
    ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], openmetrics::text(&sources.registry)).into_response()
}

async fn status(State(sources): State<Sources>) -> Response {
    let view = Arc::clone(&sources.view.borrow());
    Json(&view.status).into_response()
}

async fn livez(State(sources): State<Sources>) -> Response {
    let live = sources.view.borrow().health.live(clock::now());
    answer(live)
}

async fn readyz(State(sources): State<Sources>) -> Response {
    let ready = sources.view.borrow().health.ready();
    answer(ready)
}

fn answer(outcome: Result<(), String>) -> Response {
    match outcome {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
