//! Blobs on their way up. A file goes in one PATCH, so that its digest need not be known before it is sent; a registry that
//! takes no PATCH gets it in one PUT after it was hashed. Another attempt begins from the start: half an upload is nothing
//! that anybody could vouch for.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::blob_body;
use super::digest::{Descriptor, Digest};
use super::error::RegistryError;
use super::location::Target;
use super::token::RepositoryPath;
use super::transport::{RegistryRequest, Transport, confirmed, missing};
use crate::http_client::{HttpAnswer, WireError};

const OCTETS: &str = "application/octet-stream";
/// How often it is looked how far it has come.
const LOOK: Duration = Duration::from_millis(100);

/// A file that is to be a blob, and what is known of it and of the registry after failed attempts.
pub(super) struct Upload<'a> {
    transport: &'a Transport,
    place: RepositoryPath,
    source: Arc<File>,
    size: u64,
    what: String,
    progress: &'a (dyn Fn(u64) + Sync),
    digest: Option<Digest>,
    one_put: bool,
}

impl<'a> Upload<'a> {
    pub(super) fn of(
        transport: &'a Transport,
        place: RepositoryPath,
        source: Arc<File>,
        what: String,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Self, RegistryError> {
        let size = blob_body::size(&source)?;
        Ok(Self { transport, place, source, size, what, progress, digest: None, one_put: false })
    }

    /// From the start.
    pub(super) async fn attempt(&mut self) -> Result<Descriptor, RegistryError> {
        if let Some(known) = self.there().await? {
            return Ok(known);
        }
        if !self.one_put {
            if let Some(digest) = self.in_pieces().await? {
                return self.arrived(digest).await;
            }
            tracing::info!("{} takes no streamed uploads: hashing first, then one PUT", self.place.origin.authority());
            self.one_put = true;
        }
        let digest = match self.digest {
            Some(digest) => digest,
            None => {
                joined(blob_body::digest(Arc::clone(&self.source), self.size)).await?.ok_or_else(|| self.unread())?
            }
        };
        self.digest = Some(digest);
        if let Some(known) = self.there().await? {
            return Ok(known);
        }
        let session = session(self.transport, &self.place, &self.what).await?;
        let (answer, read) = self.send_stream(Method::PUT, session.with_digest(digest)).await?;
        if answer.status() == StatusCode::CREATED && read != Some(digest) {
            return Err(self.other(digest, read));
        }
        created(self.transport, &self.place, answer, digest, &self.what).await?;
        self.arrived(digest).await
    }

    /// An earlier attempt may have succeeded without our hearing of it.
    async fn there(&self) -> Result<Option<Descriptor>, RegistryError> {
        let Some(digest) = self.digest else { return Ok(None) };
        let there = look(self.transport, &self.place, digest, Some(self.size), &self.what).await?;
        Ok(there.then_some(Descriptor { digest, size: self.size }))
    }

    /// POST, PATCH, PUT. None if the registry takes no PATCH.
    async fn in_pieces(&mut self) -> Result<Option<Digest>, RegistryError> {
        let session = session(self.transport, &self.place, &self.what).await?;
        let (answer, digest) = self.send_stream(Method::PATCH, session.clone()).await?;
        self.digest = digest.or(self.digest);
        match answer.status() {
            // 204: some storage behind a registry.
            StatusCode::ACCEPTED | StatusCode::CREATED | StatusCode::NO_CONTENT => {}
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::RANGE_NOT_SATISFIABLE
            | StatusCode::NOT_IMPLEMENTED => return Ok(None),
            StatusCode::UNAUTHORIZED => return Err(self.transport.unauthorized(&self.place, answer, &self.what).await),
            _ => return Err(self.transport.refused(answer, &self.what).await),
        }
        let Some(digest) = digest else {
            let why = "it was content before it had everything".to_owned();
            return Err(RegistryError::Nonsense { what: self.what.clone(), why });
        };
        let next = self.transport.next(&session, &answer)?.unwrap_or(session);
        let request = RegistryRequest::new(Method::PUT, next.with_digest(digest), &self.what);
        let answer = self.transport.ask(&self.place, &request).await?;
        created(self.transport, &self.place, answer, digest, &self.what).await?;
        Ok(Some(digest))
    }

    /// Sends the whole file; with its digest, if it was read to the end.
    async fn send_stream(&self, method: Method, target: Target) -> Result<(HttpAnswer, Option<Digest>), RegistryError> {
        let sent = Arc::new(AtomicU64::new(0));
        let (body, reading) = blob_body::stream(Arc::clone(&self.source), self.size, Arc::clone(&sent));
        let mut request = RegistryRequest::new(method, target, &self.what);
        request.content = Some(OCTETS.to_owned());
        let answer = self.watched(&sent, self.transport.send_stream(&self.place, &request, body)).await;
        // If the file is why the body broke off, that is the better reason.
        let digest = joined(reading).await?;
        Ok((answer?, digest))
    }

    /// Until it is answered, or nothing has moved for too long.
    async fn watched<T>(
        &self,
        sent: &AtomicU64,
        exchange: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let mut exchange = std::pin::pin!(exchange);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut since) = (0, Instant::now());
        loop {
            tokio::select! {
                biased;
                answer = &mut exchange => {
                    (self.progress)(sent.load(Ordering::Relaxed));
                    return answer;
                }
                _ = look.tick() => {}
            }
            let now = sent.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
                (self.progress)(now);
            }
            let limits = &self.transport.limits;
            let limit = if now == self.size { limits.answer } else { limits.silence };
            if since.elapsed() > limit {
                let why = WireError::Silent { host: self.place.origin.authority(), limit };
                return Err(RegistryError::Wire { what: self.what.clone(), why });
            }
        }
    }

    /// Looks whether it is there, whole.
    async fn arrived(&self, digest: Digest) -> Result<Descriptor, RegistryError> {
        must_have(self.transport, &self.place, Descriptor { digest, size: self.size }, &self.what).await
    }

    fn unread(&self) -> RegistryError {
        RegistryError::Source(std::io::Error::other(format!("it was not read to the end to {}", self.what)))
    }

    /// The file was another one when it was hashed.
    fn other(&self, digest: Digest, read: Option<Digest>) -> RegistryError {
        let found = read.map_or_else(|| "part of it".to_owned(), |read| read.to_string());
        RegistryError::Digest { what: self.what.clone(), expected: digest, found }
    }
}

/// Whether it has a blob, which must be of that size if one is given.
pub(super) async fn look(
    transport: &Transport,
    place: &RepositoryPath,
    digest: Digest,
    size: Option<u64>,
    what: &str,
) -> Result<bool, RegistryError> {
    let target = place.target(&format!("blobs/{digest}"));
    let answer = transport.ask(place, &RegistryRequest::new(Method::HEAD, target, what)).await?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(false),
        StatusCode::UNAUTHORIZED => return Err(transport.unauthorized(place, answer, what).await),
        _ => return Err(transport.refused(answer, what).await),
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

/// Begins an upload; the place to send it to.
async fn session(transport: &Transport, place: &RepositoryPath, what: &str) -> Result<Target, RegistryError> {
    let request = RegistryRequest::new(Method::POST, place.target("blobs/uploads/"), what);
    let answer = transport.ask(place, &request).await?;
    match answer.status() {
        StatusCode::ACCEPTED => transport.next(&request.target, &answer)?.ok_or_else(|| missing(what, "Location")),
        StatusCode::UNAUTHORIZED => Err(transport.unauthorized(place, answer, what).await),
        _ => Err(transport.refused(answer, what).await),
    }
}

/// The last answer of an upload.
async fn created(
    transport: &Transport,
    place: &RepositoryPath,
    answer: HttpAnswer,
    digest: Digest,
    what: &str,
) -> Result<(), RegistryError> {
    match answer.status() {
        // 204: some storage behind a registry.
        StatusCode::CREATED | StatusCode::NO_CONTENT => confirmed(&answer, digest, what),
        StatusCode::UNAUTHORIZED => Err(transport.unauthorized(place, answer, what).await),
        _ => Err(transport.refused(answer, what).await),
    }
}

/// A small blob in one PUT, unless it is there.
pub(super) async fn small(
    transport: &Transport,
    place: &RepositoryPath,
    bytes: &[u8],
    of: Descriptor,
    what: &str,
) -> Result<(), RegistryError> {
    if look(transport, place, of.digest, Some(of.size), what).await? {
        return Ok(());
    }
    let session = session(transport, place, what).await?;
    let mut request = RegistryRequest::new(Method::PUT, session.with_digest(of.digest), what);
    request.content = Some(OCTETS.to_owned());
    request.body = Bytes::copy_from_slice(bytes);
    let answer = transport.ask(place, &request).await?;
    created(transport, place, answer, of.digest, what).await?;
    must_have(transport, place, of, what).await.map(drop)
}

/// What was uploaded is there.
async fn must_have(
    transport: &Transport,
    place: &RepositoryPath,
    of: Descriptor,
    what: &str,
) -> Result<Descriptor, RegistryError> {
    if look(transport, place, of.digest, Some(of.size), what).await? {
        return Ok(of);
    }
    let found = "that it has no such blob".to_owned();
    Err(RegistryError::Digest { what: what.to_owned(), expected: of.digest, found })
}

/// What a thread that read came to.
async fn joined(reading: blob_body::ReadTask) -> Result<Option<Digest>, RegistryError> {
    reading.await.map_err(|why| RegistryError::Source(std::io::Error::other(why.to_string())))?
}
