//! What a pod reads, as if it had been fetched: every object there, with the keys that the pod names, or with one that
//! stands for all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::pod::asset_refs::references::references;
use crate::pod::asset_refs::{Assets, Fetched, FetchedToken, wanted};

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
        let data: BTreeMap<_, _> = data.map(|(key, value)| (key, value.into_bytes())).collect();
        assets.objects.insert(object.clone(), Fetched::Found(data));
    }
    for token in wanted.tokens {
        let placeholder = format!("<token of {}>", token.service_account);
        assets.tokens.insert(token, FetchedToken::Granted { token: placeholder, expires_at: 0 });
    }
    assets
}
