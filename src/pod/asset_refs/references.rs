//! Every place of a pod's spec that names a Secret, a ConfigMap or a token.

use serde_json::Value;

use super::{ObjectKind, ObjectRef, TokenRef};
use crate::dns_name::check_name;

/// A place in a pod's spec that reads an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssetReference {
    /// The object it names.
    pub object: ObjectRef,
    /// The key it names, where it names one.
    pub key: Option<String>,
    /// It stands in a container's environment, not in a volume.
    pub in_environment: bool,
}

/// All references of a pod, in the order of the spec. Names that the API server would refuse are left out: nothing
/// can be fetched by them, and `sanitize` refuses the pod for their sake.
pub(crate) fn references(pod: &Value) -> Vec<AssetReference> {
    let mut found = Vec::new();
    for volume in list(&pod["spec"]["volumes"]) {
        of_items(&mut found, ObjectKind::Secret, &volume["secret"], "secretName");
        of_items(&mut found, ObjectKind::ConfigMap, &volume["configMap"], "name");
        for source in list(&volume["projected"]["sources"]) {
            of_items(&mut found, ObjectKind::Secret, &source["secret"], "name");
            of_items(&mut found, ObjectKind::ConfigMap, &source["configMap"], "name");
        }
    }
    for container in list(&pod["spec"]["initContainers"]).chain(list(&pod["spec"]["containers"])) {
        for from in list(&container["envFrom"]) {
            in_environment(&mut found, ObjectKind::Secret, &from["secretRef"]);
            in_environment(&mut found, ObjectKind::ConfigMap, &from["configMapRef"]);
        }
        for variable in list(&container["env"]) {
            in_environment(&mut found, ObjectKind::Secret, &variable["valueFrom"]["secretKeyRef"]);
            in_environment(&mut found, ObjectKind::ConfigMap, &variable["valueFrom"]["configMapKeyRef"]);
        }
    }
    found
}

/// All tokens of a pod's projected volumes.
pub(crate) fn tokens(pod: &Value) -> Vec<TokenRef> {
    let sources = list(&pod["spec"]["volumes"]).flat_map(|volume| list(&volume["projected"]["sources"]));
    sources.filter_map(|source| token(pod, source)).collect()
}

/// The token that one source of a projected volume asks for.
pub(crate) fn token(pod: &Value, source: &Value) -> Option<TokenRef> {
    let projection = source.get("serviceAccountToken").filter(|p| p.is_object())?;
    Some(TokenRef {
        service_account: service_account(pod).to_owned(),
        audience: projection["audience"].as_str().unwrap_or_default().to_owned(),
    })
}

/// Name of the pod's ServiceAccount; the API server fills in `default` where it is not named.
pub(crate) fn service_account(pod: &Value) -> &str {
    match pod["spec"]["serviceAccountName"].as_str() {
        Some(name) if !name.is_empty() => name,
        _ => "default",
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn object(kind: ObjectKind, name: &Value) -> Option<ObjectRef> {
    let name = name.as_str()?;
    check_name("object", name).ok()?;
    Some(ObjectRef { kind, name: name.to_owned() })
}

fn of_items(found: &mut Vec<AssetReference>, kind: ObjectKind, source: &Value, name: &str) {
    let Some(object) = object(kind, &source[name]) else { return };
    let keys: Vec<_> = list(&source["items"]).map(|item| item["key"].as_str().map(str::to_owned)).collect();
    let keys = if keys.is_empty() { vec![None] } else { keys };
    found.extend(keys.into_iter().map(|key| AssetReference { object: object.clone(), key, in_environment: false }));
}

fn in_environment(found: &mut Vec<AssetReference>, kind: ObjectKind, source: &Value) {
    if let Some(object) = object(kind, &source["name"]) {
        let key = source["key"].as_str().map(str::to_owned);
        found.push(AssetReference { object, key, in_environment: true });
    }
}
