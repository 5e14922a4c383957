//! The front of `serve` as a caller meets it: TLS on loopback, an API server in this process, and behind the port one route
//! that says who asked.

mod authority;
mod callers;
mod forward;
mod identity;
mod listener;
mod reviews;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::support::api::FakeApi;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;
use pod_checkpointer::cluster::client::ApiClient;
use pod_checkpointer::cluster::config::ClientConfig;
use pod_checkpointer::cluster::reviews::Reviews;
use pod_checkpointer::http_client::{ExchangeLimits, Host, exchange};
use pod_checkpointer::serve::api::api_status::ApiStatus;
use pod_checkpointer::serve::api::apiservice;
use pod_checkpointer::serve::api::ca::{CaSettings, CertificateAuthority};
use pod_checkpointer::serve::api::identity::{Authenticator, IdentitySettings};
use pod_checkpointer::serve::api::listener::{ListenerLimits, Peer, serve_https};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

const NAMESPACE: &str = "kube-system";
const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(10),
    silence: Duration::from_secs(10),
};

/// An instance of `serve` without what is behind it.
struct Front {
    api: FakeApi,
    authority: Arc<CertificateAuthority>,
    authenticator: Arc<Authenticator>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

async fn client(api: &FakeApi) -> ApiClient {
    ApiClient::new(&ClientConfig { servers: vec![api.url()], ..ClientConfig::default() }).await.unwrap()
}

fn settings() -> CaSettings {
    CaSettings { namespace: NAMESPACE.to_owned(), node: "n1".to_owned(), node_ip: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

impl Front {
    async fn start() -> Self {
        Self::with(ListenerLimits::default(), false).await
    }

    async fn with(limits: ListenerLimits, accept_api_tokens: bool) -> Self {
        let api = FakeApi::start().await;
        let client = client(&api).await;
        let authority = Arc::new(CertificateAuthority::new(client.clone(), settings()).unwrap());
        authority.look().await.unwrap();
        let identity = IdentitySettings {
            namespace: NAMESPACE.to_owned(),
            service_account: "container-checkpoints".to_owned(),
            accept_api_tokens,
        };
        let authenticator = Arc::new(Authenticator::new(client.clone(), Reviews::new(client), identity));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let router = router(Arc::clone(&authenticator));
        let serving = authority.serving();
        let running = tokio::spawn(serve_https(listener, serving, router, limits, async move {
            stopped.wait_for(|stop| *stop).await.unwrap();
        }));
        Self { api, authority, authenticator, address, stop, running }
    }

    /// The port, with a certificate of its CA and the client's own, if any.
    fn host(&self, identity: Option<pod_checkpointer::http_client::tls::Identity>) -> Host {
        let secret = self.api.object("/api/v1/namespaces/kube-system/secrets/container-checkpoints-ca").unwrap();
        let roots = callers::certificates_of(&secret, "ca.crt");
        let tls = pod_checkpointer::http_client::tls::client(
            pod_checkpointer::http_client::tls::Trust::Authorities(roots),
            identity,
        );
        Host { name: "127.0.0.1".to_owned(), port: self.address.port(), tls: Some(tls.unwrap()) }
    }

    /// Who we are to it.
    async fn who(
        &self,
        identity: Option<pod_checkpointer::http_client::tls::Identity>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut request = Request::get("/who").body(Full::new(Bytes::new())).unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let answer = exchange(&self.host(identity), request, LIMITS).await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes(1 << 20).await.unwrap()).unwrap())
    }
}

fn router(authenticator: Arc<Authenticator>) -> Router {
    let who = move |Extension(peer): Extension<Peer>, headers: HeaderMap| {
        let authenticator = Arc::clone(&authenticator);
        async move {
            let identified = authenticator.identify(&peer, &headers).await?;
            Ok::<_, ApiStatus>(Json(json!({"caller": identified.caller, "via": format!("{:?}", identified.via)})))
        }
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "done"
    };
    Router::new()
        .route("/who", get(who.clone()).post(who))
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/slow", get(slow))
        .merge(apiservice::router())
}
