//! Whether the kubelet would start a container from an image that is already on the node, for a pod without any
//! credentials, as a static pod is (KEP-2535, on since 1.35). Reads the records that the kubelet keeps of its pulls; format
//! and rules: `ImagePulledRecord` of `kubelet.config.k8s.io/v1beta1`, kubernetes `pkg/kubelet/images/pullmanager`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::kubelet::{KubeletConfig, KubeletDir, KubeletError, parse, read};
use crate::hex::Hex;

/// What the kubelet will do when a pod without credentials names an image of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageAccess {
    /// The image may be used without asking for credentials.
    Free,
    /// Pull it again first, which needs the registry and fails there without credentials.
    Repull,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    image_ref: String,
    #[serde(default)]
    credential_mapping: BTreeMap<String, Credentials>,
}

/// Which secrets and service accounts pulled it does not matter here: a static pod has neither.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(default)]
    node_pods_accessible: bool,
}

/// The records and the policy, read once for any number of images.
#[derive(Debug)]
pub struct PullRecords {
    /// `None`: this kubelet keeps none, so it does not check either.
    dir: Option<PathBuf>,
    config: KubeletConfig,
}

impl PullRecords {
    /// The records of the kubelet whose directory this is.
    pub fn of(kubelet: &KubeletDir) -> Result<Self, KubeletError> {
        if !kubelet.path().is_dir() {
            return Err(KubeletError::NoDirectory { path: kubelet.path().to_owned() });
        }
        // A kubelet that checks makes this directory when it starts.
        let dir = kubelet.path().join("image_manager");
        Ok(Self { dir: dir.is_dir().then_some(dir), config: kubelet.config()?.unwrap_or_default() })
    }

    /// For an image as a pod writes it, and the runtime's id of it.
    pub fn access(&self, image: &str, id: &str) -> Result<ImageAccess, KubeletError> {
        let Some(dir) = &self.dir else { return Ok(ImageAccess::Free) };
        let path = dir.join("pulled").join(file_name(id));
        let record = match read(&path)?.map(|text| parse::<Record>(&path, "ImagePulledRecord", &text)) {
            // What the kubelet cannot read it takes for no permission.
            Some(Err(_)) => return Ok(ImageAccess::Repull),
            Some(Ok(record)) if record.image_ref == id => Some(record),
            _ => None,
        };
        let by_kubelet = record.is_some() || dir.join("pulling").join(file_name(image)).exists();
        if !self.verifies(image, by_kubelet) {
            return Ok(ImageAccess::Free);
        }
        let open =
            record.is_some_and(|r| r.credential_mapping.get(name(image)).is_some_and(|c| c.node_pods_accessible));
        Ok(if open { ImageAccess::Free } else { ImageAccess::Repull })
    }

    /// `imagePullCredentialsVerificationPolicy`: does the kubelet ask for credentials at all?
    fn verifies(&self, image: &str, pulled_by_kubelet: bool) -> bool {
        if self.config.feature_gates.get("KubeletEnsureSecretPulledImages") == Some(&false) {
            return false;
        }
        match self.config.image_pull_credentials_verification_policy.as_str() {
            "NeverVerify" => false,
            "AlwaysVerify" => true,
            "NeverVerifyAllowlistedImages" => {
                let allowed = |pattern: &String| match pattern.strip_suffix('*') {
                    Some(prefix) => name(image).starts_with(prefix),
                    None => name(image) == pattern,
                };
                !self.config.preloaded_images_verification_allowlist.iter().any(allowed)
            }
            // NeverVerifyPreloadedImages, the default
            _ => pulled_by_kubelet,
        }
    }
}

/// Records are named after a hash, since references hold slashes and colons.
fn file_name(reference: &str) -> String {
    format!("sha256-{}", Hex(&Sha256::digest(reference.as_bytes())))
}

/// An image without its tag and digest. The colon of a registry's port stands before the last slash.
fn name(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests;
