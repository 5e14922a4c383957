//! A caller on the way from one instance to another, as headers: written here and read here. Everything but letters in lower
//! case, digits and a few signs is escaped (`%xx`), so that any name comes through any HTTP library as it was.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::cluster::reviews::Caller;
use crate::percent;
use crate::serve::api::api_status::ApiStatus;

const USER: &str = "x-checkpointer-forwarded-user";
const UID: &str = "x-checkpointer-forwarded-uid";
const GROUP: &str = "x-checkpointer-forwarded-group";
const EXTRA: &str = "x-checkpointer-forwarded-extra-";
/// All of ours begin so.
const OURS: &str = "x-checkpointer-forwarded-";

/// What names `caller` to another instance.
pub fn headers(caller: &Caller) -> Result<HeaderMap, ApiStatus> {
    let mut headers = HeaderMap::new();
    let mut put = |name: &str, value: &str| {
        let name = HeaderName::try_from(name);
        let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(percent::header(value))) else {
            return Err(ApiStatus::bad_request("the caller's name is too long to be forwarded"));
        };
        let added = headers.try_append(name, value);
        added.map(|_| ()).map_err(|_| ApiStatus::bad_request("the caller has too many groups to be forwarded"))
    };
    put(USER, &caller.user)?;
    if let Some(uid) = &caller.uid {
        put(UID, uid)?;
    }
    for group in &caller.groups {
        put(GROUP, group)?;
    }
    for (key, values) in &caller.extra {
        for value in values {
            put(&format!("{EXTRA}{}", percent::header(key)), value)?;
        }
    }
    Ok(headers)
}

/// Who is named, if anybody is. Only for requests of our own ServiceAccount.
pub(super) fn caller(headers: &HeaderMap) -> Result<Option<Caller>, ApiStatus> {
    let mut user = None;
    let mut uid = None;
    let mut groups = Vec::new();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut any = false;
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with(OURS) {
            continue;
        }
        any = true;
        let bad = || ApiStatus::bad_request(format!("header {name} is not as another instance writes it"));
        let value = value.to_str().ok().and_then(percent::decode).ok_or_else(bad)?;
        match name {
            USER if user.is_none() && !value.is_empty() => user = Some(value),
            UID if uid.is_none() => uid = Some(value),
            GROUP => groups.push(value),
            _ => {
                let key = name.strip_prefix(EXTRA).and_then(percent::decode).ok_or_else(bad)?;
                extra.entry(key).or_default().push(value);
            }
        }
    }
    match user {
        Some(user) => Ok(Some(Caller { user, uid, groups, extra })),
        None if any => Err(ApiStatus::bad_request(format!("there are headers {OURS}… but none that names the user"))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_caller() -> impl Strategy<Value = Caller> {
        let lists = prop::collection::vec(any::<String>(), 0..5);
        let extra = prop::collection::btree_map(any::<String>(), prop::collection::vec(any::<String>(), 1..4), 0..4);
        (".+", prop::option::of(any::<String>()), lists, extra).prop_map(|(user, uid, groups, extra)| Caller {
            user,
            uid,
            groups,
            extra,
        })
    }

    proptest! {
        #[test]
        fn whoever_is_forwarded_arrives_as_who_they_are(sent in any_caller()) {
            let headers = headers(&sent).unwrap();
            prop_assert_eq!(caller(&headers).unwrap(), Some(sent));
        }
    }

    #[test]
    fn a_request_without_such_headers_names_nobody() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::from_static("admin"));
        assert_eq!(caller(&headers).unwrap(), None);
    }

    #[test]
    fn half_a_name_or_two_are_refused() {
        for list in [
            &[(GROUP, "system%3amasters")][..],
            &[(USER, "")],
            &[(USER, "a"), (USER, "b")],
            &[(USER, "a%")],
            &[(USER, "a%zz")],
            &[(USER, "a"), (UID, "1"), (UID, "2")],
            &[(USER, "a"), ("x-checkpointer-forwarded-other", "b")],
            &[(USER, "a%ff")],
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in list {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert!(caller(&headers).is_err(), "{list:?}");
        }
    }
}
