//! Pod fields that a pod reads about itself: which the twin may go on reading, and what the others say on the parent.

use serde_json::Value;

use crate::pod::annotation::KUBELET_PREFIX;
use crate::pod::asset_refs::references::service_account;
use crate::pod::parent::Parent;
use crate::quantity::Quantity;

/// What becomes of a reference to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DownwardField {
    /// The twin's own value is the right one; the kubelet resolves it without an API server.
    Native,
    /// The twin's own value would be another: the parent's is written down.
    Frozen(String),
}

/// A `fieldRef`. The error is a sentence.
pub(crate) fn pod_field(parent: &Parent, path: &str) -> Result<DownwardField, String> {
    let metadata = &parent.object["metadata"];
    if let Some((map, key)) = subscript(path) {
        return match map {
            "metadata.annotations" if key.starts_with(KUBELET_PREFIX) => Ok(DownwardField::Native),
            "metadata.annotations" => Ok(DownwardField::Frozen(entry(&metadata["annotations"], key))),
            "metadata.labels" => Ok(DownwardField::Frozen(entry(&metadata["labels"], key))),
            _ => Err(unknown(path)),
        };
    }
    match path {
        "metadata.annotations" => Ok(DownwardField::Frozen(listed(&metadata["annotations"]))),
        "metadata.labels" => Ok(DownwardField::Frozen(listed(&metadata["labels"]))),
        "metadata.name" => Ok(DownwardField::Frozen(parent.key.name().to_owned())),
        "spec.serviceAccountName" => Ok(DownwardField::Frozen(service_account(&parent.object).to_owned())),
        "metadata.namespace" | "metadata.uid" | "spec.nodeName" | "status.hostIP" | "status.hostIPs"
        | "status.podIP" | "status.podIPs" => Ok(DownwardField::Native),
        _ => Err(unknown(path)),
    }
}

/// A `fieldRef` of a volume that becomes a directory of ours, where nothing can stay native.
pub(crate) fn written_field(parent: &Parent, path: &str) -> Result<String, String> {
    match (pod_field(parent, path)?, path) {
        (DownwardField::Frozen(value), _) => Ok(value),
        (DownwardField::Native, "metadata.namespace") => Ok(parent.key.namespace().to_owned()),
        (DownwardField::Native, "metadata.uid") => Ok(parent.uid.to_string()),
        // Whoever reads this is the twin, and that is what the kubelet would tell it.
        (DownwardField::Native, "metadata.annotations['kubernetes.io/config.source']") => Ok("file".to_owned()),
        (DownwardField::Native, _) => Err(format!(
            "{path} cannot stand in one volume with fields that are kept as the parent's; put it into a downwardAPI \
             volume of its own"
        )),
    }
}

/// A `resourceFieldRef`; `container` is the one that reads it, used where the reference names none.
pub(crate) fn resource_field(
    parent: &Parent,
    container: Option<&str>,
    source: &Value,
) -> Result<DownwardField, String> {
    let resource = source["resource"].as_str().unwrap_or_default();
    if resource.starts_with("limits.") {
        return Ok(DownwardField::Native);
    }
    written_resource(parent, container, source).map(DownwardField::Frozen)
}

/// The parent's value of a `resourceFieldRef`. Requests that are not named are as the API server fills them in: the
/// limits, or nothing.
pub(crate) fn written_resource(parent: &Parent, container: Option<&str>, source: &Value) -> Result<String, String> {
    let resource = source["resource"].as_str().unwrap_or_default();
    let (which, name) = resource.split_once('.').unwrap_or_default();
    if !matches!(which, "limits" | "requests") || !matches!(name, "cpu" | "memory" | "ephemeral-storage") {
        return Err(format!(
            "resource {resource:?} is not known to this version; remove it, or update pod-checkpointer"
        ));
    }
    let container = source["containerName"].as_str().or(container).unwrap_or_default();
    let resources = resources_of(parent, container).ok_or_else(|| format!("no container is named {container:?}"))?;
    let limit = resources["limits"].get(name);
    let quantity = match (which, resources["requests"].get(name)) {
        ("requests", Some(request)) => Some(request),
        _ => limit,
    };
    let quantity = match quantity {
        Some(value) => Quantity::read(value).ok_or_else(|| format!("{resource} of {container} is {value}"))?,
        None if which == "requests" => Quantity::ZERO,
        None => {
            return Err(format!(
                "{resource} of container {container} is not set, so it means the node's own size, which is not known \
                 here; set resources.limits.{name}"
            ));
        }
    };
    let divisor = Quantity::read(&source["divisor"]).filter(|d| *d != Quantity::ZERO).unwrap_or(Quantity::UNIT);
    let result = quantity.divided_by(divisor, name == "cpu");
    result.map(|n| n.to_string()).ok_or_else(|| format!("{resource} cannot be divided by {}", source["divisor"]))
}

fn resources_of<'a>(parent: &'a Parent, name: &str) -> Option<&'a Value> {
    let spec = &parent.object["spec"];
    let containers = [&spec["containers"], &spec["initContainers"]].into_iter().filter_map(Value::as_array).flatten();
    containers.into_iter().find(|c| c["name"] == name).map(|c| &c["resources"])
}

/// `metadata.labels['a']` → `metadata.labels`, `a`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(map, _)| !map.is_empty())
}

fn unknown(path: &str) -> String {
    format!("field {path:?} is not known to this version; remove it, or update pod-checkpointer")
}

fn entry(map: &Value, key: &str) -> String {
    map[key].as_str().unwrap_or_default().to_owned()
}

/// A whole map as the kubelet writes it into a file: `key="value"` by key, the values quoted as Go does.
fn listed(map: &Value) -> String {
    let mut lines: Vec<_> = map.as_object().into_iter().flatten().collect();
    lines.sort_by_key(|(key, _)| *key);
    let lines = lines.into_iter().map(|(key, value)| format!("{key}={}", quoted(value.as_str().unwrap_or_default())));
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    let body: String = text.chars().map(escaped).collect();
    format!("\"{body}\"")
}

fn escaped(c: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        '"' => "\\\"".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c if is_printable(c) => c.to_string(),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    }
}

/// Near to Go's notion: what Rust escapes when debugging is not printable, marks that combine excepted.
fn is_printable(c: char) -> bool {
    let debug: String = c.escape_debug().collect();
    debug.chars().count() == 1 || c == '\'' || is_combining(c)
}

fn is_combining(c: char) -> bool {
    let combined: String = format!("a{c}").escape_debug().collect();
    combined.chars().count() == 2
}
