//! Mounts that would have to be made inside a read-only directory of ours. The kubelet puts an empty directory there
//! in volumes of its own; in a hostPath nobody does, and the container would not start.

use serde_json::Value;

use super::findings::{Findings, Pod};
use crate::pod::checkpoint::AssetVolume;

/// Refuses what cannot be mounted.
pub(super) fn check(pod: &Pod<'_>, spec: &Value, volumes: &[AssetVolume], findings: &mut Findings) {
    let containers = [&spec["initContainers"], &spec["containers"]].into_iter().filter_map(Value::as_array).flatten();
    for container in containers {
        let mounts = container["volumeMounts"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        for outer in mounts.iter().filter(|mount| mount["subPath"].as_str().unwrap_or_default().is_empty()) {
            let Some(placed) = pod.placed.iter().find(|p| outer["name"] == p.name) else { continue };
            let held = volumes.iter().find(|v| v.tree == placed.tree && v.name == placed.directory);
            for inner in mounts {
                let Some(inside) = below(outer, inner) else { continue };
                let there = held.is_some_and(|v| exists(v, inside));
                if !there {
                    findings.refuse(format!(
                        "container {} mounts {} inside volume {}, where no mount point can be made; mount it outside \
                         {}",
                        container["name"].as_str().unwrap_or_default(),
                        inner["mountPath"].as_str().unwrap_or_default(),
                        placed.name,
                        outer["mountPath"].as_str().unwrap_or_default(),
                    ));
                }
            }
        }
    }
}

/// The path of `inner` inside `outer`, if it is there.
fn below<'a>(outer: &Value, inner: &'a Value) -> Option<&'a str> {
    let outer = outer["mountPath"].as_str()?.trim_end_matches('/');
    let inside = inner["mountPath"].as_str()?.strip_prefix(outer)?.strip_prefix('/')?.trim_matches('/');
    (!inside.is_empty()).then_some(inside)
}

fn exists(volume: &AssetVolume, path: &str) -> bool {
    let directory = format!("{path}/");
    volume.content.files.keys().any(|file| file == path || file.starts_with(&directory))
}
