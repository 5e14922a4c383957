//! `/livez`, `/readyz` and `/metrics` of `serve`: how it is, to whoever asks. Nothing of it is secret: counts, no names.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;

use super::ca::CertificateAuthority;
use super::identity::Authenticator;
use crate::openmetrics;
use crate::serve::jobs::worker::Worker;

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// Has the CA and the serving certificate, without which this instance is not ready.
    pub authority: Arc<CertificateAuthority>,
    /// Knows the CAs of callers.
    pub authenticator: Arc<Authenticator>,
    /// Takes jobs, or has been told to stop.
    pub worker: Arc<Worker>,
    /// All metrics of `serve`.
    pub registry: Arc<Registry>,
}

/// `/livez`, `/readyz` and `/metrics`, for which nobody has to say who asks.
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
    ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], openmetrics::text(&sources.registry)).into_response()
}
