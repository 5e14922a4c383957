//! Which requests are from the person whose kubeconfig it is, and not from a web page that their browser has open: a page
//! reaches localhost under a name of its own (DNS rebinding) or says where it comes from.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::serve::api::api_status::ApiStatus;

/// Names that we answer to.
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    pub(super) fn new(more: &[String]) -> Self {
        let own = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        Self(own.into_iter().chain(more.iter().map(|host| host.to_ascii_lowercase())).collect())
    }

    /// `HOST` or `HOST:PORT`.
    fn accepts(&self, authority: &str) -> bool {
        let host = match authority.rsplit_once(':') {
            // A colon within brackets is part of an IPv6 address.
            Some((host, port)) if !port.contains(']') => host,
            _ => authority,
        };
        self.0.contains(&host.to_ascii_lowercase())
    }
}

/// Lets through what is ours.
pub(super) async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    match judge(&hosts, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn judge(hosts: &Hosts, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiStatus> {
    let text = |value: &axum::http::HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    let mut named: Vec<String> = headers.get_all(HOST).iter().map(text).collect();
    named.extend(uri.authority().map(|authority| authority.as_str().to_owned()));
    if named.is_empty() || !named.iter().all(|host| hosts.accepts(host)) {
        return Err(ApiStatus::forbidden(
            "this request is for another host; ask for http://localhost, or start with --accept-host",
        ));
    }
    let foreign = |origin: &str| match origin.split_once("://") {
        Some((_, authority)) => !hosts.accepts(authority),
        None => true,
    };
    let cross = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if cross || headers.get_all(ORIGIN).iter().any(|origin| foreign(&text(origin))) {
        return Err(ApiStatus::forbidden("this request comes from a page of another site"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn judged(hosts: &[&str], list: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        judge(&Hosts::new(&hosts), &Uri::from_static("/x"), &headers).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["localhost", "LOCALHOST:8001", "127.0.0.1:8001", "[::1]", "[::1]:8001"] {
            assert!(judged(&[], &[("host", host)]), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:8001", "127.0.0.1.evil.example", "", "[::2]:1", "::1", "10.0.0.1"]
        {
            assert!(!judged(&[], &[("host", host)]), "{host}");
        }
        assert!(!judged(&[], &[]));
        assert!(!judged(&[], &[("host", "localhost"), ("host", "evil.example")]));
        assert!(judged(&["bastion"], &[("host", "bastion:8001")]));
    }

    #[test]
    fn a_page_of_another_site_gets_nothing() {
        let with = |name, value| judged(&[], &[("host", "localhost:8001"), (name, value)]);
        assert!(with("origin", "http://localhost:8001"));
        assert!(with("sec-fetch-site", "same-origin"));
        assert!(!with("origin", "http://evil.example"));
        assert!(!with("origin", "null"));
        assert!(!with("sec-fetch-site", "cross-site"));
    }

    #[test]
    fn a_target_with_an_authority_of_its_own_must_be_ours_too() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        assert!(judge(&Hosts::new(&[]), &Uri::from_static("http://evil.example/x"), &headers).is_err());
    }
}
