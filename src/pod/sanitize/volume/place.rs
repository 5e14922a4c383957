//! Which volumes become directories of ours, and where.

use std::collections::BTreeMap;

use serde_json::Value;

use super::AssetVolumePlan;
use super::nested;
use super::payload::{DEFAULT_MODE, mode};
use crate::dns_name::check_name;
use crate::pod::checkpoint::Tree;
use crate::pod::parent::Parent;
use crate::pod::sanitize::downward::{DownwardField, pod_field, resource_field};

/// Sources that the kubelet mounts without asking an API server.
const NATIVE: [&str; 4] = ["emptyDir", "hostPath", "image", "nfs"];

/// Sources that no static pod can have: what stands behind them, for the sentence.
const REFUSED: [(&str, &str); 22] = [
    ("awsElasticBlockStore", "CSI driver"),
    ("azureDisk", "CSI driver"),
    ("azureFile", "Secret with the account's key"),
    ("cephfs", "removed volume plugin"),
    ("cinder", "CSI driver"),
    ("csi", "CSI driver"),
    ("ephemeral", "PersistentVolumeClaim"),
    ("fc", "attachment of a disk, which the control plane makes"),
    ("flexVolume", "attachment of a disk, which the control plane makes"),
    ("flocker", "removed volume plugin"),
    ("gcePersistentDisk", "CSI driver"),
    ("gitRepo", "clone from the network, which the kubelet no longer makes"),
    ("glusterfs", "Endpoints object"),
    ("iscsi", "attachment of a disk, which the control plane makes"),
    ("persistentVolumeClaim", "PersistentVolumeClaim"),
    ("photonPersistentDisk", "removed volume plugin"),
    ("portworxVolume", "CSI driver"),
    ("quobyte", "removed volume plugin"),
    ("rbd", "removed volume plugin"),
    ("scaleIO", "removed volume plugin"),
    ("storageos", "removed volume plugin"),
    ("vsphereVolume", "CSI driver"),
];

/// Every volume that becomes a directory of ours, in order; `reasons` gets a sentence for each that cannot be had.
pub(crate) fn place<'a>(parent: &Parent, volumes: &'a Value, reasons: &mut Vec<String>) -> Vec<AssetVolumePlan<'a>> {
    let mut shared = Shared::default();
    let mut placed = Vec::new();
    for volume in volumes.as_array().into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default();
        if let Err(bad) = check_name("volume name", name) {
            reasons.push(format!("{bad}; rename the volume"));
            continue;
        }
        let mut sources = volume.as_object().into_iter().flatten().filter(|(key, v)| *key != "name" && !v.is_null());
        // A volume without a source is an emptyDir.
        let Some((kind, source)) = sources.next() else { continue };
        if sources.next().is_some() {
            reasons.push(format!("volume {name} has more than one source; leave it one"));
            continue;
        }
        match plan(parent, &mut shared, volume, (name, kind, source)) {
            Ok(plan) => placed.extend(plan),
            Err(sentence) => reasons.push(format!("volume {name}: {sentence}")),
        }
    }
    placed
}

type Directory = (Tree, String);

fn plan<'a>(
    parent: &Parent,
    shared: &mut Shared,
    volume: &'a Value,
    (name, kind, source): (&'a str, &str, &Value),
) -> Result<Option<AssetVolumePlan<'a>>, String> {
    let mount_points = nested::points(&parent.object["spec"], name);
    let alone = mount_points.as_ref().map_or(true, |points| !points.is_empty());
    let shared = if alone { &mut Shared::default() } else { shared };
    let Some((mut tree, mut directory)) = directory(parent, shared, name, kind, source)? else { return Ok(None) };
    let mount_points = mount_points?;
    if alone {
        (tree, directory) = (Tree::Volumes, nested::directory(name, &mount_points));
    }
    Ok(Some(AssetVolumePlan { volume, name, tree, directory, mount_points }))
}

fn directory(
    parent: &Parent,
    shared: &mut Shared,
    name: &str,
    kind: &str,
    source: &Value,
) -> Result<Option<Directory>, String> {
    let own = (Tree::Volumes, name.to_owned());
    match kind {
        native if NATIVE.contains(&native) => Ok(None),
        "secret" => shared.claim(Tree::Secrets, &source["secretName"], source, own).map(Some),
        "configMap" => shared.claim(Tree::ConfigMaps, &source["name"], source, own).map(Some),
        "downwardAPI" => Ok(freezes(parent, &source["items"])?.then_some(own)),
        "projected" => projected(parent, source).map(|ours| ours.then_some(own)),
        refused => Err(match REFUSED.iter().find(|(kind, _)| *kind == refused) {
            Some((kind, what)) => format!(
                "{kind} needs a {what}, and so an API server to start; keep the data on the node (hostPath), or do \
                 without a checkpoint of this pod"
            ),
            None => format!("{refused} is not known to this version; use another kind, or update pod-checkpointer"),
        }),
    }
}

/// A projected volume that only reads fields which stay the twin's own is left as it is; any other becomes ours.
fn projected(parent: &Parent, source: &Value) -> Result<bool, String> {
    let mut ours = false;
    for projection in source["sources"].as_array().into_iter().flatten() {
        for kind in ["clusterTrustBundle", "podCertificate"] {
            if projection.get(kind).is_some_and(|p| !p.is_null()) {
                return Err(format!("{kind} comes from the API server at every start; use a ConfigMap or a Secret"));
            }
        }
        ours |= match projection.get("downwardAPI") {
            Some(downward) if downward.is_object() => freezes(parent, &downward["items"])?,
            _ => true,
        };
    }
    Ok(ours)
}

/// Whether one of these items has to be written down with the parent's value.
fn freezes(parent: &Parent, items: &Value) -> Result<bool, String> {
    let mut frozen = false;
    for item in items.as_array().into_iter().flatten() {
        let field = match item["fieldRef"]["fieldPath"].as_str() {
            Some(path) => pod_field(parent, path)?,
            None => resource_field(parent, None, &item["resourceFieldRef"])?,
        };
        frozen |= field != DownwardField::Native;
    }
    Ok(frozen)
}

/// The directories that are named after an object, and the mode of each: the first volume of an object has it, and
/// with it all others of the same mode.
#[derive(Default)]
struct Shared {
    modes: BTreeMap<Directory, u32>,
}

impl Shared {
    fn claim(&mut self, tree: Tree, name: &Value, source: &Value, own: Directory) -> Result<Directory, String> {
        let name = name.as_str().unwrap_or_default();
        check_name("object", name).map_err(|bad| bad.to_string())?;
        let mode = mode(&source["defaultMode"], DEFAULT_MODE)?;
        if source["items"].as_array().is_some_and(|items| !items.is_empty()) {
            return Ok(own);
        }
        let shared = (tree, name.to_owned());
        let first = *self.modes.entry(shared.clone()).or_insert(mode);
        Ok(if first == mode { shared } else { own })
    }
}
