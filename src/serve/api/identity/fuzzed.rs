//! The parsers of this folder, opened for `fuzz/`; compiled with `cfg(fuzzing)` alone.

use axum::http::HeaderMap;
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::client_ca::ClientCas;
use super::{bearer, certificate, forwarded, request_header};
use crate::cluster::reviews::Caller;

/// Whom another instance names; written again and read again it must be the same.
pub fn forwarded(headers: &HeaderMap) -> Option<Caller> {
    let caller = forwarded::caller(headers).ok().flatten()?;
    let again = forwarded::headers(&caller).ok()?;
    assert_eq!(forwarded::caller(&again).ok().flatten().as_ref(), Some(&caller));
    Some(caller)
}

/// Whom the front proxy names, with the usual names of headers; and whatever is said to be a token.
pub fn remote(headers: &HeaderMap) -> Option<Caller> {
    let list = |name: &str| vec![name.to_owned()];
    let (user, uid, groups, extra) =
        (list("x-remote-user"), list("x-remote-uid"), list("x-remote-group"), list("x-remote-extra-"));
    drop(bearer(headers));
    request_header::caller(&request_header::IdentityHeaders { user, uid, groups, extra }, headers).ok().flatten()
}

/// A client certificate, and the cluster's ConfigMap.
pub fn certificates(bytes: &[u8]) {
    drop(certificate::names(&CertificateDer::from(bytes)));
    if let Ok(map) = serde_json::from_slice::<Value>(bytes) {
        drop(ClientCas::parse(&map).map(|known| known.is_front_proxy(&[])));
    }
}
