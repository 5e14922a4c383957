//! Volumes that containers mount inside another one. In a volume of an API object the kubelet makes the mount points
//! itself (`MakeNestedMountpoints` in kubernetes `pkg/volume/util/nested_volumes.go`), since no runtime can in one that is
//! mounted read-only; in a hostPath it makes none, so they are part of what a directory of ours holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::AssetVolumePlan;
use super::payload::LONGEST_NAME;
use crate::hex::Hex;
use crate::pod::checkpoint::{AssetVolume, MountPoint};

/// Digits of the digest that tells one set of mount points from another.
const DIGITS: usize = 8;

/// A mount inside a mount.
pub(crate) struct Nested<'a> {
    /// Name of the container.
    pub container: &'a str,
    /// The mount that it is in.
    pub outer: &'a Value,
    /// The mount inside the other.
    pub inner: &'a Value,
    /// Its path inside the outer one.
    pub path: String,
}

/// All of them, as the kubelet finds them: in each container, those that are not inside yet another one.
pub(crate) fn nested<'a>(spec: &'a Value, outer_volume: &str) -> Vec<Nested<'a>> {
    let mut found = Vec::new();
    for container in list(&spec["initContainers"]).chain(list(&spec["containers"])) {
        let mut mounts: Vec<_> = list(&container["volumeMounts"]).map(|mount| (clean(mount), mount)).collect();
        mounts.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (at, outer) in mounts.iter().filter(|(_, mount)| mount["name"] == outer_volume) {
            let mut within: Vec<String> = Vec::new();
            for (path, inner) in &mounts {
                let Some(path) = inside(at, path) else { continue };
                if within.iter().any(|before| inside(before, path).is_some()) {
                    continue;
                }
                within.push(path.to_owned());
                let container = container["name"].as_str().unwrap_or_default();
                found.push(Nested { container, outer, inner, path: path.to_owned() });
            }
        }
    }
    found
}

/// Paths inside a volume at which mount points have to be. The error is a sentence.
pub(super) fn points(spec: &Value, volume: &str) -> Result<BTreeSet<String>, String> {
    let mut points = BTreeSet::new();
    for Nested { container, outer, inner, path } in nested(spec, volume) {
        if is_part(outer) {
            continue;
        }
        let refuse = |why: &str| {
            let at = inner["mountPath"].as_str().unwrap_or_default();
            Err(format!("container {container} mounts {at} inside it, {why}"))
        };
        for name in path.split('/') {
            if name.starts_with("..") {
                return refuse(&format!(
                    "but names that begin with \"..\" are the kubelet's own in such a volume; call {name:?} otherwise"
                ));
            }
            if name.len() > LONGEST_NAME {
                return refuse(&format!("and a name may have at most {LONGEST_NAME} bytes; shorten the path"));
            }
        }
        points.insert(path);
    }
    Ok(points)
}

/// Mounts only a part of its volume.
pub(crate) fn is_part(mount: &Value) -> bool {
    ["subPath", "subPathExpr"].iter().any(|field| mount[field].as_str().is_some_and(|path| !path.is_empty()))
}

/// Name of the directory for a volume with these mount points. Another set has another directory, so that one that is in
/// use, or that an older copy goes by, never changes.
pub(super) fn directory(volume: &str, points: &BTreeSet<String>) -> String {
    let mut digest = Sha256::new();
    for path in points {
        digest.update(path);
        // No path has it.
        digest.update([0]);
    }
    format!("{volume}.mounts-{}", &Hex(&digest.finalize()).to_string()[..DIGITS])
}

/// Puts the mount points into the volumes that have some. A file is wanted where every mount there is of a file, and
/// nothing further in. What cannot be told, since an inner volume is not among `volumes`, counts as a directory.
pub(super) fn add_points(spec: &Value, placed: &[AssetVolumePlan<'_>], volumes: &mut [AssetVolume]) {
    for plan in placed.iter().filter(|plan| !plan.mount_points.is_empty()) {
        let mut kinds: BTreeMap<String, MountPoint> = BTreeMap::new();
        for Nested { inner, path, .. } in nested(spec, plan.name).into_iter().filter(|nested| !is_part(nested.outer)) {
            let kind = if is_file(spec, inner, placed, volumes) { MountPoint::File } else { MountPoint::Directory };
            let known = kinds.entry(path).or_insert(kind);
            *known = kind.max(*known);
        }
        let further_in = |path: &str| plan.mount_points.iter().any(|other| inside(path, other).is_some());
        for (path, kind) in &mut kinds {
            if further_in(path) {
                *kind = MountPoint::Directory;
            }
        }
        if let Some(volume) = volumes.iter_mut().find(|v| plan.is_of(v)) {
            volume.content.mount_points = kinds;
        }
    }
}

/// Volumes of which a part is mounted inside this one: what they hold says whether that is a file.
pub(super) fn parts_inside<'a>(
    spec: &Value,
    plan: &AssetVolumePlan<'_>,
    placed: &'a [AssetVolumePlan<'a>],
) -> impl Iterator<Item = &'a AssetVolumePlan<'a>> {
    let parts = nested(spec, plan.name).into_iter().map(|nested| nested.inner).filter(|inner| is_part(inner));
    let names: BTreeSet<_> = parts.map(|inner| inner["name"].as_str().unwrap_or_default().to_owned()).collect();
    placed.iter().filter(move |other| names.contains(other.name))
}

fn is_file(spec: &Value, mount: &Value, placed: &[AssetVolumePlan<'_>], volumes: &[AssetVolume]) -> bool {
    const FILES: [&str; 5] = ["File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice"];
    if let Some(plan) = placed.iter().find(|plan| mount["name"] == plan.name) {
        let part = joined(mount["subPath"].as_str().unwrap_or_default());
        return volumes.iter().any(|v| plan.is_of(v) && v.content.files.contains_key(&part));
    }
    let volume = list(&spec["volumes"]).find(|volume| volume["name"] == mount["name"]);
    let host_path = volume.and_then(|volume| volume["hostPath"]["type"].as_str());
    !is_part(mount) && host_path.is_some_and(|kind| FILES.contains(&kind))
}

/// The place of a mount as an absolute path without detours.
fn clean(mount: &Value) -> String {
    format!("/{}", joined(mount["mountPath"].as_str().unwrap_or_default()))
}

/// A path without empty parts, `.` and `..`, relative to the root; none leads above it.
pub(crate) fn joined(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The rest of `path` beneath `dir`, where it is there.
fn inside<'a>(dir: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(dir)?.strip_prefix('/')
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
