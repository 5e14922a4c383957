//! The interface described for programs: OpenAPI 2 and 3, as the API server's aggregator and `kubectl explain` read it. Made
//! by hand: the types are few, and what reads them is particular.

mod schema;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::checkpoint_api::{GROUP_VERSION, OPENAPI_URL};

/// A document and its digest.
#[derive(Clone)]
struct Document {
    body: Bytes,
    etag: String,
}

impl Document {
    fn of(value: &Value) -> Self {
        let body = Bytes::from(value.to_string());
        let etag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]);
        Self { body, etag }
    }

    /// The aggregator asks every minute, and says which one it has.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let quoted = format!("\"{}\"", self.etag);
        let known = headers.get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == quoted.as_bytes());
        let head = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache, private"), (ETAG, quoted.as_str())];
        if known { (StatusCode::NOT_MODIFIED, head).into_response() } else { (head, self.body.clone()).into_response() }
    }
}

/// The documents.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let group = Document::of(&schema::v3());
    // The hash lets a client keep what it has until this is another document.
    let root = json!({"paths": {format!("apis/{GROUP_VERSION}"):
        {"serverRelativeURL": format!("{OPENAPI_URL}?hash={}", group.etag)}}});
    [("/openapi/v2", Document::of(&schema::v2())), ("/openapi/v3", Document::of(&root)), (OPENAPI_URL, group)]
        .into_iter()
        .fold(Router::new(), |router, (path, document)| {
            let served =
                |State(document): State<Document>, headers: HeaderMap| async move { document.answer(&headers) };
            router.merge(Router::new().route(path, get(served)).with_state(document))
        })
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn asked(path: &str, tag: &str) -> (u16, String, Vec<u8>) {
        let request = Request::get(path).header(IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
        let answer = router::<()>().oneshot(request).await.unwrap();
        let tag = answer.headers()[ETAG].to_str().unwrap().to_owned();
        let status = answer.status().as_u16();
        (status, tag, to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn the_root_leads_to_the_groups_document() {
        let (_, _, root) = asked("/openapi/v3", "").await;
        let root: Value = serde_json::from_slice(&root).unwrap();
        let url = &root["paths"]["apis/checkpointer.alpha.coreos.com/v1alpha1"]["serverRelativeURL"];
        let (status, _, document) = asked(url.as_str().unwrap(), "").await;
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!((status, document["openapi"].as_str()), (200, Some("3.0.0")));
    }

    #[tokio::test]
    async fn who_has_the_document_is_not_sent_it_again() {
        for path in ["/openapi/v2", "/openapi/v3", OPENAPI_URL] {
            let (status, tag, body) = asked(path, "").await;
            assert!(status == 200 && !body.is_empty(), "{path}");
            let (status, _, body) = asked(path, &tag).await;
            assert!(status == 304 && body.is_empty(), "{path}");
        }
    }
}
