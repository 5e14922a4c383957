//! `/livez`, `/readyz` and `/metrics` of `serve`: how it is, to whoever asks. Nothing of it is secret: counts, no names.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::ca::CertificateAuthority;
use super::identity::Authenticator;
use crate::cluster::client::ApiClient;
use crate::openmetrics::CONTENT_TYPE;
use crate::serve::jobs::counts::Counts;
use crate::serve::jobs::worker::Worker;
use crate::serve::metrics;
use crate::serve::metrics::Standing;
use crate::serve::retention;

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// Has our certificate.
    pub authority: Arc<CertificateAuthority>,
    /// Knows the CAs of callers.
    pub authenticator: Arc<Authenticator>,
    /// Does the work.
    pub worker: Arc<Worker>,
    /// Counted it.
    pub counts: Arc<Counts>,
    /// What became of archives.
    pub retained: Arc<retention::counts::Counts>,
    /// Whose requests are counted.
    pub api: ApiClient,
}

/// Needs no identity.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(sources)
}

/// Ready: the API server has been seen, so that callers and their rights can be, and others believe our certificate.
async fn readyz(State(sources): State<Sources>) -> Response {
    let closed = sources.worker.queue().is_closed();
    let stopping = if closed { Err("it is being stopped".to_owned()) } else { Ok(()) };
    match stopping.and_then(|()| sources.authority.ready()).and_then(|()| sources.authenticator.ready()) {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let queue = sources.worker.queue();
    let standing = Standing {
        counted: sources.counts.now(),
        busy: queue.busy(),
        running: queue.running(),
        api_requests: sources.api.requests().by_kind(),
    };
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics::encode(&standing, &sources.retained.now())).into_response()
}
