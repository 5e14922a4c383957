//! Which policy holds now: that of the oldest resource, or of a file, or the last good one. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::Policy;
use super::spec::{self, Read};

/// The resource that a policy is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyOrigin {
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// UID of the resource.
    pub uid: String,
    /// The generation of its `spec`.
    pub generation: i64,
}

/// What is to be done, and what its author is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EffectivePolicy {
    /// `None`: nobody has said anything, and nothing is deleted.
    pub policy: Option<Policy>,
    /// The resource that counts; with a file, none.
    pub origin: Option<PolicyOrigin>,
    /// How values were understood.
    pub notes: Vec<String>,
    /// Values that cannot be; while there are any, the policy is an earlier one.
    pub refused: Vec<String>,
    /// Resources that do not count, for another one is older.
    pub others: Vec<PolicyOrigin>,
}

/// A good policy, to be kept for the next start: the API may be away then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is from.
    pub origin: PolicyOrigin,
    /// Its `spec`, unchanged, with fields that this version does not know.
    pub spec: Value,
}

/// What a complete look at the resources means, after what was ordered before. The second value is to be kept.
pub fn of_resources(objects: &[Value], before: &EffectivePolicy) -> (EffectivePolicy, Option<Kept>) {
    let mut found: Vec<(&str, PolicyOrigin, &Value)> = objects.iter().filter_map(parts).collect();
    found.sort_by(|(at, one, _), (other_at, other, _)| {
        (at, &one.namespace, &one.name).cmp(&(other_at, &other.namespace, &other.name))
    });
    let mut found = found.into_iter();
    let Some((_, origin, spec)) = found.next() else { return (EffectivePolicy::default(), None) };
    let others = found.map(|(_, origin, _)| origin).collect();
    let read = spec::read(spec);
    let kept = read.is_ok().then(|| Kept { origin: origin.clone(), spec: spec.clone() });
    (EffectivePolicy { origin: Some(origin), others, ..after(read, before) }, kept)
}

/// What a file means.
pub fn of_document(document: &Value, before: &EffectivePolicy) -> EffectivePolicy {
    after(spec::read_document(document), before)
}

/// What an earlier run kept.
pub fn of_kept(kept: &Kept) -> EffectivePolicy {
    EffectivePolicy { origin: Some(kept.origin.clone()), ..after(spec::read(&kept.spec), &EffectivePolicy::default()) }
}

fn after(read: Result<Read, Vec<spec::Refusal>>, before: &EffectivePolicy) -> EffectivePolicy {
    match read {
        Ok(Read { policy, notes }) => EffectivePolicy { policy: Some(policy), notes, ..EffectivePolicy::default() },
        Err(refusals) => {
            let refused = refusals.iter().map(ToString::to_string).collect();
            EffectivePolicy { policy: before.policy.clone(), refused, ..EffectivePolicy::default() }
        }
    }
}

/// RFC 3339 in UTC and without fractions, as the API has it, sorts as text.
fn parts(object: &Value) -> Option<(&str, PolicyOrigin, &Value)> {
    let metadata = object.get("metadata")?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    let origin = PolicyOrigin {
        namespace: text("namespace")?.to_owned(),
        name: text("name")?.to_owned(),
        uid: text("uid")?.to_owned(),
        generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or(0),
    };
    Some((text("creationTimestamp")?, origin, object.get("spec").unwrap_or(&Value::Null)))
}
