//! A request for a pod elsewhere, sent to the instance on that pod's node. Where that is follows from the Node and the
//! DaemonSet's pods as the API server knows them, never from the request.

mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use parking_lot::Mutex;

use super::api_status::ApiStatus;
use super::ca::CertificateAuthority;
use super::identity::forwarded_headers;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::cluster::reviews::Caller;
use crate::dns_name::check_name;
use crate::http_client::{ExchangeLimits, Host, HttpAnswer, WireError, exchange};
use target::Instances;

/// Asking the API server where.
const LOOKUP: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
/// No answer of an instance is longer.
const MOST: usize = 1 << 20;

/// Who we are, and where the others listen.
#[derive(Debug, Clone)]
pub struct ForwarderSettings {
    /// Where all instances live.
    pub namespace: String,
    /// Our own node: our own pod there says which DaemonSet is ours.
    pub node: String,
    /// TCP port of every instance.
    pub port: u16,
    /// Our token for audience `pod-checkpointer`; read anew each time.
    pub token_file: PathBuf,
}

/// Sends requests on to the instance that serves the pod's node.
pub struct Forwarder {
    client: ApiClient,
    authority: Arc<CertificateAuthority>,
    settings: ForwarderSettings,
    /// UID of our DaemonSet, once seen.
    daemon_set: Mutex<Option<String>>,
}

impl Forwarder {
    /// Asks nobody yet.
    pub fn new(client: ApiClient, authority: Arc<CertificateAuthority>, settings: ForwarderSettings) -> Self {
        Self { client, authority, settings, daemon_set: Mutex::default() }
    }

    /// Has `node`'s instance answer in the name of `caller`, who must have been identified here. The answer's head must come
    /// within `limit`.
    pub async fn send(
        &self,
        node: &str,
        caller: &Caller,
        method: Method,
        path_and_query: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Response, ApiStatus> {
        let host = self.locate(node).await?;
        let request = self.request(caller, method, path_and_query, body)?;
        let limits = ExchangeLimits { connect: CONNECT, answer: limit, silence: limit };
        let answer = exchange(&host, request, limits).await.map_err(|why| {
            tracing::warn!(%node, error = %why, "cannot forward a request");
            let said = format!("the instance on node {node} gave no answer: {why}");
            if matches!(why, WireError::Silent { .. }) {
                ApiStatus::gateway_timeout(said)
            } else {
                ApiStatus::bad_gateway(said)
            }
        })?;
        passed_on(node, answer)
    }

    async fn locate(&self, node: &str) -> Result<Host, ApiStatus> {
        let tls = self.authority.trust();
        let tls =
            tls.ok_or_else(|| ApiStatus::unavailable("the CA of the instances has not been read yet; try again"))?;
        check_name("node", node).map_err(|why| ApiStatus::not_found(why.to_string()))?;
        let object = requests::get_node(&self.client, node, LOOKUP).await.map_err(|why| match why {
            ApiError::NotFound(_) => ApiStatus::not_found(format!("there is no node {node}")),
            why => unknown("the Node", node, &why),
        })?;
        let daemon_set = self.daemon_set().await?;
        let pods = self.pods(node).await?;
        let address = target::address(&object, &pods, node, daemon_set.as_deref());
        let address = address.map_err(|why| ApiStatus::unavailable(format!("node {node}: {why}")))?;
        Ok(Host { name: address.to_string(), port: self.settings.port, tls: Some(tls) })
    }

    /// UID of the DaemonSet that we are of ourselves; none where we are not run by one.
    async fn daemon_set(&self) -> Result<Option<String>, ApiStatus> {
        let known = self.daemon_set.lock().clone();
        if known.is_some() {
            return Ok(known);
        }
        let found = target::daemon_set(&self.pods(&self.settings.node).await?, &self.settings.node);
        self.daemon_set.lock().clone_from(&found);
        Ok(found)
    }

    async fn pods(&self, node: &str) -> Result<Instances, ApiStatus> {
        let (client, namespace) = (&self.client, &self.settings.namespace);
        let list =
            requests::list_pods_of_app(client, namespace, target::DAEMON_SET, node, LOOKUP, Instances::parse).await;
        list.map_err(|why| unknown("the instances", node, &why))
    }

    fn request(
        &self,
        caller: &Caller,
        method: Method,
        path_and_query: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ApiStatus> {
        let path = &self.settings.token_file;
        let token = std::fs::read_to_string(path).map_err(|why| {
            tracing::warn!(path = %path.display(), error = %why, "cannot read our token for the other instances");
            ApiStatus::unavailable("the token for the other instances cannot be read here; see the logs")
        })?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.trim())).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let (Ok(bearer), true) = (bearer, path_and_query.starts_with('/')) else {
            return Err(ApiStatus::internal("the request cannot be forwarded: its path or our token is malformed"));
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path_and_query
            .parse()
            .map_err(|why| ApiStatus::bad_request(format!("the path cannot be forwarded: {why}")))?;
        *request.headers_mut() = forwarded_headers(caller)?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

fn unknown(what: &str, node: &str, why: &ApiError) -> ApiStatus {
    tracing::warn!(%node, error = %why, "cannot look up {what} to forward a request");
    ApiStatus::unavailable(format!("the API server does not say where node {node} is; try again"))
}

/// Status, kind and body; everything else in the head was between the two of us.
fn passed_on(node: &str, answer: HttpAnswer) -> Result<Response, ApiStatus> {
    if answer.status() == StatusCode::UNAUTHORIZED {
        tracing::warn!(%node, "the instance there does not know us: is our token of audience pod-checkpointer?");
        return Err(ApiStatus::bad_gateway(format!(
            "the instance on node {node} does not know this one; see its logs"
        )));
    }
    let (status, headers) = (answer.status(), answer.headers().clone());
    let pieces = futures::stream::try_unfold((answer, 0_usize), |(mut answer, read)| async move {
        let Some(piece) = answer.next().await.map_err(std::io::Error::other)? else { return Ok(None) };
        let read = read.saturating_add(piece.len());
        if read > MOST {
            return Err(std::io::Error::other(format!("the answer is longer than {MOST} bytes")));
        }
        Ok(Some((piece, (answer, read))))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = status;
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}
