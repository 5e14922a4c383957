//! The front proxy's headers: whom the API server says the request is of. The names of the headers are the cluster's.

use std::collections::BTreeMap;

use axum::http::HeaderMap;

use crate::cluster::reviews::Caller;
use crate::percent;
use crate::serve::api::api_status::ApiStatus;

/// Which headers say what, in lower case; several of a kind are tried in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdentityHeaders {
    pub(super) user: Vec<String>,
    pub(super) uid: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) extra: Vec<String>,
}

/// Whoever is named, if anybody is. Only for requests that the front proxy itself brought.
pub(super) fn caller(names: &IdentityHeaders, headers: &HeaderMap) -> Result<Option<Caller>, ApiStatus> {
    let Some(user) = single(&names.user, headers)? else { return Ok(None) };
    let uid = single(&names.uid, headers)?;
    let mut groups = Vec::new();
    for name in &names.groups {
        for value in headers.get_all(name.as_str()) {
            groups.push(text(name, value.as_bytes())?.to_owned());
        }
    }
    groups.retain(|group| !group.is_empty());
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = names.extra.iter().find_map(|prefix| name.as_str().strip_prefix(prefix.as_str())) else {
            continue;
        };
        // Escaped as in a URL's path, where it can be read so; else as it is.
        let key = percent::decode(key).unwrap_or_else(|| key.to_owned()).to_lowercase();
        extra.entry(key).or_default().push(text(name.as_str(), value.as_bytes())?.to_owned());
    }
    Ok(Some(Caller { user, uid, groups, extra }))
}

/// The first header of the list that says something; a proxy says it once.
fn single(names: &[String], headers: &HeaderMap) -> Result<Option<String>, ApiStatus> {
    for name in names {
        let mut values = headers.get_all(name.as_str()).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(ApiStatus::unauthorized(format!("header {name} is there more than once")));
        }
        let value = text(name, value.as_bytes())?;
        if !value.is_empty() {
            return Ok(Some(value.to_owned()));
        }
    }
    Ok(None)
}

/// Names need not be ASCII; they are sent as they are.
fn text<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, ApiStatus> {
    std::str::from_utf8(value).map_err(|_| ApiStatus::unauthorized(format!("header {name} is not UTF-8")))
}
