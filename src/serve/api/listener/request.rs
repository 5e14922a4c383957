//! One request on its way to the router: its body read whole first, within its bounds, and the peer's name put to it. So no
//! handler ever waits for a slow client or holds a large one.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::time::timeout;
use tower::ServiceExt;

use super::{ListenerLimits, Peer};
use crate::serve::api::api_status::ApiStatus;

/// A client that is still sending what nobody wants is read for so long after its refusal, and so much of it: were the
/// connection closed at once, it would see a reset in place of the answer.
const HEAR_OUT: Duration = Duration::from_secs(2);
const HEAR_OUT_BYTES: usize = 16 << 20;

const PLAIN: &str = "this port speaks HTTPS: ask https://NODE:PORT with `curl --cacert ca.crt -H \"Authorization: Bearer \
    $(kubectl create token SERVICEACCOUNT --audience pod-checkpointer)\"` (ca.crt is in Secret container-checkpoints-ca), or run \
    `pod-checkpointer proxy` where your kubeconfig is and ask http://localhost:3333";

/// What a connection's requests go through.
#[derive(Clone)]
pub(super) struct Door {
    /// None: nothing is behind it.
    router: Option<Router>,
    peer: Peer,
    limits: ListenerLimits,
}

impl Door {
    pub(super) fn open(router: Router, peer: Peer, limits: ListenerLimits) -> Self {
        Self { router: Some(router), peer, limits }
    }

    /// Says only that this is the wrong way to come.
    pub(super) fn closed(peer: Peer, limits: ListenerLimits) -> Self {
        Self { router: None, peer, limits }
    }

    async fn answer(self, request: http::Request<Incoming>) -> Response {
        let (mut head, body) = request.into_parts();
        let body = match whole(&head, body, self.limits).await {
            Ok(body) => body,
            Err(refusal) => return refusal.into_response(),
        };
        let Some(router) = self.router else { return ApiStatus::bad_request(PLAIN).into_response() };
        head.extensions.insert(self.peer);
        // A router's error is `Infallible`.
        router.oneshot(Request::from_parts(head, body)).await.into_response()
    }
}

impl Service<http::Request<Incoming>> for Door {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move { Ok(door.answer(request).await) })
    }
}

async fn whole(head: &http::request::Parts, mut body: Incoming, limits: ListenerLimits) -> Result<Body, ApiStatus> {
    let most = limits.body_bytes;
    let too_large =
        || ApiStatus::too_large(format!("the body is longer than {most} bytes; a request here is a few words of JSON"));
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        hear_out(body);
        return Err(too_large());
    }
    let reading = timeout(limits.body, async {
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let broken = |why: hyper::Error| ApiStatus::bad_request(format!("the body broke off: {why}"));
            // Trailers say nothing here.
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if all.len() + data.len() > most {
                return Err(too_large());
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    });
    match reading.await {
        Ok(Ok(all)) => Ok(Body::from(all)),
        Ok(Err(refusal)) => {
            hear_out(body);
            Err(refusal)
        }
        Err(_) => Err(ApiStatus::request_timeout(format!("the body has not come within {:?}", limits.body))),
    }
}

fn hear_out(mut body: Incoming) {
    tokio::spawn(timeout(HEAR_OUT, async move {
        let mut heard = 0;
        while let Some(Ok(frame)) = body.frame().await {
            heard += frame.data_ref().map_or(0, bytes::Bytes::len);
            if heard > HEAR_OUT_BYTES {
                break;
            }
        }
    }));
}
