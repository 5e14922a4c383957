//! What a pod reads, as if it had been fetched: every object there, with the keys that the pod names, or with one that
//! stands for all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::pod::asset_refs::references::references;
use crate::pod::asset_refs::{Assets, Fetched, FetchedToken, ObjectKind, ObjectRef, wanted};

/// Assets of `pod` with placeholders.
pub(super) fn assets(pod: &Value) -> Assets {
    let wanted = wanted(pod);
    let mut assets = Assets::default();
    for object in &wanted.objects {
        let named = references(pod).into_iter().filter(|r| r.object == *object);
        let data = named.map(|reference| match reference.key {
            Some(key) => {
                let value = format!("<{key} of {object}>");
                (key, value)
            }
            None => (format!("<every key of {object}>"), format!("<every value of {object}>")),
        });
        let mut data: BTreeMap<_, _> = data.map(|(key, value)| (key, value.into_bytes())).collect();
        for key in mounted_keys(pod, object) {
            let value = format!("<{key} of {object}>").into_bytes();
            data.entry(key).or_insert(value);
        }
        assets.objects.insert(object.clone(), Fetched::Found(data));
    }
    for token in wanted.tokens {
        let placeholder = format!("<token of {}>", token.service_account);
        assets.tokens.insert(token, FetchedToken::Granted { token: placeholder, expires_at: 0 });
    }
    assets
}

/// Keys of an object that a container mounts as files of their own (`subPath`) from a volume of the whole object.
fn mounted_keys(pod: &Value, object: &ObjectRef) -> Vec<String> {
    let spec = &pod["spec"];
    let whole =
        |source: &Value, name: &str| source[name] == object.name.as_str() && list(&source["items"]).next().is_none();
    let holds = |volume: &&Value| {
        let (kind, name) = match object.kind {
            ObjectKind::Secret => ("secret", "secretName"),
            ObjectKind::ConfigMap => ("configMap", "name"),
        };
        whole(&volume[kind], name) || list(&volume["projected"]["sources"]).any(|source| whole(&source[kind], "name"))
    };
    let volumes: Vec<_> = list(&spec["volumes"]).filter(holds).map(|volume| &volume["name"]).collect();
    let containers = list(&spec["initContainers"]).chain(list(&spec["containers"]));
    let mounts = containers.flat_map(|container| list(&container["volumeMounts"]));
    let parts = mounts.filter(|mount| volumes.contains(&&mount["name"])).filter_map(|mount| mount["subPath"].as_str());
    parts.filter(|part| !part.is_empty() && !part.contains('/')).map(str::to_owned).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
