//! A container's environment without API objects, such that every variable has the value that the kubelet would have
//! given it. How the kubelet goes about it: `envFrom` first, in order, then `env`, in order, where `$(NAME)` in a
//! `value` (not in what `valueFrom` gives) reads what is set so far.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::downward::{DownwardField, pod_field, resource_field};
use super::findings::{Findings, Pod};
use crate::pod::annotation::INLINE_SECRET_ENV;
use crate::pod::asset_refs::missing;
use crate::pod::asset_refs::missing::{AssetReader, Lack};
use crate::pod::asset_refs::{ObjectKind, ObjectRef};
use crate::pod::service_variables::{Known, OF_THE_API, known, read_by};

/// Replaces `env` and `envFrom` of a container.
pub(super) fn freeze(pod: &Pod<'_>, container: &mut Map<String, Value>, findings: &mut Findings) {
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let env_from = container.remove("envFrom").unwrap_or_default();
    let env = container.remove("env").unwrap_or_default();
    let env = env.as_array().map_or(&[] as &[Value], Vec::as_slice);
    let reader = Environment { pod, container: &name };

    let inlined = reader.from(&env_from, findings);
    let [host, port] = OF_THE_API;
    let mut frozen: Vec<_> = [(host, &pod.facts.api_host), (port, &pod.facts.api_port)]
        .into_iter()
        .filter(|(name, value)| {
            !value.is_empty() && !inlined.contains_key(*name) && env.iter().all(|variable| variable["name"] != *name)
        })
        .map(|(name, value)| json!({"name": name, "value": literal(value)}))
        .collect();
    let set: BTreeSet<_> = inlined.keys().map(String::as_str).collect();
    frozen.extend(reader.service_variables(&set, findings));
    frozen.extend(inlined.iter().map(|(name, value)| json!({"name": name, "value": literal(value)})));
    frozen.extend(env.iter().filter_map(|variable| reader.variable(variable, findings)));
    if !frozen.is_empty() {
        container.insert("env".to_owned(), Value::Array(frozen));
    }
}

struct Environment<'a> {
    pod: &'a Pod<'a>,
    container: &'a str,
}

impl Environment<'_> {
    /// Variables of Services that the container reads, with the values that the kubelet gave to the parent's; before all
    /// others, which can take their place, as there. `set`: the names that its `envFrom` sets.
    fn service_variables(&self, set: &BTreeSet<&str>, findings: &mut Findings) -> Vec<Value> {
        let spec = &self.pod.parent.object["spec"];
        let all = [&spec["initContainers"], &spec["containers"]].into_iter().filter_map(Value::as_array).flatten();
        let Some(container) = all.into_iter().find(|c| c["name"] == self.container) else { return Vec::new() };
        let (mut frozen, mut unknown) = (Vec::new(), Vec::new());
        for name in read_by(spec, container, set) {
            match known(spec, &self.pod.facts.service_variables, self.container, &name) {
                Known::Set(value) => frozen.push(json!({"name": name, "value": literal(value)})),
                Known::Unset => {}
                Known::Unknown => unknown.push(format!("$({name})")),
            }
        }
        if !unknown.is_empty() {
            findings.degraded.push(format!(
                "container {} reads {}, which the kubelet sets only with an API server (for a Service of that name), and what \
                 it is could not be read from a running container; write the Service's name (DNS) or address instead",
                self.container,
                unknown.join(", ")
            ));
        }
        frozen
    }

    /// All variables of `envFrom`; of two with one name the later counts.
    fn from(&self, sources: &Value, findings: &mut Findings) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for source in sources.as_array().into_iter().flatten() {
            let (kind, reference) = match (source.get("configMapRef"), source.get("secretRef")) {
                (Some(reference), _) => (ObjectKind::ConfigMap, reference),
                (None, Some(reference)) => (ObjectKind::Secret, reference),
                (None, None) => {
                    findings.refuse(format!("container {}: an envFrom of it has no source", self.container));
                    continue;
                }
            };
            let what = format!("envFrom of container {}", self.container);
            match self.object(kind, reference, &what) {
                Ok(Some(data)) => {
                    let prefix = source["prefix"].as_str().unwrap_or_default();
                    self.add_all(&mut variables, kind, prefix, data, findings);
                }
                Ok(None) => {}
                Err(lack) => findings.lacks(lack),
            }
        }
        variables
    }

    fn add_all(
        &self,
        variables: &mut BTreeMap<String, String>,
        kind: ObjectKind,
        prefix: &str,
        data: &BTreeMap<String, Vec<u8>>,
        findings: &mut Findings,
    ) {
        for (key, bytes) in data {
            let name = format!("{prefix}{key}");
            if !is_variable_name(&name) {
                continue;
            }
            match (std::str::from_utf8(bytes), kind) {
                (Ok(value), _) => {
                    variables.insert(name, value.to_owned());
                }
                // `binaryData` never becomes a variable.
                (Err(_), ObjectKind::ConfigMap) => {}
                (Err(_), ObjectKind::Secret) => findings.refuse(self.not_text(&name)),
            }
        }
    }

    /// One entry of `env`; `None` where the kubelet would leave it out, or where the pod is refused for it.
    fn variable(&self, variable: &Value, findings: &mut Findings) -> Option<Value> {
        let source = &variable["valueFrom"];
        if !source.is_object() || variable["value"].as_str().is_some_and(|value| !value.is_empty()) {
            return Some(variable.clone());
        }
        let name = variable["name"].as_str().unwrap_or_default();
        let of_kind = |kind: &str| source.get(kind).filter(|s| s.is_object());
        let frozen = |value: &str| json!({"name": name, "value": literal(value)});
        let field = if let Some(reference) = of_kind("configMapKeyRef") {
            return self.key(ObjectKind::ConfigMap, name, reference, findings).map(|value| frozen(&value));
        } else if let Some(reference) = of_kind("secretKeyRef") {
            return self.key(ObjectKind::Secret, name, reference, findings).map(|value| frozen(&value));
        } else if let Some(reference) = of_kind("fieldRef") {
            pod_field(self.pod.parent, reference["fieldPath"].as_str().unwrap_or_default())
        } else if let Some(reference) = of_kind("resourceFieldRef") {
            resource_field(self.pod.parent, Some(self.container), reference)
        } else {
            // A file of an emptyDir, which the kubelet reads itself.
            Ok(DownwardField::Native)
        };
        match field {
            Ok(DownwardField::Native) => Some(variable.clone()),
            Ok(DownwardField::Frozen(value)) => Some(frozen(&value)),
            Err(sentence) => {
                findings.refuse(format!("variable {name} of container {}: {sentence}", self.container));
                None
            }
        }
    }

    /// The value of one key.
    fn key(&self, kind: ObjectKind, name: &str, reference: &Value, findings: &mut Findings) -> Option<String> {
        let what = format!("variable {name} of container {}", self.container);
        let data = match self.object(kind, reference, &what) {
            Ok(data) => data?,
            Err(lack) => {
                findings.lacks(lack);
                return None;
            }
        };
        let key = reference["key"].as_str().unwrap_or_default();
        match data.get(key).map(|bytes| std::str::from_utf8(bytes)) {
            Some(Ok(value)) => return Some(value.to_owned()),
            Some(Err(_)) if kind == ObjectKind::Secret => findings.refuse(self.not_text(name)),
            _ if reference["optional"] == true => {}
            _ => {
                let object = reference["name"].as_str().unwrap_or_default();
                findings.refuse(format!("{what}: {kind} {object} has no key {key:?}; add it, or mark it optional"));
            }
        }
        None
    }

    fn object(
        &self,
        kind: ObjectKind,
        reference: &Value,
        what: &str,
    ) -> Result<Option<&BTreeMap<String, Vec<u8>>>, Lack> {
        let name = reference["name"].as_str().unwrap_or_default();
        if kind == ObjectKind::Secret && !self.pod.inlines_secret_env {
            return Err(Lack::of(format!(
                "{what} reads Secret {name}, which a checkpoint would show to anyone who may read pods; mount it as a \
                 volume, or allow that with annotation {INLINE_SECRET_ENV}: \"true\""
            )));
        }
        let object = ObjectRef { kind, name: name.to_owned() };
        let reader = AssetReader { namespace: self.pod.parent.key.namespace(), what };
        missing::object(self.pod.assets, &object, reference["optional"] == true, reader)
    }

    fn not_text(&self, name: &str) -> String {
        format!(
            "variable {name} of container {} is not UTF-8, which a manifest cannot hold; mount the Secret as a volume",
            self.container
        )
    }
}

/// Names that the kubelet of today takes: printable ASCII without `=`.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=')
}

/// `text` as a `value` that the kubelet's expansion gives back unchanged: `$$` stands for one `$`, `$(` begins a
/// reference, and a `$` before anything else stands for itself.
fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let (before, from) = rest.split_at(start);
        let run = from.len() - from.trim_start_matches('$').len();
        let after = &from[run..];
        let doubled = run > 1 || after.starts_with('(');
        escaped.push_str(before);
        escaped.extend(std::iter::repeat_n('$', if doubled { 2 * run } else { run }));
        rest = after;
    }
    escaped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_survive_the_kubelets_expansion() {
        for (text, value) in [
            ("plain", "plain"),
            ("$(A)", "$$(A)"),
            ("p$ss", "p$ss"),
            ("$$", "$$$$"),
            ("$$(A)$", "$$$$(A)$"),
            ("a$(", "a$$("),
            ("$é$(é)", "$é$$(é)"),
        ] {
            assert_eq!(literal(text), value);
        }
    }
}
