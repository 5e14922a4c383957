//! Names of our files and directories beneath `/etc/kubernetes`. Pure.

use crate::pod::checkpoint::Tree;
use crate::pod::key::PodKey;

/// Where the kubelet reads static pods; wherever that is, the store's files are addressed so.
pub(super) const MANIFESTS: &str = "manifests";
/// Checkpoints kept aside.
pub(super) const INACTIVE: &str = "inactive-manifests";
/// When the API last answered; only where a checkpoint has a `max-offline`.
pub(super) const API_READ: &str = "checkpoint-last-api-read";
/// Which cluster the kubelet belongs to.
pub(super) const KUBELET: &str = "checkpoint-kubelet";
/// The cluster's identity.
pub(super) const CLUSTER: &str = "checkpoint-cluster";

const SUFFIX: &str = ".yaml";
const PREVIOUS_SUFFIX: &str = ".yaml.prev";
const KEPT_SUFFIX: &str = ".yaml.kept";
const LEGACY_SUFFIX: &str = ".json";
const HOLD_SUFFIX: &str = ".hold";

/// Where a copy of a checkpoint can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CopyPlace {
    /// `manifests/<ns>_<pod>.yaml`
    Active,
    /// `inactive-manifests/<ns>_<pod>.yaml`
    Inactive,
    /// `inactive-manifests/<ns>_<pod>.yaml.prev`
    Previous,
}

impl CopyPlace {
    /// The file's path.
    pub(super) fn path(self, key: &PodKey) -> String {
        let stem = key.file_stem();
        match self {
            Self::Active => format!("{MANIFESTS}/{stem}{SUFFIX}"),
            Self::Inactive => format!("{INACTIVE}/{stem}{SUFFIX}"),
            Self::Previous => format!("{INACTIVE}/{stem}{PREVIOUS_SUFFIX}"),
        }
    }
}

/// A name by which a file could be a manifest of ours, or of the original program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ManifestFile {
    /// `<ns>_<pod>.yaml`, `<ns>_<pod>.yaml.prev`
    Ours { key: PodKey, previous: bool },
    /// `<anything>.json`; whose it is only its content says.
    Legacy { name: String },
}

impl ManifestFile {
    /// What a name in one of the directories could be.
    pub(super) fn of(name: &str) -> Option<Self> {
        if name.starts_with('.') {
            return None;
        }
        if name.strip_suffix(LEGACY_SUFFIX).is_some() {
            return Some(Self::Legacy { name: name.to_owned() });
        }
        let (stem, previous) = match name.strip_suffix(PREVIOUS_SUFFIX) {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(SUFFIX)?, false),
        };
        PodKey::from_file_stem(stem).ok().map(|key| Self::Ours { key, previous })
    }
}

/// Files put aside for one pod before an operator must look.
pub(super) const KEPT_AT_MOST: u32 = 8;

/// Where a file goes that cannot be used and must not be lost; `n` counts from 0.
pub(super) fn kept(key: &PodKey, n: u32) -> String {
    let number = if n == 0 { String::new() } else { format!(".{n}") };
    format!("{INACTIVE}/{}{KEPT_SUFFIX}{number}", key.file_stem())
}

/// The operator's hold.
pub(super) fn hold(key: &PodKey) -> String {
    format!("{INACTIVE}/{}{HOLD_SUFFIX}", key.file_stem())
}

/// Whose hold a name in the inactive directory is.
pub(super) fn held(name: &str) -> Option<PodKey> {
    PodKey::from_file_stem(name.strip_suffix(HOLD_SUFFIX)?).ok()
}

/// The directory of a pod's assets in one tree.
pub(super) fn pod_dir(tree: Tree, key: &PodKey) -> String {
    format!("{}/{}/{}", tree.dir(), key.namespace(), key.name())
}

/// Whether a name in the inactive directory is one of [`kept`].
pub(super) fn is_kept(name: &str) -> bool {
    name.split_once(KEPT_SUFFIX).is_some_and(|(stem, _)| PodKey::from_file_stem(stem).is_ok())
}

/// The original program's name of a pod's manifest, in either directory.
pub(super) fn legacy(dir: &str, key: &PodKey) -> String {
    format!("{dir}/{}-{}{LEGACY_SUFFIX}", key.namespace(), key.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ending_is_longer_than_sanitising_allows_for() {
        let key = PodKey::new("ns", "pod").unwrap();
        let places = [CopyPlace::Active, CopyPlace::Inactive, CopyPlace::Previous].map(|place| place.path(&key));
        let kept = (0..KEPT_AT_MOST).map(|n| kept(&key, n));
        let all = places.into_iter().chain(kept).chain([hold(&key), legacy(MANIFESTS, &key)]);
        let longest = all.map(|path| path.rsplit('/').next().unwrap_or_default().len()).max();
        assert_eq!(longest, Some(key.file_stem().len() + PodKey::LONGEST_ENDING));
    }
}
