//! The source documents' URLs, carried out behind the API server. What takes longer than the API server lets a request last is
//! waited for here, so a synchronous call stays one.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::Proxy;
use crate::checkpoint_api::{self, APISERVICE};
use crate::cli::service_api::url::Target;
use crate::cli::service_api::{AskError, Reply, ask, settled};
use crate::serve::api::api_status::ApiStatus;

/// As `serve` has it.
const MOST: usize = 64 << 10;

/// `POST /api/v1/namespaces/{namespace}/pods/{pod}/checkpoint`
pub(super) async fn archives(
    State(proxy): State<Proxy>,
    Path((namespace, pod)): Path<(String, String)>,
    body: Body,
) -> Result<Response, ApiStatus> {
    let target = target(&namespace, &pod, None)?;
    let reply = proxy.made_by(&target, &target.archives(), whole(body).await?, true).await?;
    Ok(answered(reply))
}

/// `POST /checkpoint/{namespace}/{pod}/{container}`
pub(super) async fn image(
    State(proxy): State<Proxy>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    body: Body,
) -> Result<Response, ApiStatus> {
    let target = target(&namespace, &pod, Some(&container))?;
    let body = whole(body).await?;
    // What cannot be read is for `serve` to refuse.
    let order: Value = serde_json::from_slice(&body).unwrap_or_default();
    let waits = order.get("async").and_then(Value::as_bool) != Some(true);
    let mut reply = proxy.made_by(&target, &target.image(&container), body, waits).await?;
    if waits && reply.status == StatusCode::OK {
        // As if it had been answered at once.
        reply.status = StatusCode::CREATED;
    }
    Ok(answered(reply))
}

/// Query of [`state`].
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(rename = "checkpointIdentifier")]
    identifier: Option<String>,
    /// Seconds; without, until it is done.
    wait: Option<u64>,
}

/// `GET /checkpoint?checkpointIdentifier=…[&wait=N]`
pub(super) async fn state(State(proxy): State<Proxy>, Query(asked): Query<Asked>) -> Result<Response, ApiStatus> {
    let identifier = asked.identifier.filter(|text| !text.is_empty() && text.len() <= 512);
    let identifier = identifier.ok_or_else(|| {
        ApiStatus::bad_request(
            "ask for one checkpoint: /checkpoint?checkpointIdentifier=NODE:HEX, as it was answered before",
        )
    })?;
    let path = match proxy.namespace_of(&identifier) {
        Some(namespace) => checkpoint_api::checkpoint_url(&namespace, &identifier),
        None => checkpoint_api::checkpoint_anywhere_url(&identifier),
    };
    let within = asked.wait.map(Duration::from_secs);
    let reply = settled(&proxy.client, &path, within).await.map_err(|why| refused(&why))?;
    Ok(answered(reply))
}

/// Everything else on the service's address.
pub(super) async fn unknown() -> ApiStatus {
    ApiStatus::not_found(
        "here are POST /checkpoint/NAMESPACE/POD/CONTAINER and GET /checkpoint?checkpointIdentifier=…; the API server is on \
         the other address",
    )
}

impl Proxy {
    async fn made_by(&self, target: &Target, path: &str, body: Bytes, waits: bool) -> Result<Reply, ApiStatus> {
        let reply = ask(&self.client, Method::POST, path, body).await.map_err(|why| refused(&why))?;
        let Some(identifier) = reply.identifier() else { return Ok(reply) };
        self.remember(&identifier, &target.namespace);
        if !waits {
            return Ok(reply);
        }
        let path = checkpoint_api::checkpoint_url(&target.namespace, &identifier);
        settled(&self.client, &path, None).await.map_err(|why| {
            let said = format!("{why}; checkpoint {identifier} may go on: ask for it again");
            ApiStatus::gateway_timeout(said)
        })
    }
}

fn target(namespace: &str, pod: &str, container: Option<&str>) -> Result<Target, ApiStatus> {
    Target::new(namespace, pod, container).map_err(|why| ApiStatus::bad_request(why.to_string()))
}

async fn whole(body: Body) -> Result<Bytes, ApiStatus> {
    let too_large = |_| ApiStatus::too_large(format!("the body broke off or is longer than {MOST} bytes"));
    to_bytes(body, MOST).await.map_err(too_large)
}

fn refused(why: &AskError) -> ApiStatus {
    match why {
        AskError::Unreachable(_) | AskError::TooLong => ApiStatus::bad_gateway(why.to_string()),
        AskError::Silent(_) => ApiStatus::gateway_timeout(why.to_string()),
    }
}

/// Of a cluster without an APIService the API server says only that there is no such path.
fn answered(reply: Reply) -> Response {
    let ours = reply.json().is_some();
    if reply.status == StatusCode::NOT_FOUND && !ours {
        return ApiStatus::not_found(format!(
            "this cluster does not serve checkpoints: apply manifests/serve and manifests/apiservice, then see `kubectl get \
             apiservice {APISERVICE}`"
        ))
        .into_response();
    }
    let mut response = (reply.status, reply.body).into_response();
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = reply.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
