//! Every other path: to the API server and back as it is, with the kubeconfig's credentials in place of the client's. Answers
//! stream, so watches and logs work; upgraded connections are refused.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;

use super::Proxy;
use crate::serve::api::api_status::ApiStatus;

/// More than the API server takes of any object (its own limit is 3 MiB).
const MOST: usize = 8 << 20;
/// Between two neighbours only (RFC 9110 §7.6.1), or said anew by whoever sends.
const NEIGHBOURS: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HOST,
    CONTENT_LENGTH,
];

/// Passes it on.
pub(super) async fn pass(State(proxy): State<Proxy>, request: Request) -> Result<Response, ApiStatus> {
    let (mut head, body) = request.into_parts();
    if head.headers.contains_key(UPGRADE) || head.method == Method::CONNECT {
        let mut refusal = ApiStatus::bad_request(
            "upgraded connections (exec, attach, port-forward) are not passed on: use kubectl with the same kubeconfig",
        );
        refusal.code = StatusCode::NOT_IMPLEMENTED;
        return Err(refusal);
    }
    let body = to_bytes(body, MOST)
        .await
        .map_err(|_| ApiStatus::too_large(format!("the body broke off or is longer than {MOST} bytes")))?;
    strip(&mut head.headers);
    head.headers.remove(AUTHORIZATION);
    head.uri = path_alone(&head.uri)?;
    let request = axum::http::Request::from_parts(head, kube::client::Body::from(body));
    let answer = proxy.client.send(request).await;
    let (mut head, body) =
        answer.map_err(|why| ApiStatus::bad_gateway(format!("the API server did not answer: {why}")))?.into_parts();
    strip(&mut head.headers);
    Ok(Response::from_parts(head, Body::new(body)))
}

/// Where it goes is the kubeconfig's to say.
fn path_alone(uri: &Uri) -> Result<Uri, ApiStatus> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    path.parse().map_err(|why| ApiStatus::bad_request(format!("the path cannot be passed on: {why}")))
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&NEIGHBOURS) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_between_two_neighbours_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Own"), ("x-own", "1"), ("te", "trailers"), ("host", "a"), ("accept", "b")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn the_path_alone_is_passed_on() {
        let to = |uri: &'static str| path_alone(&Uri::from_static(uri)).unwrap().to_string();
        assert_eq!(to("http://evil.example/a?b=c"), "/a?b=c");
        assert_eq!(to("/api/v1/pods?watch=1"), "/api/v1/pods?watch=1");
    }
}
