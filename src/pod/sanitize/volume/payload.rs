//! The files of one asset volume: which keys go where, with which modes and owners, as the kubelet writes them.
//! Source: what the kubelet of Kubernetes 1.36 does for secret, configMap, downwardAPI and projected volumes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::pod::checkpoint::{AssetFile, VolumeContent};

/// Mode of files where the volume names none.
pub(crate) const DEFAULT_MODE: u32 = 0o644;
/// Mode of a token in a pod with a common user or an fsGroup.
const PRIVATE_MODE: u32 = 0o600;
/// What an fsGroup adds to the files of a read-only volume.
const GROUP_READ: u32 = 0o440;

/// Files as they are collected; later ones take the place of earlier ones, as in a projected volume.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    files: BTreeMap<String, AssetFile>,
}

/// Who owns the files of a pod's volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ownership {
    /// `securityContext.fsGroup`
    pub fs_group: Option<u32>,
    /// The user that all containers run as, where that is one.
    pub user: Option<u32>,
}

impl Ownership {
    /// Reads a pod's spec.
    pub(crate) fn of(spec: &Value) -> Self {
        let id = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
        let pod_user = id(&spec["securityContext"]["runAsUser"]);
        let containers =
            [&spec["initContainers"], &spec["containers"]].into_iter().filter_map(Value::as_array).flatten();
        let mut users = containers.map(|c| id(&c["securityContext"]["runAsUser"]).or(pod_user));
        let first = users.next().flatten();
        let user = first.filter(|_| users.all(|other| other == first));
        Self { fs_group: id(&spec["securityContext"]["fsGroup"]), user }
    }
}

/// A mode as the API has it, a number up to 0777.
pub(crate) fn mode(value: &Value, default: u32) -> Result<u32, String> {
    if value.is_null() {
        return Ok(default);
    }
    let mode = value.as_u64().and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| format!("{value} is no file mode; modes go from 0 to 0777 (511)"))
}

impl Payload {
    /// The keys of an object: all of them, or those that `items` (`KeyToPath`) names.
    pub(crate) fn add_keys(
        &mut self,
        data: &BTreeMap<String, Vec<u8>>,
        items: &Value,
        default_mode: u32,
        optional: bool,
    ) -> Result<(), String> {
        let items = items.as_array().map_or(&[] as &[Value], Vec::as_slice);
        if items.is_empty() {
            return data.iter().try_for_each(|(key, bytes)| self.add(key, bytes.clone(), default_mode));
        }
        for item in items {
            let key = item["key"].as_str().unwrap_or_default();
            match data.get(key) {
                Some(bytes) => {
                    let path = item["path"].as_str().unwrap_or_default();
                    self.add(path, bytes.clone(), mode(&item["mode"], default_mode)?)?;
                }
                None if optional => {}
                None => return Err(format!("has no key {key:?}; add it, or mark it optional")),
            }
        }
        Ok(())
    }

    /// A token: private where the pod has a common user or a group for it.
    pub(crate) fn add_token(
        &mut self,
        path: &str,
        token: &str,
        default_mode: u32,
        ownership: Ownership,
    ) -> Result<(), String> {
        let private = ownership.user.is_some() || ownership.fs_group.is_some();
        let mode = if private { PRIVATE_MODE } else { default_mode };
        let file = AssetFile { bytes: token.as_bytes().to_vec(), mode, owner: ownership.user };
        self.files.insert(clean(path)?, file);
        Ok(())
    }

    /// Adds a file; where there is one of that path, the later counts.
    pub(crate) fn add(&mut self, path: &str, bytes: Vec<u8>, mode: u32) -> Result<(), String> {
        self.files.insert(clean(path)?, AssetFile { bytes, mode, owner: None });
        Ok(())
    }

    /// The volume with all that was added, its modes and groups as `fsGroup` wants them.
    pub(crate) fn finish(mut self, fs_group: Option<u32>) -> Result<VolumeContent, String> {
        for path in self.files.keys() {
            let clash = path.match_indices('/').map(|(end, _)| &path[..end]).find(|dir| self.files.contains_key(*dir));
            if let Some(file) = clash {
                return Err(format!("{file:?} is both a file and a directory, of {path:?}; rename one of them"));
            }
        }
        if fs_group.is_some() {
            self.files.values_mut().for_each(|file| file.mode |= GROUP_READ);
        }
        Ok(VolumeContent { files: self.files, fs_group, ..VolumeContent::default() })
    }
}

/// Longest name in a directory, bytes (`NAME_MAX` of Linux); the kubelet refuses longer ones too.
pub(super) const LONGEST_NAME: usize = 255;
/// Longest path in a volume, bytes: with the names of tree, namespace, pod, volume and `..<time>` before it, Linux takes
/// 4095 (`PATH_MAX`).
const LONGEST_PATH: usize = 3072;

/// A path inside a volume without what would lead out of it.
fn clean(path: &str) -> Result<String, String> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.starts_with('/') || parts.is_empty() || parts.iter().any(|part| part.starts_with("..")) {
        return Err(format!("{path:?} is no path inside a volume; use a relative one without \"..\""));
    }
    let path = parts.join("/");
    match parts.iter().find(|part| part.len() > LONGEST_NAME) {
        Some(part) => {
            Err(format!("{part:?} has {} bytes, and a file's name may have {LONGEST_NAME}; shorten it", part.len()))
        }
        None if path.len() > LONGEST_PATH => {
            Err(format!("{path:?} has {} bytes, of which a path here may have {LONGEST_PATH}; shorten it", path.len()))
        }
        None => Ok(path),
    }
}
