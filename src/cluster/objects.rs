//! Secrets, ConfigMaps and tokens of one pod, each asked for by name: listing Secrets is a right we do not have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use super::client::{ApiClient, LIMIT};
use super::error::ApiError;
use super::requests;
use super::secret;
use super::tokens::{self, TokenTerms};
use crate::dns_name::check_name;
use crate::pod::asset_refs::{Assets, Fetched, FetchedToken, ObjectKind, ObjectRef, TokenRef, Wanted};

/// Questions in flight at once.
const PARALLEL: usize = 4;

/// One round of refreshing: whatever several pods share is asked for once. Drop it after the round.
pub struct ObjectCache {
    terms: TokenTerms,
    objects: BTreeMap<(String, ObjectRef), Fetched>,
    tokens: BTreeMap<(String, TokenRef), FetchedToken>,
}

impl fmt::Debug for ObjectCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectCache({} objects, {} tokens)", self.objects.len(), self.tokens.len())
    }
}

impl ObjectCache {
    /// An empty round; tokens are asked for with `terms`.
    pub fn new(terms: TokenTerms) -> Self {
        Self { terms, objects: BTreeMap::new(), tokens: BTreeMap::new() }
    }
}

/// Everything that the pod of `namespace` wants. `held` are the tokens on disk now. An API that cannot be asked is an
/// error of the whole, so that nothing half-fetched is ever saved.
pub async fn fetch(
    client: &ApiClient,
    namespace: &str,
    wanted: &Wanted,
    held: &BTreeMap<TokenRef, String>,
    round: &mut ObjectCache,
) -> Result<Assets, ApiError> {
    let missing = |o: &&ObjectRef| !round.objects.contains_key(&(namespace.to_owned(), (*o).clone()));
    let to_ask: BTreeSet<ObjectRef> = wanted.objects.iter().filter(missing).cloned().collect();
    let mut answers = stream::iter(to_ask)
        .map(async |o| Ok::<_, ApiError>((object(client, namespace, &o).await?, o)))
        .buffer_unordered(PARALLEL);
    while let Some((found, object)) = answers.try_next().await? {
        round.objects.insert((namespace.to_owned(), object), found);
    }
    drop(answers);
    for token in &wanted.tokens {
        let key = (namespace.to_owned(), token.clone());
        if !round.tokens.contains_key(&key) {
            let held = held.get(token).map(String::as_str);
            let fetched = tokens::fetch(client, namespace, token, held, &round.terms).await?;
            round.tokens.insert(key, fetched);
        }
    }
    Ok(round.assets(namespace, wanted))
}

impl ObjectCache {
    fn assets(&self, namespace: &str, wanted: &Wanted) -> Assets {
        let object = |o: &ObjectRef| Some((o.clone(), self.objects.get(&(namespace.to_owned(), o.clone()))?.clone()));
        let token = |t: &TokenRef| Some((t.clone(), self.tokens.get(&(namespace.to_owned(), t.clone()))?.clone()));
        Assets {
            objects: wanted.objects.iter().filter_map(object).collect(),
            tokens: wanted.tokens.iter().filter_map(token).collect(),
        }
    }
}

async fn object(client: &ApiClient, namespace: &str, wanted: &ObjectRef) -> Result<Fetched, ApiError> {
    let kind = match wanted.kind {
        ObjectKind::Secret => "Secret",
        ObjectKind::ConfigMap => "ConfigMap",
    };
    if let Err(bad) = check_name(kind, &wanted.name) {
        return Ok(Fetched::Denied(bad.to_string()));
    }
    let answer = match wanted.kind {
        ObjectKind::Secret => requests::get_secret(client, namespace, &wanted.name, LIMIT).await,
        ObjectKind::ConfigMap => requests::get_config_map(client, namespace, &wanted.name, LIMIT).await,
    };
    match answer {
        Ok(value) => content(wanted.kind, &value)
            .map(Fetched::Found)
            .ok_or_else(|| ApiError::Unavailable(format!("{kind} {namespace}/{} came garbled", wanted.name))),
        Err(ApiError::NotFound(_)) => Ok(Fetched::Missing),
        Err(ApiError::Forbidden(why)) => Ok(Fetched::Denied(why)),
        Err(other) => Err(other),
    }
}

/// Keys and bytes; `None` where a value is not what the API would send.
pub(super) fn content(kind: ObjectKind, object: &Value) -> Option<BTreeMap<String, Vec<u8>>> {
    let empty = Map::new();
    let part = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Some(empty.clone()),
        Some(Value::Object(map)) => Some(map.clone()),
        Some(_) => None,
    };
    let encoded = |map: Map<String, Value>| -> Option<Vec<(String, Vec<u8>)>> {
        map.into_iter().map(|(k, v)| Some((k, std::mem::take(&mut *secret::decoded(&v)?)))).collect()
    };
    let plain = |map: Map<String, Value>| -> Option<Vec<(String, Vec<u8>)>> {
        map.into_iter().map(|(k, v)| Some((k, v.as_str()?.as_bytes().to_vec()))).collect()
    };
    match kind {
        ObjectKind::Secret => Some(encoded(part("data")?)?.into_iter().collect()),
        ObjectKind::ConfigMap => Some(plain(part("data")?)?.into_iter().chain(encoded(part("binaryData")?)?).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_config_map_gives_its_text_and_its_bytes() {
        let found = content(ObjectKind::ConfigMap, &json!({"data": {"a": "x"}, "binaryData": {"b": "AP8="}})).unwrap();
        assert_eq!(found["a"], b"x");
        assert_eq!(found["b"], [0, 255]);
    }

    #[test]
    fn an_object_without_data_is_empty_and_a_garbled_one_is_none() {
        assert_eq!(content(ObjectKind::Secret, &json!({})), Some(BTreeMap::new()));
        assert_eq!(content(ObjectKind::Secret, &json!({"data": {"a": "%%"}})), None);
        assert_eq!(content(ObjectKind::Secret, &json!({"data": [1]})), None);
    }
}
