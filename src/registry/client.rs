//! What a registry is asked, and the limits of it.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use rustls::pki_types::CertificateDer;

use super::credentials::Credentials;
use super::digest::{Descriptor, Digest};
use super::error::RegistryError;
use super::location::{Origin, Target};
use super::reference::{Reference, host_and_port};
use super::retry::Retry;
use super::token::{GrantedRights, RepositoryPath};
use super::transport::{RegistryRequest, Transport, missing};
use crate::http_client;
use crate::http_client::tls;
use crate::http_client::tls::Trust;

/// How long everything may take.
#[derive(Debug, Clone, Copy)]
pub struct RegistryLimits {
    /// Name lookup, TCP and TLS of one connection.
    pub connect: Duration,
    /// From the last byte of a request to the head of its answer: a registry may move a large blob then.
    pub answer: Duration,
    /// Without a byte that goes on, in either direction.
    pub silence: Duration,
    /// One blob or manifest, all attempts and pauses included; also a whole push.
    pub total: Duration,
    /// How often something is tried before it failed.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            answer: seconds(300),
            silence: seconds(60),
            total: seconds(3600),
            attempts: 5,
            pause: seconds(1),
        }
    }
}

impl RegistryLimits {
    pub(super) fn wire(&self) -> http_client::ExchangeLimits {
        http_client::ExchangeLimits { connect: self.connect, answer: self.answer, silence: self.silence }
    }
}

/// How registries are spoken to.
#[derive(Default)]
pub struct Options {
    /// `HOST[:PORT]` of registries, and of the places that they lead to, that speak plain HTTP; nobody else is asked so.
    pub plain_http: Vec<String>,
    /// CAs besides the public ones.
    pub ca: Vec<CertificateDer<'static>>,
    /// Who we are where.
    pub credentials: Credentials,
    /// How long it may take.
    pub limits: RegistryLimits,
}

/// A client of any number of registries. Holds tokens, no connections.
pub struct Registry {
    pub(super) transport: Transport,
}

impl Registry {
    /// Connects to nobody yet.
    pub fn new(options: Options) -> Result<Self, RegistryError> {
        let plain = |text: &String| {
            let (host, port) = host_and_port(text).ok_or_else(|| RegistryError::PlainHost(text.clone()))?;
            Ok((host, port.unwrap_or(80)))
        };
        let plain = options.plain_http.iter().map(plain).collect::<Result<Vec<_>, RegistryError>>()?;
        let tls = tls::client(Trust::Public(options.ca), None)?;
        let (credentials, limits) = (options.credentials, options.limits);
        Ok(Self { transport: Transport { tls, plain, credentials, limits, held: GrantedRights::default() } })
    }

    /// How long everything may take.
    pub fn limits(&self) -> &RegistryLimits {
        &self.transport.limits
    }

    pub(super) fn place(&self, reference: &Reference) -> RepositoryPath {
        let (host, port) = (reference.host.as_str(), reference.port);
        let plain = self.transport.plain.iter().any(|(name, number)| name == host && *number == port.unwrap_or(80));
        // Docker Hub's name is not that of its registry.
        let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let known_by = if port == Some(443) { None } else { port };
        let authority = super::reference::authority(host, known_by);
        let origin = Origin::new(!plain, server, port);
        RepositoryPath { origin, authority, repository: reference.repository.clone(), also: None }
    }

    /// Whether the registry has a blob.
    pub async fn has_blob(&self, reference: &Reference, digest: Digest) -> Result<bool, RegistryError> {
        let what = format!("look for {digest} in {reference}");
        let place = self.place(reference);
        let mut tries = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = tries.once(self.look(&place, digest, None, &what)).await {
                return ended;
            }
        }
    }

    /// Whether it has a blob, which must be of that size if one is given.
    pub(super) async fn look(
        &self,
        place: &RepositoryPath,
        digest: Digest,
        size: Option<u64>,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let target = place.target(&format!("blobs/{digest}"));
        let answer = self.transport.ask(place, &RegistryRequest::new(Method::HEAD, target, what)).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(false),
            StatusCode::UNAUTHORIZED => return Err(self.transport.unauthorized(place, answer, what).await),
            _ => return Err(self.transport.refused(answer, what).await),
        }
        confirmed(&answer, digest, what)?;
        let length: Option<u64> = answer.header(&CONTENT_LENGTH).and_then(|length| length.parse().ok());
        match (size, length) {
            (Some(size), Some(length)) if size != length => {
                let found = format!("{length} bytes where {size} were sent");
                Err(RegistryError::Digest { what: what.to_owned(), expected: digest, found })
            }
            (Some(_), None) => Err(missing(what, "Content-Length")),
            _ => Ok(true),
        }
    }

    /// Has the registry take over a blob from another of its repositories. False: it would rather have it uploaded.
    pub async fn mount(&self, reference: &Reference, from: &str, digest: Digest) -> Result<bool, RegistryError> {
        let what = format!("mount {digest} from {from} in {reference}");
        let place = RepositoryPath { also: Some(from.to_owned()), ..self.place(reference) };
        let mut tries = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = tries.once(self.mount_once(&place, from, digest, &what)).await {
                return ended;
            }
        }
    }

    async fn mount_once(
        &self,
        place: &RepositoryPath,
        from: &str,
        digest: Digest,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let target = place.target("blobs/uploads/").with("mount", &digest.to_string()).with("from", from);
        let answer = self.transport.ask(place, &RegistryRequest::new(Method::POST, target, what)).await?;
        match answer.status() {
            StatusCode::CREATED => confirmed(&answer, digest, what).map(|()| true),
            // It has begun an upload instead, which ends by itself.
            StatusCode::ACCEPTED => Ok(false),
            StatusCode::UNAUTHORIZED => Err(self.transport.unauthorized(place, answer, what).await),
            _ => Err(self.transport.refused(answer, what).await),
        }
    }

    /// Streams a file up as a blob, hashing it once on the way, and looks whether it is there. `progress` hears how many
    /// bytes of it are under way; the number begins anew with another attempt.
    pub async fn upload(
        &self,
        reference: &Reference,
        source: File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Descriptor, RegistryError> {
        let what = format!("upload a blob to {reference}");
        let place = self.place(reference);
        let mut upload = super::upload::Upload::of(&self.transport, place, Arc::new(source), what.clone(), progress)?;
        let mut tries = Retry::at(what, &self.transport.limits);
        loop {
            if let Some(ended) = tries.once(Box::pin(upload.attempt(self))).await {
                return ended;
            }
        }
    }

    /// Puts a small blob there, unless it is there.
    pub async fn upload_bytes(&self, reference: &Reference, bytes: &[u8]) -> Result<Descriptor, RegistryError> {
        let of = Descriptor::of(bytes);
        let what = format!("upload {} to {reference}", of.digest);
        let place = self.place(reference);
        let mut tries = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = tries.once(self.small(&place, bytes, of, &what)).await {
                return ended.map(|()| of);
            }
        }
    }
}

impl RepositoryPath {
    /// A path of the repository.
    pub(super) fn target(&self, path: &str) -> Target {
        Target::new(self.origin.clone(), format!("/v2/{}/{path}", self.repository))
    }
}

/// A registry need not say what it has; if it does, that must be right.
pub(super) fn confirmed(answer: &http_client::Answer, digest: Digest, what: &str) -> Result<(), RegistryError> {
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
