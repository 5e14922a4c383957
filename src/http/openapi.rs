//! The interface described for programs: OpenAPI 2 and 3, as the API server's aggregator and `kubectl explain` read it. Made
//! by hand; nothing is derived from it.

use axum::Router;

/// The documents.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
}
