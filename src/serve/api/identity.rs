//! Who asks: by the front proxy's word, a token, a certificate, or the word of another instance. What they may do is asked
//! elsewhere (`cluster::reviews`).
//!
//! A claim counts only with the credential that goes with it, and without it is not even read: `X-Remote-User` from anyone but
//! the API server, and a forwarded name from anyone but our own ServiceAccount, are nothing.

mod certificate;
mod client_ca;
mod forwarded;
#[cfg(fuzzing)]
pub mod fuzzed;
mod request_header;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;

use super::api_status::ApiStatus;
use super::listener::Peer;
use super::poll::Poll;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::reviews::{Caller, Reviews};
use client_ca::ClientCas;
pub use forwarded::headers as forwarded_headers;

/// Audience of the tokens that are meant for us.
pub const AUDIENCE: &str = "pod-checkpointer";
/// How often the CAs of callers are read again.
const LOOK: Duration = Duration::from_secs(120);

/// How it is known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The API server says so: the request came through the APIService.
    FrontProxy,
    /// A token of the caller's own.
    Token,
    /// A client certificate of the caller's own.
    Certificate,
    /// Another instance says so; the request must not be forwarded again.
    Forwarded,
}

/// Somebody who asks, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// User, groups and extras, as in a review.
    pub caller: Caller,
    /// By which proof the caller is known.
    pub via: Via,
}

/// Which proofs of identity are believed.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// Where all instances live.
    pub namespace: String,
    /// Name of the ServiceAccount that instances on other nodes have.
    pub service_account: String,
    /// Take tokens that are meant for the API server too.
    pub accept_api_tokens: bool,
}

/// Finds out who asks. [`Authenticator::keep`] must run beside it.
pub struct Authenticator {
    client: ApiClient,
    reviews: Reviews,
    settings: IdentitySettings,
    known: Mutex<Option<Arc<ClientCas>>>,
}

impl Authenticator {
    /// Asks nobody yet.
    pub fn new(client: ApiClient, reviews: Reviews, settings: IdentitySettings) -> Self {
        Self { client, reviews, settings, known: Mutex::default() }
    }

    /// Follows the CAs that callers' certificates are of, until dropped.
    pub async fn keep(&self) -> Infallible {
        let mut rounds = Poll::new("ConfigMap extension-apiserver-authentication", LOOK);
        loop {
            let outcome = self.look().await.map_err(|why| why.to_string());
            tokio::time::sleep(rounds.after(outcome)).await;
        }
    }

    /// One round of [`Authenticator::keep`].
    pub async fn look(&self) -> Result<(), ApiError> {
        let known = ClientCas::read(&self.client).await?;
        *self.known.lock() = Some(Arc::new(known));
        Ok(())
    }

    /// Whether callers through the APIService can be told; why not, where they cannot.
    pub fn ready(&self) -> Result<(), String> {
        self.known().map(|_| ()).ok_or_else(|| format!("ConfigMap {} has not been read yet", client_ca::PATH))
    }

    /// Who sent this: 401 where nobody known did, 503 where that cannot be found out now.
    pub async fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Identified, ApiStatus> {
        let known = self.known();
        if let Some(known) = &known
            && known.is_front_proxy(&peer.certificates)
            && let Some(caller) = request_header::caller(&known.names, headers)?
        {
            return Ok(Identified { caller, via: Via::FrontProxy });
        }
        if let Some(token) = bearer(headers)? {
            return self.by_token(token, headers).await;
        }
        if peer.certificates.is_empty() {
            return Err(ApiStatus::unauthorized(format!("nobody is named by this request; {HOW}")));
        }
        let known = known.ok_or_else(|| {
            ApiStatus::unavailable("the CAs of client certificates could not be read from the API server yet")
        })?;
        let caller = known.certified(&peer.certificates).ok_or_else(|| {
            ApiStatus::unauthorized(format!(
                "the client certificate is over, of no CA of this cluster, or names nobody; {HOW}"
            ))
        })?;
        Ok(Identified { caller, via: Via::Certificate })
    }

    async fn by_token(&self, token: &str, headers: &HeaderMap) -> Result<Identified, ApiStatus> {
        if let Some(caller) = self.holder(token, Some(AUDIENCE)).await? {
            let ours = format!("system:serviceaccount:{}:{}", self.settings.namespace, self.settings.service_account);
            if caller.user == ours
                && let Some(caller) = forwarded::caller(headers)?
            {
                return Ok(Identified { caller, via: Via::Forwarded });
            }
            return Ok(Identified { caller, via: Via::Token });
        }
        if self.settings.accept_api_tokens
            && let Some(caller) = self.holder(token, None).await?
        {
            return Ok(Identified { caller, via: Via::Token });
        }
        Err(ApiStatus::unauthorized(format!("the token is over, nobody's, or not for audience {AUDIENCE}; {HOW}")))
    }

    async fn holder(&self, token: &str, audience: Option<&str>) -> Result<Option<Caller>, ApiStatus> {
        self.reviews.authenticate(token, audience).await.map_err(|why| {
            tracing::warn!(error = %why, "cannot have a token reviewed");
            ApiStatus::unavailable("the API server cannot be asked whose token this is; try again")
        })
    }

    fn known(&self) -> Option<Arc<ClientCas>> {
        self.known.lock().clone()
    }
}

/// What would do.
const HOW: &str = "send `Authorization: Bearer $(kubectl create token SERVICEACCOUNT --audience pod-checkpointer)`, or a \
    client certificate of the cluster's CA, or ask through the API server with `pod-checkpointer checkpoint` or `proxy`";

/// RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiStatus> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then_some(token.trim())
    });
    match (token, all.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(ApiStatus::unauthorized(format!("only one `Authorization: Bearer TOKEN` is understood; {HOW}"))),
    }
}
