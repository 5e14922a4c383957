//! The spec of a checkpoint as a whole: what a static pod cannot have, what it gets, and its parts in their order.

use serde_json::{Map, Value, json};

use super::container::{self, ContainerKind};
use super::findings::{Findings, Pod};
use super::ports;
use crate::dns_name::check_name;
use crate::pod::key::PodKey;
use crate::pod::schema::{POD_SPEC, keep};

/// Longest name of a pod.
const LONGEST_NAME: usize = 253;
/// Longest name of a file, in bytes (`NAME_MAX` of Linux).
const LONGEST_FILE_NAME: usize = 255;
/// Letters of the UID that the kubelet gives to a static pod: an MD5, in hexadecimal. Its logs are in
/// `/var/log/pods/<namespace>_<static pod>_<UID>`.
const STATIC_POD_UID: usize = 32;
/// Longest host name, in bytes; the kubelet cuts off the rest.
const LONGEST_HOSTNAME: usize = 63;

/// The fields that this version knows; others are reasons.
pub(super) fn known(spec: &Value, findings: &mut Findings) -> Value {
    let mut unknown = Vec::new();
    let empty = Map::new();
    let known = keep(spec.as_object().unwrap_or(&empty), &POD_SPEC, "spec", &mut unknown);
    for path in unknown {
        findings.refuse(format!(
            "{path} is not known to this version, which cannot say what a checkpoint with or without it would do; \
             remove the field, or update pod-checkpointer"
        ));
    }
    known
}

/// The spec of the twin.
pub(super) fn freeze(pod: &Pod<'_>, known: &Value, findings: &mut Findings) -> Value {
    refuse(pod, known, findings);
    let mut spec = known.as_object().cloned().unwrap_or_default();
    spec.remove("serviceAccountName");
    spec.remove("resourceClaims");
    if let Some(resources) = spec.get_mut("resources") {
        *resources = container::resources(resources, "the pod", findings);
    }
    volumes(pod, &mut spec, findings);
    for (field, kind) in [("initContainers", ContainerKind::Init), ("containers", ContainerKind::Main)] {
        let list = spec.get_mut(field).and_then(Value::as_array_mut);
        for one in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            container::freeze(pod, kind, one, findings);
        }
    }
    hostname(pod, &mut spec, findings);
    let given = [
        ("automountServiceAccountToken", json!(false)),
        ("enableServiceLinks", json!(false)),
        ("priority", json!(2_000_001_000)),
        ("priorityClassName", json!("system-node-critical")),
        ("tolerations", json!([{"operator": "Exists"}])),
    ];
    spec.extend(given.map(|(field, value)| (field.to_owned(), value)));
    Value::Object(spec)
}

fn refuse(pod: &Pod<'_>, spec: &Value, findings: &mut Findings) {
    name(pod, findings);
    if let Some(policy) = spec["restartPolicy"].as_str().filter(|policy| *policy != "Always") {
        findings.refuse(format!(
            "restartPolicy is {policy}, and the pod would run again at every start of its checkpoint; only pods that \
             run forever (Always) can be kept"
        ));
    }
    if !spec["activeDeadlineSeconds"].is_null() {
        findings.refuse(
            "activeDeadlineSeconds ends the pod, and its checkpoint would begin anew; remove it from a pod that is to \
             run forever"
                .to_owned(),
        );
    }
    if let Some(class) = spec["runtimeClassName"].as_str() {
        findings.refuse(format!(
            "runtimeClassName {class} is looked up at the API server at every start; make its handler the container \
             runtime's default on this node and remove the field"
        ));
    }
    if spec["resourceClaims"].as_array().is_some_and(|claims| !claims.is_empty()) {
        findings.refuse(
            "resourceClaims are refused in static pods; do without the device or without the checkpoint".to_owned(),
        );
    }
    if let Some(os) = spec["os"]["name"].as_str().filter(|os| *os != "linux") {
        findings.refuse(format!("os {os} cannot run on this node; annotate pods for Linux only"));
    }
    let all = ["initContainers", "containers"].into_iter().filter_map(|field| spec[field].as_array()).flatten();
    let host_port = all.into_iter().any(ports::takes_host_port);
    if host_port && !pod.host_network && pod.parent.lineage.kind == "Pod" {
        findings.refuse(
            "it takes a hostPort and has no controller: whichever of it and its checkpoint comes second is refused for \
             good; let a DaemonSet or Deployment make it, or use hostNetwork"
                .to_owned(),
        );
    }
}

/// Every name that is made of the pod's must fit, or nothing of it could be written, or the twin could not be made.
fn name(pod: &Pod<'_>, findings: &mut Findings) {
    let (namespace, node) = (pod.parent.key.namespace().len(), pod.facts.node_name.len());
    let limits = [
        ("its static pod", LONGEST_NAME, "-".len() + node),
        ("a file of its checkpoint", LONGEST_FILE_NAME, namespace + "_".len() + PodKey::LONGEST_ENDING),
        ("the directory of its static pod's logs", LONGEST_FILE_NAME, namespace + "_-_".len() + node + STATIC_POD_UID),
    ];
    let longest = |(_, limit, rest): &(&str, usize, usize)| limit.saturating_sub(*rest);
    let Some((what, limit, rest)) = limits.into_iter().min_by_key(longest) else { return };
    let (length, longest) = (pod.parent.key.name().len(), limit.saturating_sub(rest));
    if length > longest {
        findings.refuse(format!(
            "the name of the pod has {length} letters, and that of {what} would have {} where {limit} are possible; use at \
             most {longest} for a pod in this namespace on this node",
            length + rest
        ));
    }
}

/// Asset directories in place of API objects.
fn volumes(pod: &Pod<'_>, spec: &mut Map<String, Value>, findings: &mut Findings) {
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default().to_owned();
        if let Some(placed) = pod.placed.iter().find(|placed| placed.name == name) {
            let tree = pod.facts.etc_kubernetes.join(placed.tree.dir());
            let path = tree.join(pod.parent.key.namespace()).join(pod.parent.key.name()).join(&placed.directory);
            *volume = json!({"name": name, "hostPath": {"path": path.to_string_lossy(), "type": "Directory"}});
        } else if let Some(image) = volume.get_mut("image").filter(|image| image.is_object()) {
            let reference = image["reference"].as_str().unwrap_or_default().to_owned();
            container::image(pod, &reference, &format!("volume {name}"), findings);
            image["pullPolicy"] = json!("IfNotPresent");
        }
    }
}

/// The twin's name is another, its host name is not to be. On the host's network it has the host's anyway.
fn hostname(pod: &Pod<'_>, spec: &mut Map<String, Value>, findings: &mut Findings) {
    let set = |field: &str| spec.get(field).and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    if pod.host_network || set("hostname") || set("hostnameOverride") {
        return;
    }
    let name = pod.parent.key.name();
    // Names are ASCII, so any length is a boundary.
    let cut = name[..name.len().min(LONGEST_HOSTNAME)].trim_end_matches(['-', '.']);
    if !cut.contains('.') && check_name("hostname", cut).is_ok() {
        spec.insert("hostname".to_owned(), json!(cut));
    } else {
        findings.degraded.push(format!(
            "its host name will be that of the static pod, since {cut} cannot be written as one; set spec.hostname to \
             keep it"
        ));
    }
}
