//! `<sealed archive>.json`: what must be known of a sealed archive without its key: whose it is, for retention and for
//! `archive ls`. It is no proof of anything; whoever can write beside the archive can write it.

use serde::{Deserialize, Serialize};

use super::metadata::Metadata;

/// Ending of the file, after that of the sealed archive.
pub const ENDING: &str = ".json";
/// Longest that is read.
pub const LONGEST: u64 = 64 << 10;
const FORMAT: u32 = 1;

/// What stands beside a sealed archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    format: u32,
    /// Whose it is, as the archive said before it was sealed.
    pub metadata: Metadata,
    /// Bytes of the archive before it was sealed.
    pub size: u64,
    /// Subject of the certificate that it is sealed to.
    pub recipient: String,
}

/// A file that is no sidecar of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// Not JSON of this form.
    #[error("it is not the description of a sealed archive: {0}")]
    Form(String),
    /// Of a later version.
    #[error("it is of format {0}, which this version does not know; use a newer one")]
    Format(u32),
}

impl Sidecar {
    /// Describes an archive of `size` bytes.
    pub fn new(metadata: Metadata, size: u64, recipient: String) -> Self {
        Self { format: FORMAT, metadata, size, recipient }
    }

    /// Reads the JSON that lies beside a sealed archive.
    pub fn parse(text: &[u8]) -> Result<Self, SidecarError> {
        let found: Self = serde_json::from_slice(text).map_err(|why| SidecarError::Form(why.to_string()))?;
        if found.format == FORMAT { Ok(found) } else { Err(SidecarError::Format(found.format)) }
    }

    /// As it is written.
    pub fn to_json(&self) -> Result<String, SidecarError> {
        let text = serde_json::to_string_pretty(self).map_err(|why| SidecarError::Form(why.to_string()))?;
        Ok(text + "\n")
    }
}
