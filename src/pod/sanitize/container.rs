//! One container of a checkpoint: image, resources, mounts, ports. Its environment is in `environment`.

use serde_json::{Map, Value, json};

use super::findings::{Findings, Pod};
use super::{environment, ports};
use crate::pod::runtime::ImagePresence;
use crate::quantity::Quantity;

/// The list of the spec that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainerKind {
    /// Of `initContainers`, sidecars too.
    Init,
    /// Of `containers`.
    Main,
}

/// Turns a container of the parent into one of the twin.
pub(super) fn freeze(pod: &Pod<'_>, kind: ContainerKind, container: &mut Map<String, Value>, findings: &mut Findings) {
    let text = |field: &str| container.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, image_name, restart) = (text("name"), text("image"), text("restartPolicy"));
    if kind == ContainerKind::Main && !matches!(restart.as_str(), "" | "Always") {
        findings.refuse(format!(
            "container {name} has restartPolicy {restart}, and would run again at every start of its checkpoint; only \
             pods that run forever can be kept"
        ));
    }
    image(pod, &image_name, &format!("container {name}"), findings);
    container.insert("imagePullPolicy".to_owned(), json!("IfNotPresent"));
    let named = container.get("resources").cloned().unwrap_or_default();
    let resources = resources(&named, &format!("container {name}"), findings);
    container.insert("resources".to_owned(), resources);
    environment::freeze(pod, container, findings);
    if pod.host_network {
        ports::strip(container, findings);
    }
    let mounts = container.get_mut("volumeMounts").and_then(Value::as_array_mut);
    for mount in mounts.into_iter().flatten() {
        if mount["name"].as_str().is_some_and(|volume| pod.is_asset(volume)) {
            mount["readOnly"] = json!(true);
        }
    }
}

/// Whether an image can be started without a registry. One that nobody could be asked about is taken for present: a
/// checkpoint that may not start is better than none.
pub(super) fn image(pod: &Pod<'_>, image: &str, what: &str, findings: &mut Findings) {
    match pod.facts.images.get(image) {
        _ if image.is_empty() => findings.refuse(format!("{what} names no image; name one")),
        Some(ImagePresence::Absent) => findings.refuse(format!(
            "image {image} of {what} is not on this node; pull it (crictl pull {image}), and keep it from being \
             collected by keeping a container that uses it"
        )),
        Some(ImagePresence::PulledWithSecret) => findings.refuse(format!(
            "image {image} of {what} was pulled with a pull secret, which a static pod cannot name, so the kubelet \
             would pull it again; import it (ctr -n k8s.io images import), give the kubelet the credentials (credential \
             provider, or the node's own), or set its imagePullCredentialsVerificationPolicy to NeverVerify"
        )),
        Some(ImagePresence::Present | ImagePresence::Unknown(_)) | None => {}
    }
}

/// Limits as they are, and requests of nothing, written out: left out they would default to the limits, and the twin
/// would take the room that its parent needs to be admitted.
pub(super) fn resources(named: &Value, what: &str, findings: &mut Findings) -> Value {
    let mut limits = Map::new();
    let mut requests = Map::from_iter([("cpu", "0"), ("memory", "0")].map(|(k, v)| (k.to_owned(), json!(v))));
    if named["claims"].as_array().is_some_and(|claims| !claims.is_empty()) {
        findings.refuse(format!(
            "{what} uses a resource claim, which a static pod cannot have; do without the device or the checkpoint"
        ));
    }
    for list in ["limits", "requests"] {
        for (name, quantity) in named[list].as_object().into_iter().flatten() {
            match name.as_str() {
                "cpu" | "memory" => {}
                "ephemeral-storage" => {
                    requests.insert(name.clone(), json!("0"));
                }
                _ if Quantity::read(quantity) == Some(Quantity::ZERO) => continue,
                _ => {
                    findings.refuse(exclusive(what, name));
                    continue;
                }
            }
            if list == "limits" {
                limits.insert(name.clone(), quantity.clone());
            }
        }
    }
    let mut kept = Map::new();
    if !limits.is_empty() {
        kept.insert("limits".to_owned(), Value::Object(limits));
    }
    kept.insert("requests".to_owned(), Value::Object(requests));
    Value::Object(kept)
}

fn exclusive(what: &str, name: &str) -> String {
    if name.starts_with("hugepages-") {
        return format!(
            "{what} uses {name}, which its checkpoint would hold while the parent waits for it; use ordinary memory"
        );
    }
    format!(
        "{what} uses {name}, which the kubelet does not give to static pods (it starts them without the device); do \
         without it"
    )
}
