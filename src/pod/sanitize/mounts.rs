//! Mounts that would have to be made inside a part (`subPath`) of a volume of an API object. There nobody makes a mount
//! point, not the kubelet for the pod itself either, so they work only where the volume has the very path.

use serde_json::Value;

use super::findings::{Findings, Pod};
use super::volume::nested::{Nested, joined, nested};
use crate::pod::checkpoint::AssetVolume;

/// Refuses what cannot be mounted.
pub(super) fn check(pod: &Pod<'_>, spec: &Value, volumes: &[AssetVolume], findings: &mut Findings) {
    for placed in pod.placed {
        for Nested { container, outer, inner, path } in nested(spec, placed.name) {
            let Some(part) = outer["subPath"].as_str().filter(|part| !part.is_empty()) else { continue };
            let there = format!("{}/{path}", joined(part));
            if !volumes.iter().any(|volume| placed.is_of(volume) && exists(volume, &there)) {
                let at = |mount: &Value| mount["mountPath"].as_str().unwrap_or_default().to_owned();
                findings.refuse(format!(
                    "container {container} mounts {} inside {}, which is only {part} of volume {}: no mount point can be \
                     made there, for the pod itself neither; mount it outside {}, or all of {} there",
                    at(inner),
                    at(outer),
                    placed.name,
                    at(outer),
                    placed.name,
                ));
            }
        }
    }
}

fn exists(volume: &AssetVolume, path: &str) -> bool {
    let directory = format!("{path}/");
    volume.content.files.keys().any(|file| file == path || file.starts_with(&directory))
}
