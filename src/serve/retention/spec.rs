//! From the `spec` of a resource, or a file of the same form, to a valid [`Policy`]: every value that cannot be is refused
//! with its path, all at once. Pure.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;

use serde_json::Value;

use super::policy::{ContainerKey, Global, MinFree, Policy, RetentionLimits, Rule};
use super::resource::{GLOBAL, OF_CONTAINER, OF_NAMESPACE, OF_POD, SPEC};

mod value;

use value::{Given, SpecReader};

/// A value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `spec.podPolicies[0].maxTotalSize`
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// A policy, and what its author should know of how it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What is to be done.
    pub policy: Policy,
    /// One sentence each, with the field's path.
    pub notes: Vec<String>,
}

/// Reads a `spec`. Nothing at all (`null`) is the policy of the defaults.
///
/// # Errors
/// Every value that cannot be.
pub fn read(spec: &Value) -> Result<Read, Vec<Refusal>> {
    let mut reader = SpecReader::default();
    let spec = reader.object(spec, "spec", SPEC);
    let mut policy = Policy { global: global(&mut reader, &spec), ..Policy::default() };
    if let Some(directory) = reader.directory(&spec, "checkpointDirectory") {
        policy.directory = directory;
    }
    policy.immediately = reader.flag(&spec, "applyPoliciesImmediately").unwrap_or(false);
    policy.dry_run = reader.flag(&spec, "dryRun").unwrap_or(false);
    policy.max_age = reader.duration(&spec, "maxAge");
    policy.max_total = reader.size(&spec, "maxTotalSizePerNode").value();
    policy.min_free = min_free(&mut reader, &spec);
    for of in reader.list(&spec, "containerPolicies", OF_CONTAINER) {
        let names = reader.names(&of, ["namespace", "pod", "container"]);
        let key = ContainerKey::new(&names[0], &names[1], &names[2]);
        rule(&mut reader, &of, &mut policy.containers, key);
    }
    for of in reader.list(&spec, "podPolicies", OF_POD) {
        let [namespace, pod] = reader.names(&of, ["namespace", "pod"]);
        rule(&mut reader, &of, &mut policy.pods, (namespace, pod));
    }
    for of in reader.list(&spec, "namespacePolicies", OF_NAMESPACE) {
        let [namespace] = reader.names(&of, ["namespace"]);
        rule(&mut reader, &of, &mut policy.namespaces, namespace);
    }
    let (refusals, notes) = reader.end();
    if refusals.is_empty() { Ok(Read { policy, notes }) } else { Err(refusals) }
}

/// Reads a whole object, or a bare `spec`: what a file may hold.
///
/// # Errors
/// As [`read`].
pub fn read_document(document: &Value) -> Result<Read, Vec<Refusal>> {
    let is_object =
        document.get("kind").is_some() || document.get("apiVersion").is_some() || document.get("spec").is_some();
    if !is_object {
        return read(document);
    }
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind != super::resource::KIND {
        let why = format!("{kind:?} is not {}", super::resource::KIND);
        return Err(vec![Refusal { path: "kind".to_owned(), why }]);
    }
    read(document.get("spec").unwrap_or(&Value::Null))
}

/// The older form says one number at the top, and limits nothing but containers.
fn global(reader: &mut SpecReader, spec: &value::Object<'_>) -> Global {
    let older = reader.count(spec, "maxCheckpointsPerContainer");
    let is_older = older != Given::Absent && !spec.has("globalPolicy");
    let of = reader.child(spec, "globalPolicy", GLOBAL);
    let newer = reader.count(&of, "maxCheckpointsPerContainer");
    if older != Given::Absent && newer != Given::Absent {
        reader.note(spec, "maxCheckpointsPerContainer", "globalPolicy says it too, and counts");
    }
    let container = if newer == Given::Absent { older } else { newer };
    let (pod, namespace) = (reader.count(&of, "maxCheckpointsPerPod"), reader.count(&of, "maxCheckpointsPerNamespace"));
    let size = reader.size(&of, "maxCheckpointSize");
    let mut level = |count: Given<u64>, default: u64, total: &str| {
        let total = reader.size(&of, total);
        let limits = limits(count, size, total)?;
        let count = limits.count.or((!is_older).then_some(default));
        Some(RetentionLimits { count, ..limits })
    };
    let (container, pod, namespace) = (
        level(container, 10, "maxTotalSizePerContainer"),
        level(pod, 20, "maxTotalSizePerPod"),
        level(namespace, 30, "maxTotalSizePerNamespace"),
    );
    Global { retain_orphan: reader.flag(&of, "retainOrphan").unwrap_or(true), container, pod, namespace }
}

/// As with the original, one value that is off turns the whole level off.
fn limits(count: Given<u64>, size: Given<u64>, total: Given<u64>) -> Option<RetentionLimits> {
    let off = [count, size, total].contains(&Given::Off);
    (!off).then(|| RetentionLimits { count: count.value(), size: size.value(), total: total.value() })
}

/// Of several for the same, the first counts.
fn rule<K: Ord>(reader: &mut SpecReader, of: &value::Object<'_>, rules: &mut BTreeMap<K, Rule>, key: K) {
    let count = reader.count(of, "maxCheckpoints");
    let (size, total) = (reader.size(of, "maxCheckpointSize"), reader.size(of, "maxTotalSize"));
    let retain_orphan = reader.flag(of, "retainOrphan").unwrap_or(true);
    match rules.entry(key) {
        Entry::Vacant(place) => drop(place.insert(Rule { retain_orphan, limits: limits(count, size, total) })),
        Entry::Occupied(_) => reader.note(of, "", "an earlier one is for the same, and counts"),
    }
}

fn min_free(reader: &mut SpecReader, spec: &value::Object<'_>) -> Option<MinFree> {
    let percent = spec.text("minFreeSpace").and_then(|text| text.trim().strip_suffix('%'));
    let Some(percent) = percent else {
        return reader.size(spec, "minFreeSpace").value().map(MinFree::Bytes);
    };
    match percent.trim().parse::<u8>() {
        Ok(0) => None,
        Ok(percent) if percent < 100 => Some(MinFree::Percent(percent)),
        _ => {
            reader.refuse(spec, "minFreeSpace", "a percentage is a whole number below 100, like 10%");
            None
        }
    }
}
