//! A registry in this process, over loopback: keeps blobs and manifests, checks digests, and knows who asked what. Honest
//! unless [`Manners`] say otherwise.
#![allow(clippy::struct_excessive_bools, reason = "each is a fault of its own")]

mod routes;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pod_checkpointer::registry::{Credentials, ImageReference, Registry, RegistryLimits, RegistryOptions};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it does besides keeping to the specification.
#[derive(Clone, Default)]
pub struct Manners {
    /// Name and password it wants with every request (Basic), or for a token.
    pub login: Option<(String, String)>,
    /// The realm that its challenge names; without one, a login is asked for by Basic.
    pub realm: Option<String>,
    /// What it says of its tokens' lifetime.
    pub expires_in: Option<u64>,
    /// So many requests are answered with 429 first.
    pub busy: usize,
    /// A status in place of an answer to PATCH.
    pub no_patch: Option<u16>,
    /// So many uploads break off after that many bytes.
    pub breaks: Option<(usize, usize)>,
    /// What it says in `Docker-Content-Digest` after an upload.
    pub claims: Option<String>,
    /// It says 201 to blobs and forgets them.
    pub forgets: bool,
    /// It keeps a byte less than it got.
    pub shortens: bool,
    /// Serves manifests with a blank more, and says nothing about their digest.
    pub alters: bool,
    /// Uploads are sent on to this place (a URL without path), or relative to where they began.
    pub uploads_at: Option<String>,
    /// GET and HEAD are redirected to this place.
    pub leads_to: Option<String>,
    /// Waits so long after each piece of a body.
    pub slow: Duration,
    /// Reads nothing of an upload, and does not answer.
    pub hangs: bool,
    /// Answers every upload with a no that never ends.
    pub endless: bool,
    /// Answers every request so, with the request's own `Authorization` in the message.
    pub echoes: Option<u16>,
}

/// A request that came.
#[derive(Clone)]
pub struct Asked {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
}

impl Asked {
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").and_then(|value| value.to_str().ok())
    }
}

#[derive(Default)]
pub struct World {
    pub manners: Manners,
    pub asked: Vec<Asked>,
    /// By repository and digest.
    pub blobs: HashMap<(String, String), Bytes>,
    /// By repository and tag or digest: media type and bytes.
    pub manifests: HashMap<(String, String), (String, Bytes)>,
    sessions: HashMap<String, Vec<u8>>,
    next: usize,
}

pub struct FakeRegistry {
    pub address: SocketAddr,
    world: Arc<Mutex<World>>,
}

impl FakeRegistry {
    pub async fn start(manners: Manners) -> Self {
        Self::listen(manners, None).await
    }

    /// Over TLS, with a certificate that nobody knows.
    pub async fn start_tls(manners: Manners) -> (Self, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("a key that fits");
        (Self::listen(manners, Some(TlsAcceptor::from(Arc::new(config)))).await, certificate)
    }

    async fn listen(manners: Manners, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let world = Arc::new(Mutex::new(World { manners, ..World::default() }));
        let served = Arc::clone(&world);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (world, tls) = (Arc::clone(&served), tls.clone());
                let service = service_fn(move |request| routes::answer(Arc::clone(&world), address, request));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(async move {
                    // How a connection ends is what the client sees of it.
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(http.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { address, world }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nothing panics while it is held")
    }

    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An image in it.
    pub fn image(&self) -> ImageReference {
        ImageReference::parse(&format!("{}/cp/counter:t1", self.address)).expect("an address")
    }

    /// Method and path of what was asked, in order.
    pub fn heard(&self) -> Vec<String> {
        self.world().asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    /// Every `Authorization` that came.
    pub fn authorizations(&self) -> Vec<String> {
        self.world().asked.iter().filter_map(|asked| asked.authorization().map(str::to_owned)).collect()
    }
}

/// A client that may speak to these in plain text and has these logins; impatient.
pub fn client(plain: &[&FakeRegistry], docker_config: Option<&serde_json::Value>) -> Registry {
    Registry::new(options(plain, docker_config)).expect("options that make sense")
}

pub fn options(plain: &[&FakeRegistry], docker_config: Option<&serde_json::Value>) -> RegistryOptions {
    let credentials = docker_config.map_or_else(Credentials::none, |config| {
        Credentials::from_docker_config(config.to_string().as_bytes()).expect("a docker configuration")
    });
    let millis = Duration::from_millis;
    let limits = RegistryLimits {
        connect: millis(2000),
        answer: millis(5000),
        silence: millis(5000),
        total: millis(60_000),
        attempts: 3,
        pause: millis(5),
    };
    RegistryOptions { plain_http: plain.iter().map(|r| r.authority()).collect(), ca: Vec::new(), credentials, limits }
}
