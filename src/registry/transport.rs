//! One request to a registry: with the right that was given before, or the one that its challenge asks for; redirects
//! followed where that is safe. Credentials go along to the registry's own server only.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::blob_body::RequestBody;
use super::challenge;
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::RegistryError;
use super::limits::RegistryLimits;
use super::location::{Origin, Target};
use super::retry::LONGEST_PAUSE;
use super::token::{self, AuthPlan, AuthorizationHeader, GrantedRights, RepositoryPath};
use crate::http_client;
use crate::http_client::{Host, HttpAnswer, TlsFailure, WireError};

/// A registry leads to its storage, seldom further.
const REDIRECTS: usize = 3;
/// What is read of an answer that says no, or gives a token.
const LONGEST_WORD: usize = 64 << 10;
/// What is repeated of it.
const LONGEST_SAID: usize = 400;

/// Asks registries. Holds the rights that were given.
pub(super) struct Transport {
    pub(super) tls: Arc<rustls::ClientConfig>,
    /// Host and port of servers that may be spoken to in plain text.
    pub(super) plain: Vec<(String, u16)>,
    pub(super) credentials: Credentials,
    pub(super) limits: RegistryLimits,
    pub(super) held: GrantedRights,
}

/// A request that can be made twice.
#[derive(Clone)]
pub(super) struct RegistryRequest {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) accept: Option<&'static str>,
    pub(super) content: Option<String>,
    pub(super) body: Bytes,
    /// The act and its object, for errors.
    pub(super) what: String,
}

impl RegistryRequest {
    /// Without a body.
    pub(super) fn new(method: Method, target: Target, what: &str) -> Self {
        Self { method, target, accept: None, content: None, body: Bytes::new(), what: what.to_owned() }
    }
}

impl Transport {
    /// Asks, if need be for the right to ask first. Only what reads follows redirects.
    pub(super) async fn ask(
        &self,
        place: &RepositoryPath,
        question: &RegistryRequest,
    ) -> Result<HttpAnswer, RegistryError> {
        let mut question = question.clone();
        let reads = matches!(question.method, Method::GET | Method::HEAD);
        let (mut challenged, mut followed, mut fresh) = (false, 0, None);
        loop {
            let at_home = question.target.origin == place.origin;
            let access = if at_home { fresh.clone().or_else(|| self.held.get(place)) } else { None };
            let answer = self.send(&question, access.as_ref(), RequestBody::Whole(Some(question.body.clone()))).await?;
            if answer.status() == StatusCode::UNAUTHORIZED && at_home && !challenged {
                challenged = true;
                self.held.forget(place);
                fresh = Some(self.authorize(place, answer, &question.what).await?);
                continue;
            }
            let Some(target) = self.redirected(&question, &answer).filter(|_| reads) else { return Ok(answer) };
            followed += 1;
            if followed > REDIRECTS {
                let (what, host) = (question.what, place.origin.authority());
                return Err(RegistryError::Redirects { what, host, limit: REDIRECTS });
            }
            question.target = target?;
        }
    }

    /// Sends a body that cannot be sent twice, with the right that is held. Anywhere else than home without any.
    pub(super) async fn send_stream(
        &self,
        place: &RepositoryPath,
        question: &RegistryRequest,
        body: RequestBody,
    ) -> Result<HttpAnswer, RegistryError> {
        let at_home = question.target.origin == place.origin;
        let access = if at_home { self.held.get(place) } else { None };
        let answer = self.send(question, access.as_ref(), body).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && at_home {
            self.held.forget(place);
            self.authorize(place, answer, &question.what).await?;
            return Err(RegistryError::Expired { what: question.what.clone() });
        }
        Ok(answer)
    }

    async fn send(
        &self,
        question: &RegistryRequest,
        access: Option<&AuthorizationHeader>,
        body: RequestBody,
    ) -> Result<HttpAnswer, RegistryError> {
        let host = self.host(&question.target.origin, &question.what)?;
        let unsent = |why: &dyn std::fmt::Display| RegistryError::Nonsense {
            what: question.what.clone(),
            why: format!("what it asks for cannot be sent: {why}"),
        };
        let mut limits = self.limits.exchange();
        let whole = match &body {
            RequestBody::Whole(bytes) => Some(bytes.as_ref().map_or(0, Bytes::len)),
            // Its sender watches it.
            RequestBody::Stream { .. } => None,
        };
        if whole.is_none() {
            limits.answer = self.limits.total;
        }
        let mut request = Request::builder().method(question.method.clone()).uri(question.target.path.as_str());
        request = request.header(USER_AGENT, concat!("pod-checkpointer/", env!("CARGO_PKG_VERSION")));
        if let Some(accept) = question.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(content) = &question.content {
            request = request.header(CONTENT_TYPE, content);
        }
        // An empty POST or PUT has a length too (RFC 9110 §8.6), and some servers insist.
        if whole == Some(0) && !matches!(question.method, Method::GET | Method::HEAD) {
            request = request.header(CONTENT_LENGTH, 0);
        }
        if let Some(access) = access {
            let mut value = HeaderValue::from_str(&access.header).map_err(|why| unsent(&why))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(body).map_err(|why| unsent(&why))?;
        let wire = |why| match why {
            WireError::Tls { why: TlsFailure::PlainText(_), .. } => {
                RegistryError::NoTls { host: question.target.origin.authority() }
            }
            why => RegistryError::Wire { what: question.what.clone(), why },
        };
        // A TLS connection in the making is large.
        Box::pin(http_client::exchange(&host, request, limits)).await.map_err(wire)
    }

    /// Where an answer leads, if it leads anywhere.
    fn redirected(&self, question: &RegistryRequest, answer: &HttpAnswer) -> Option<Result<Target, RegistryError>> {
        matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308)
            .then(|| self.next(&question.target, answer)?.ok_or_else(|| missing(&question.what, "Location")))
    }

    /// The place that `Location` names, if it may be gone to.
    pub(super) fn next(&self, from: &Target, answer: &HttpAnswer) -> Result<Option<Target>, RegistryError> {
        let Some(location) = answer.header(&LOCATION) else { return Ok(None) };
        let host = from.origin.authority();
        let target = from.resolve(location).map_err(|why| RegistryError::Location { host: host.clone(), why })?;
        self.host(&target.origin, &host)?;
        Ok(Some(target))
    }

    /// A server that may be asked; `from` led there.
    fn host(&self, origin: &Origin, from: &str) -> Result<Host, RegistryError> {
        let named = self.plain.iter().any(|(host, port)| *host == origin.host && *port == origin.port);
        if !origin.tls && !named {
            let (from, to, host) = (from.to_owned(), origin.url(), origin.authority());
            return Err(RegistryError::PlainHttp { from, to, host });
        }
        let tls = origin.tls.then(|| Arc::clone(&self.tls));
        Ok(Host { name: origin.host.clone(), port: origin.port, tls })
    }

    /// Gets the right that `answer`, a 401, asks for.
    async fn authorize(
        &self,
        place: &RepositoryPath,
        answer: HttpAnswer,
        what: &str,
    ) -> Result<AuthorizationHeader, RegistryError> {
        let headers: Vec<String> = answer
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        let Some(challenge) = challenge::parse(headers.iter().map(String::as_str)) else {
            let why = "it wants to know who asks, but neither by name and password nor by a token".to_owned();
            return Err(RegistryError::Nonsense { what: what.to_owned(), why });
        };
        let registry = place.origin.authority();
        let access = match token::plan(place, &challenge, &self.credentials) {
            AuthPlan::Use(access) => access,
            AuthPlan::Fetch(token_request) => self.fetch(place, token_request, what).await?,
            AuthPlan::Nobody => return Err(self.unauthorized(place, answer, what).await),
            AuthPlan::Foreign(realm) => {
                return Err(RegistryError::ForeignRealm { registry, realm: realm.authority() });
            }
            AuthPlan::Nowhere => {
                let why = super::location::BadLocation::Url;
                return Err(RegistryError::Location { host: registry, why });
            }
        };
        self.held.put(place, &access);
        Ok(access)
    }

    /// Asks a token server. It may not lead elsewhere: what it gets is a secret.
    async fn fetch(
        &self,
        place: &RepositoryPath,
        token_request: token::BearerTokenRequest,
        what: &str,
    ) -> Result<AuthorizationHeader, RegistryError> {
        self.host(&token_request.target.origin, &place.origin.authority())?;
        let what = format!("get a token from {} to {what}", token_request.target.origin.authority());
        let mut question = RegistryRequest::new(Method::GET, token_request.target, &what);
        if let Some(form) = &token_request.form {
            question.method = Method::POST;
            question.content = Some("application/x-www-form-urlencoded".to_owned());
            question.body = Bytes::copy_from_slice(form.as_bytes());
        }
        let access = token_request.header.map(AuthorizationHeader::lasting);
        let asked = Instant::now();
        let body = RequestBody::Whole(Some(question.body.clone()));
        let answer = self.send(&question, access.as_ref(), body).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(self.unauthorized(place, answer, &what).await);
            }
            _ => return Err(self.refused(answer, &what).await),
        }
        let wire = |why| RegistryError::Wire { what: what.clone(), why };
        let bytes = answer.bytes(LONGEST_WORD).await.map_err(wire)?;
        let why = || "it is no token".to_owned();
        token::read(&bytes, asked).ok_or_else(|| RegistryError::Nonsense { what: what.clone(), why: why() })
    }

    /// What to say of a 401 that stays one.
    pub(super) async fn unauthorized(&self, place: &RepositoryPath, answer: HttpAnswer, what: &str) -> RegistryError {
        let host = place.authority.clone();
        let known = self.credentials.login(&place.authority, &place.repository).is_some();
        let remedy = if known {
            format!(
                "are name and password in the docker configuration's entry for {host} right, and may they push there?"
            )
        } else if self.credentials.names_helpers() {
            format!(
                "the docker configuration leaves {host} to a credential helper, which is not run here: write an entry under \"auths\""
            )
        } else {
            format!("the docker configuration has no entry for {host}: `docker login {host}` writes one")
        };
        RegistryError::Unauthorized { what: what.to_owned(), host, said: self.said(answer).await, remedy }
    }

    /// What to say of any other no.
    pub(super) async fn refused(&self, answer: HttpAnswer, what: &str) -> RegistryError {
        let status = answer.status();
        let after = answer.header(&RETRY_AFTER).and_then(|after| after.trim().parse().ok());
        let after = after.map(|seconds| std::time::Duration::from_secs(seconds).min(LONGEST_PAUSE));
        RegistryError::Refused { what: what.to_owned(), status, said: self.said(answer).await, after }
    }

    /// The error codes in an answer (distribution spec, "Error Codes"), in brackets and without anything secret. Anything
    /// else that stands there is left out: it may be a page, and from anybody.
    async fn said(&self, answer: HttpAnswer) -> String {
        let Ok(bytes) = answer.bytes(LONGEST_WORD).await else { return String::new() };
        let Ok(Said { errors }) = serde_json::from_slice(&bytes) else { return String::new() };
        let one =
            |e: &SaidOne| if e.message.is_empty() { e.code.clone() } else { format!("{}: {}", e.code, e.message) };
        let all = errors.iter().take(3).map(one).collect::<Vec<_>>().join("; ");
        // Before it is cut: half a secret is one too.
        let all = self.credentials.hide(self.held.hide(all));
        let all: String = all.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_SAID).collect();
        if all.trim().is_empty() { String::new() } else { format!(" ({})", all.trim()) }
    }
}

/// A registry need not say what it has; if it does, that must be right.
pub(super) fn confirmed(answer: &HttpAnswer, digest: Digest, what: &str) -> Result<(), RegistryError> {
    const HEADER: http::HeaderName = http::HeaderName::from_static("docker-content-digest");
    match answer.header(&HEADER) {
        Some(found) if Digest::parse(found.trim()) != Some(digest) => {
            // Whatever it is, it is short and can be shown.
            let found: String = found.chars().filter(|c| !c.is_control()).take(100).collect();
            Err(RegistryError::Digest { what: what.to_owned(), expected: digest, found })
        }
        _ => Ok(()),
    }
}

/// An answer without a header that it must have.
pub(super) fn missing(what: &str, header: &str) -> RegistryError {
    RegistryError::Nonsense { what: what.to_owned(), why: format!("it has no {header}") }
}

#[derive(Deserialize)]
struct Said {
    errors: Vec<SaidOne>,
}

#[derive(Deserialize)]
struct SaidOne {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}
