//! One Secret by its name, and of it only the keys that are asked for.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::client::{ApiClient, LIMIT};
use super::error::ApiError;
use super::requests;

/// What was asked for. No `Debug`: it is secret.
pub struct Secret {
    /// `type`, like `kubernetes.io/tls`.
    pub kind: String,
    values: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl Secret {
    /// The value of a key, if it was asked for and is there.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(|value| value.as_slice())
    }

    fn of(object: &Value, keys: &[&str]) -> Result<Self, ApiError> {
        let kind = object["type"].as_str().unwrap_or("Opaque").to_owned();
        let mut values = BTreeMap::new();
        for key in keys {
            let Some(value) = object["data"].get(*key) else { continue };
            let garbled = || ApiError::Unavailable(format!("key {key} of the Secret came garbled"));
            values.insert((*key).to_owned(), decoded(value).ok_or_else(garbled)?);
        }
        Ok(Self { kind, values })
    }
}

/// A value of `data` (or a ConfigMap's `binaryData`); none where it is not what the API would send.
pub(super) fn decoded(value: &Value) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(value.as_str()?).ok().map(Zeroizing::new)
}

/// The text of one key of a Secret; none where there is no such key, or no text.
pub fn text(secret: &Value, key: &str) -> Option<Zeroizing<String>> {
    let bytes = decoded(secret.get("data")?.get(key)?)?;
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// Reads the Secret; none only if the API server says that there is none. Both names must be valid.
pub async fn get(client: &ApiClient, namespace: &str, name: &str, keys: &[&str]) -> Result<Option<Secret>, ApiError> {
    match requests::get_secret(client, namespace, name, LIMIT).await {
        Ok(object) => Secret::of(&object, keys).map(Some),
        Err(ApiError::NotFound(_)) => Ok(None),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let object = json!({"type": "kubernetes.io/tls", "data": {"tls.crt": "eA==", "tls.key": "eQ=="}});
        let secret = Secret::of(&object, &["tls.crt", "ca.crt"]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(secret.kind, "kubernetes.io/tls");
        assert_eq!(secret.value("tls.crt"), Some(b"x".as_slice()));
        assert_eq!((secret.value("tls.key"), secret.value("ca.crt")), (None, None));
    }

    #[test]
    fn a_garbled_value_is_no_value() {
        for data in [json!({"k": "%%"}), json!({"k": 1})] {
            let read = Secret::of(&json!({"data": data}), &["k"]);
            assert!(matches!(read, Err(ApiError::Unavailable(_))));
        }
    }
}
