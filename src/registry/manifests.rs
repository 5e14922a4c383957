//! Manifests and indexes, put and read back.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};

use super::digest::Digest;
use super::error::RegistryError;
use super::reference::ImageReference;
use super::token::RepositoryPath;
use super::transport::{RegistryRequest, Transport, confirmed};

/// A manifest or index, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Media type, as the registry says it.
    pub media_type: String,
    /// As they came, byte for byte: the digest is of them.
    pub bytes: Bytes,
    /// Digest of the bytes, computed here.
    pub digest: Digest,
}

/// What the distribution spec has registries take.
const LONGEST: usize = 4 << 20;
const ANY: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                   application/vnd.docker.distribution.manifest.list.v2+json, \
                   application/vnd.docker.distribution.manifest.v2+json";

/// Puts it, and reads it back.
pub(super) async fn put_once(
    transport: &Transport,
    place: &RepositoryPath,
    name: &str,
    request: &RegistryRequest,
) -> Result<Digest, RegistryError> {
    let (digest, what) = (Digest::of(&request.body), request.what.as_str());
    let answer = transport.ask(place, request).await?;
    match answer.status() {
        // 202 and 204: seen from registries behind a proxy of their own.
        StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => confirmed(&answer, digest, what)?,
        StatusCode::UNAUTHORIZED => return Err(transport.unauthorized(place, answer, what).await),
        _ => return Err(transport.refused(answer, what).await),
    }
    let found = match read_once(transport, place, name, what).await? {
        Some(back) if back.bytes == request.body => return Ok(digest),
        Some(back) => back.digest.to_string(),
        None => "nothing".to_owned(),
    };
    Err(RegistryError::Digest { what: what.to_owned(), expected: digest, found })
}

/// Reads what a tag or digest stands for.
pub(super) async fn read_once(
    transport: &Transport,
    place: &RepositoryPath,
    name: &str,
    what: &str,
) -> Result<Option<Manifest>, RegistryError> {
    let mut request = RegistryRequest::new(Method::GET, place.target(&format!("manifests/{name}")), what);
    request.accept = Some(ANY);
    let answer = transport.ask(place, &request).await?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::UNAUTHORIZED => return Err(transport.unauthorized(place, answer, what).await),
        _ => return Err(transport.refused(answer, what).await),
    }
    let media_type = answer.header(&CONTENT_TYPE).unwrap_or_default().to_owned();
    let claimed = answer.headers().get("docker-content-digest").cloned();
    let wire = |why| RegistryError::Wire { what: what.to_owned(), why };
    let bytes = answer.bytes(LONGEST).await.map_err(wire)?;
    let digest = Digest::of(&bytes);
    // Asked for by digest, or named by one: the bytes must be that.
    let named = [Digest::parse(name), claimed.and_then(|claimed| Digest::parse(claimed.to_str().ok()?))];
    match named.into_iter().flatten().find(|named| *named != digest) {
        Some(expected) => Err(RegistryError::Digest { what: what.to_owned(), expected, found: digest.to_string() }),
        None => Ok(Some(Manifest { media_type, bytes, digest })),
    }
}

/// A repository, for errors.
pub(super) fn at(reference: &ImageReference) -> String {
    format!("{}/{}", reference.authority(), reference.repository)
}
