//! What a registry is asked: all of [`Registry`]. Each act's requests are with what it moves, in `upload` and `manifests`.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use rustls::pki_types::CertificateDer;

use super::credentials::Credentials;
use super::digest::{Descriptor, Digest};
use super::error::RegistryError;
use super::limits::RegistryLimits;
use super::location::Origin;
use super::manifests::{self, Manifest};
use super::reference::{ImageReference, host_and_port};
use super::retry::Retry;
use super::token::{GrantedRights, RepositoryPath};
use super::transport::{RegistryRequest, Transport, confirmed};
use super::upload::{self, Upload};
use crate::http_client::tls;
use crate::http_client::tls::Trust;

/// How registries are spoken to.
#[derive(Default)]
pub struct RegistryOptions {
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
    transport: Transport,
}

impl Registry {
    /// Connects to nobody yet.
    pub fn new(options: RegistryOptions) -> Result<Self, RegistryError> {
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

    fn place(&self, reference: &ImageReference) -> RepositoryPath {
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
    pub async fn has_blob(&self, reference: &ImageReference, digest: Digest) -> Result<bool, RegistryError> {
        let what = format!("look for {digest} in {reference}");
        let place = self.place(reference);
        let mut retry = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = retry.once(upload::look(&self.transport, &place, digest, None, &what)).await {
                return ended;
            }
        }
    }

    /// Has the registry take over a blob from another of its repositories. False: it would rather have it uploaded.
    pub async fn mount(&self, reference: &ImageReference, from: &str, digest: Digest) -> Result<bool, RegistryError> {
        let what = format!("mount {digest} from {from} in {reference}");
        let place = RepositoryPath { also: Some(from.to_owned()), ..self.place(reference) };
        let mut retry = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = retry.once(self.mount_once(&place, from, digest, &what)).await {
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
        reference: &ImageReference,
        source: File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Descriptor, RegistryError> {
        let what = format!("upload a blob to {reference}");
        let place = self.place(reference);
        let mut upload = Upload::of(&self.transport, place, Arc::new(source), what.clone(), progress)?;
        let mut retry = Retry::at(what, &self.transport.limits);
        loop {
            if let Some(ended) = retry.once(Box::pin(upload.attempt())).await {
                return ended;
            }
        }
    }

    /// Puts a small blob there, unless it is there.
    pub async fn upload_bytes(&self, reference: &ImageReference, bytes: &[u8]) -> Result<Descriptor, RegistryError> {
        let of = Descriptor::of(bytes);
        let what = format!("upload {} to {reference}", of.digest);
        let place = self.place(reference);
        let mut retry = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = retry.once(upload::small(&self.transport, &place, bytes, of, &what)).await {
                return ended.map(|()| of);
            }
        }
    }

    /// Puts a manifest under a tag or its own digest, and reads it back.
    pub async fn put_manifest(
        &self,
        reference: &ImageReference,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        let what = format!("put {name} into {}", manifests::at(reference));
        let place = self.place(reference);
        let mut request = RegistryRequest::new(Method::PUT, place.target(&format!("manifests/{name}")), &what);
        request.content = Some(media_type.to_owned());
        request.body = Bytes::copy_from_slice(bytes);
        let mut retry = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = retry.once(manifests::put_once(&self.transport, &place, name, &request)).await {
                return ended;
            }
        }
    }

    /// What a tag or digest stands for; none if nothing does.
    pub async fn manifest(&self, reference: &ImageReference, name: &str) -> Result<Option<Manifest>, RegistryError> {
        let what = format!("read {name} of {}", manifests::at(reference));
        let place = self.place(reference);
        let mut retry = Retry::at(what.clone(), &self.transport.limits);
        loop {
            if let Some(ended) = retry.once(manifests::read_once(&self.transport, &place, name, &what)).await {
                return ended;
            }
        }
    }
}
