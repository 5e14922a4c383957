//! A client of OCI registries (distribution spec 1.1): who is asked with which right, blobs streamed up and looked at,
//! manifests put and read back. Knows nothing of checkpoints: what an image is made of is `image`.

mod blob_body;
pub mod challenge;
mod client;
pub mod credentials;
pub mod digest;
mod error;
mod limits;
pub mod location;
mod manifests;
pub mod reference;
mod retry;
mod token;
mod transport;
mod upload;

pub use client::{Registry, RegistryOptions};
pub use credentials::Credentials;
pub use digest::{Descriptor, Digest};
pub use error::RegistryError;
pub use limits::RegistryLimits;
pub use manifests::Manifest;
pub use reference::ImageReference;
