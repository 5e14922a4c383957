//! What a file in the manifest directories is: pure, from its bytes. Never fails and never panics, whatever they hold.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::names::ManifestFile;
use super::yaml;
use crate::dns_name::check_name;
use crate::duration;
use crate::pod::annotation;
use crate::pod::checkpoint::Tree;
use crate::pod::key::{Lineage, PodKey, Uid};

/// No manifest may be larger, bytes. The API server's own limit of an object is 1.5 MiB with status and history.
pub(super) const LIMIT: u64 = 1 << 20;

/// What a file is to us.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// A checkpoint of ours.
    Ours(Box<Manifest>),
    /// One of the original program's.
    Legacy(PodKey),
    /// Somebody's manifest: never touched.
    Foreign,
    /// A checkpoint of another version of this program: kept.
    OtherFormat(String),
    /// Cannot be used, and why: kept.
    Damaged(String),
}

/// A checkpoint's manifest, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manifest {
    pub(super) value: Value,
    pub(super) uid: Uid,
    pub(super) lineage: Lineage,
    /// 0 where it was saved before there were any.
    pub(super) generation: u64,
    pub(super) captured_at: i64,
    pub(super) retired: Option<i64>,
    /// Asset directories relative to `/etc/kubernetes`, each checked to be one of this pod's.
    pub(super) assets: Vec<String>,
    pub(super) degraded: Vec<String>,
    pub(super) max_offline: Option<Duration>,
}

impl Manifest {
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        annotation_of(&self.value, name)
    }

    /// Without what says when it was made and retired: two manifests with one essence run the same pod.
    pub(super) fn essence(&self) -> Value {
        essence(&self.value)
    }

    /// Names of the main containers.
    pub(super) fn containers(&self) -> Vec<String> {
        list(&self.value, "containers").iter().filter_map(|c| text(c, "name")).collect()
    }

    /// Images of all containers and image volumes, each once, sorted.
    pub(super) fn images(&self) -> Vec<String> {
        let containers = ["initContainers", "containers"].into_iter().flat_map(|kind| list(&self.value, kind));
        let volumes = list(&self.value, "volumes").iter().filter_map(|v| text(v.get("image")?, "reference"));
        let mut images: Vec<_> = containers.filter_map(|c| text(c, "image")).chain(volumes).collect();
        images.sort();
        images.dedup();
        images
    }

    /// Asks for a port of the node without being in the node's network.
    pub(super) fn host_port(&self) -> bool {
        let on_host = self.value.pointer("/spec/hostNetwork").and_then(Value::as_bool).unwrap_or(false);
        let asks = |c: &Value| {
            let ports = c.get("ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            ports.iter().any(|port| port.get("hostPort").and_then(Value::as_u64).is_some_and(|port| port > 0))
        };
        !on_host && ["initContainers", "containers"].into_iter().any(|kind| list(&self.value, kind).iter().any(asks))
    }
}

/// See [`Manifest::essence`].
pub(super) fn essence(manifest: &Value) -> Value {
    let mut value = manifest.clone();
    if let Some(annotations) = value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(annotation::CAPTURED_AT);
        annotations.remove(annotation::GENERATION);
        annotations.remove(annotation::RETIRED);
        annotations.remove(annotation::SUCCESSOR_SEEN);
    }
    value
}

/// Sets an annotation, or takes it away. A manifest without annotations is left alone: it is none of ours.
pub(super) fn annotate(manifest: &mut Value, name: &str, value: Option<String>) {
    if let Some(annotations) = manifest.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        match value {
            Some(value) => annotations.insert(name.to_owned(), Value::String(value)),
            None => annotations.remove(name),
        };
    }
}

/// Seconds since the epoch as RFC 3339; a time beyond year 9999 reads as the epoch.
pub(super) fn time_text(epoch_seconds: i64) -> String {
    Timestamp::from_second(epoch_seconds).unwrap_or_default().to_string()
}

fn time_of(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// Reads a file found under this name.
pub(super) fn read(file: &ManifestFile, bytes: &[u8]) -> Content {
    let damaged = |why: String| Content::Damaged(why);
    let value: Value = match serde_yaml::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return damaged(format!("not YAML: {error}")),
    };
    let metadata = |name| value.get("metadata").and_then(|metadata| text(metadata, name));
    let (Some(namespace), Some(name)) = (metadata("namespace"), metadata("name")) else {
        // A pod without a namespace is somebody's; without a name it is not even a pod.
        let foreign = metadata("name").is_some() && value.get("kind").is_some();
        return if foreign { Content::Foreign } else { damaged("not a whole pod".to_owned()) };
    };
    if annotation_of(&value, annotation::CHECKPOINT_OF).is_none() {
        return Content::Foreign;
    }
    let key = match PodKey::new(&namespace, &name) {
        Ok(key) => key,
        Err(error) => return damaged(error.to_string()),
    };
    match (annotation_of(&value, annotation::FORMAT), file) {
        (None, ManifestFile::Legacy { name }) if *name == format!("{namespace}-{}.json", key.name()) => {
            Content::Legacy(key)
        }
        (_, ManifestFile::Legacy { .. }) => Content::Foreign,
        (None, ManifestFile::Ours { .. }) => damaged(format!("has no annotation {}", annotation::FORMAT)),
        (Some(annotation::FORMAT_VERSION), ManifestFile::Ours { key: expected, .. }) if *expected != key => {
            damaged(format!("is a checkpoint of {key} under the name of {expected}"))
        }
        (Some(annotation::FORMAT_VERSION), ManifestFile::Ours { .. }) if !yaml::is_whole(bytes) => {
            damaged(format!("cut short: its last line is not {:?}", yaml::END))
        }
        (Some(annotation::FORMAT_VERSION), ManifestFile::Ours { .. }) => match parse(&key, value) {
            Ok(manifest) => Content::Ours(Box::new(manifest)),
            Err(why) => damaged(why),
        },
        (Some(other), ManifestFile::Ours { .. }) => Content::OtherFormat(other.to_owned()),
    }
}

/// Reads a manifest that is to be a checkpoint of `key`; says what is wrong with it otherwise.
pub(super) fn parse(key: &PodKey, value: Value) -> Result<Manifest, String> {
    let wanted = |name| annotation_of(&value, name).ok_or_else(|| format!("has no annotation {name}"));
    let names = |name| value.pointer(name).and_then(Value::as_str);
    if names("/metadata/namespace") != Some(key.namespace()) || names("/metadata/name") != Some(key.name()) {
        return Err(format!("is not a manifest of {key}"));
    }
    wanted(annotation::CHECKPOINT_OF)?;
    if wanted(annotation::FORMAT)? != annotation::FORMAT_VERSION {
        return Err(format!("is not of format {}", annotation::FORMAT_VERSION));
    }
    let uid = Uid(wanted(annotation::PARENT_UID)?.to_owned());
    let lineage: Lineage = wanted(annotation::LINEAGE)?.parse().map_err(|error| format!("{error}"))?;
    if list(&value, "containers").is_empty() {
        return Err("has no containers".to_owned());
    }
    let assets = json_list(&value, annotation::ASSETS)?;
    if let Some(bad) = assets.iter().find(|path| !is_asset_of(key, path)) {
        return Err(format!("names {bad:?} in annotation {}, which is no asset directory of it", annotation::ASSETS));
    }
    let mut degraded = json_list(&value, annotation::DEGRADED)?;
    let max_offline = annotation_of(&value, annotation::MAX_OFFLINE).and_then(|text| {
        let duration = duration::parse(text).ok();
        if duration.is_none() {
            degraded
                .push(format!("its {} {text:?} is no duration like 10m: no limit is kept", annotation::MAX_OFFLINE));
        }
        duration
    });
    let captured_at = annotation_of(&value, annotation::CAPTURED_AT).and_then(time_of).unwrap_or(0);
    let generation = annotation_of(&value, annotation::GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0);
    // A retirement with an unreadable time is one all the same.
    let retired = annotation_of(&value, annotation::RETIRED).map(|text| time_of(text).unwrap_or(captured_at));
    Ok(Manifest { value, uid, lineage, generation, captured_at, retired, assets, degraded, max_offline })
}

/// `<tree>/<ns>/<pod>/<name>` of this very pod.
fn is_asset_of(key: &PodKey, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let tree = |name: &str| Tree::ALL.into_iter().any(|tree| tree.dir() == name);
    matches!(parts[..], [top, namespace, pod, name]
        if tree(top) && namespace == key.namespace() && pod == key.name() && check_name("asset", name).is_ok())
}

fn annotation_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

fn json_list(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let Some(text) = annotation_of(value, name) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| format!("annotation {name} is no JSON list of strings: {error}"))
}

fn list<'a>(value: &'a Value, kind: &str) -> &'a [Value] {
    value.get("spec").and_then(|spec| spec.get(kind)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}
