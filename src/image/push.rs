//! An archive, on its way to a registry as an image: layer, config, manifest, and last the index, which the tag names, so
//! that nobody finds half an image under it. Whether the archive is complete is for the caller to know.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use serde::Serialize;

use super::{INDEX, MANIFEST};
use crate::archive::metadata::Metadata;
use crate::registry::{Digest, ImageReference, Registry, RegistryError};

/// What is in the registry now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// `HOST[:PORT]/REPOSITORY:TAG`.
    pub reference: String,
    /// Digest of the index, which the tag names.
    pub digest: String,
    /// Of the layer, which is the archive.
    pub layer: String,
    /// Length of the archive.
    pub bytes: u64,
}

/// Why there is no image, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The archive is sealed, so that no runtime could restore it.
    #[error("a sealed archive cannot be an image: no runtime could restore it; open it with `archive unseal` first")]
    Sealed,
    /// It cannot be read.
    #[error("cannot read the archive: {0}")]
    Read(std::io::Error),
    /// What describes it cannot be written.
    #[error("cannot describe the image: {0}")]
    Describe(serde_json::Error),
    /// The registry could not be asked, or refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The whole of it took too long.
    #[error("{reference} was not pushed within {limit:?}")]
    Deadline {
        /// The tag that it was to have: `HOST[:PORT]/REPOSITORY:TAG`.
        reference: String,
        /// What the whole push may take.
        limit: Duration,
    },
}

/// First bytes of a sealed file (age v1).
const SEALED: &[u8] = b"age-encryption.org/";

/// Makes an image of a complete archive and pushes it. `progress` hears how many bytes of the archive are under way. What
/// is pushed again with the same name is replaced by the same.
pub async fn push(
    registry: &Registry,
    reference: &ImageReference,
    archive: File,
    metadata: &Metadata,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Pushed, PushError> {
    let limit = registry.limits().total;
    let pushed = tokio::time::timeout(limit, whole(registry, reference, archive, metadata, progress)).await;
    pushed.unwrap_or_else(|_| Err(PushError::Deadline { reference: reference.to_string(), limit }))
}

async fn whole(
    registry: &Registry,
    reference: &ImageReference,
    archive: File,
    metadata: &Metadata,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Pushed, PushError> {
    if is_sealed(&archive).map_err(PushError::Read)? {
        return Err(PushError::Sealed);
    }
    let layer = registry.upload(reference, archive, progress).await?;
    let image = super::image(metadata, layer, std::env::consts::ARCH).map_err(PushError::Describe)?;
    registry.upload_bytes(reference, &image.config).await?;
    let manifest = Digest::of(&image.manifest).to_string();
    registry.put_manifest(reference, &manifest, MANIFEST, &image.manifest).await?;
    let digest = registry.put_manifest(reference, &reference.tag, INDEX, &image.index).await?;
    Ok(Pushed {
        reference: reference.to_string(),
        digest: digest.to_string(),
        layer: layer.digest.to_string(),
        bytes: layer.size,
    })
}

/// By its content: a name can be anything.
pub fn is_sealed(archive: &File) -> std::io::Result<bool> {
    let mut begins = [0; SEALED.len()];
    match archive.read_exact_at(&mut begins, 0) {
        Ok(()) => Ok(begins == SEALED),
        Err(why) if why.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(why) => Err(why),
    }
}
