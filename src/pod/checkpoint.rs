//! A checkpoint in memory: the sanitised manifest and the assets it names. Made by `sanitize`, written by `store`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// What a parent becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The static-pod manifest (a `v1` Pod), annotations of [`super::annotation`] included.
    pub manifest: Value,
    /// Asset directories that the manifest mounts.
    pub volumes: Vec<AssetVolume>,
}

/// The three trees under `/etc/kubernetes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// `checkpoint-secrets`
    Secrets,
    /// `checkpoint-configmaps`
    ConfigMaps,
    /// `checkpoint-volumes`
    Volumes,
}

impl Tree {
    /// Every tree.
    pub const ALL: [Self; 3] = [Self::Secrets, Self::ConfigMaps, Self::Volumes];

    /// The directory's name under `/etc/kubernetes`.
    pub fn dir(self) -> &'static str {
        match self {
            Self::Secrets => "checkpoint-secrets",
            Self::ConfigMaps => "checkpoint-configmaps",
            Self::Volumes => "checkpoint-volumes",
        }
    }
}

/// One asset directory: `<tree>/<ns>/<pod>/<name>`, a kubelet-style atomic volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetVolume {
    /// The tree of directories that it lies in.
    pub tree: Tree,
    /// Name of the Secret, of the ConfigMap, or of the pod's volume. A valid DNS name.
    pub name: String,
    /// Its files, with their modes and owners.
    pub content: VolumeContent,
}

/// Files of a volume by relative path (`a/b/c`; no empty part, no `.` or `..`, none beginning with `..`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeContent {
    /// The files by their path within the volume.
    pub files: BTreeMap<String, AssetFile>,
    /// Group that owns files and directories, where the pod has an fsGroup. With one the kubelet also adds group
    /// read to files and sets the setgid bit on directories; `sanitize` has already put that into the modes.
    pub fs_group: Option<u32>,
    /// Names beside the files that containers mount something else on, by relative path like those of files. They are
    /// empty, and stand in the way of a file whose path begins with the same name, as in a volume of the kubelet's.
    pub mount_points: BTreeMap<String, MountPoint>,
}

/// What a mount point has to be for the mount to succeed: what is mounted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountPoint {
    /// An empty file.
    File,
    /// An empty directory.
    Directory,
}

/// A file of an asset volume. Its content is secret: `Debug` shows the length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct AssetFile {
    /// Content.
    pub bytes: Vec<u8>,
    /// Permission bits, e.g. `0o644`.
    pub mode: u32,
    /// Owning user where the kubelet would set one (service account tokens of a pod with runAsUser), else root.
    pub owner: Option<u32>,
}

impl fmt::Debug for AssetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetFile({} bytes, {:o})", self.bytes.len(), self.mode)
    }
}
