//! A kubelet's checkpoint API over TLS with a certificate that it made for itself; it writes archives as the real one
//! does: named by the second, opened without truncation, and to their end though nobody listens any more.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::archive::archive;

/// What it does when it is asked.
#[derive(Debug, Clone)]
pub enum Mode {
    /// Writes the archive, and answers.
    Well,
    /// The same, after so long.
    Slow(Duration),
    /// Writes the archive after so long, and never answers.
    Mute(Duration),
    /// Breaks the connection at once, and writes the archive after so long.
    Cuts(Duration),
    /// Answers so, and writes nothing.
    Says(u16, &'static str),
    /// Fails as runtimes do when CRIU does, and leaves CRIU's log here.
    Logs(PathBuf, &'static str),
    /// Names this file.
    Names(&'static str),
    /// Writes another container's archive under the right name.
    Lies,
}

#[derive(Default)]
struct Seen {
    calls: Vec<String>,
    tokens: Vec<String>,
    busy: usize,
    most_busy: usize,
}

/// The handle; clones are the same kubelet.
#[derive(Clone)]
pub struct Kubelet {
    mode: Arc<Mutex<Mode>>,
    seen: Arc<Mutex<Seen>>,
    directory: PathBuf,
    pub port: u16,
}

impl Kubelet {
    /// Writes its certificate to `<dir>/pki/kubelet.crt`, and archives to `directory`.
    pub async fn start(dir: &Path, directory: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["node-1".to_owned()]).unwrap();
        std::fs::create_dir_all(dir.join("pki")).unwrap();
        std::fs::write(dir.join("pki/kubelet.crt"), made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kubelet = Self {
            mode: Arc::new(Mutex::new(Mode::Well)),
            seen: Arc::default(),
            directory: directory.to_owned(),
            port,
        };
        let own = kubelet.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, own) = (acceptor.clone(), own.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let router = Router::new().fallback(move |request: Request| {
                        let own = own.clone();
                        async move { own.answer(request).await }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
                });
            }
        });
        kubelet
    }

    pub fn go(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Paths and queries that it was asked for.
    pub fn calls(&self) -> Vec<String> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// Tokens that it was shown.
    pub fn tokens(&self) -> Vec<String> {
        self.seen.lock().unwrap().tokens.clone()
    }

    /// Most checkpoints that were under way at one time.
    pub fn most_busy(&self) -> usize {
        self.seen.lock().unwrap().most_busy
    }

    async fn answer(&self, request: Request) -> Response {
        let uri = request.uri().clone();
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        {
            let mut seen = self.seen.lock().unwrap();
            seen.calls.push(uri.to_string());
            seen.tokens.push(token.to_owned());
            seen.busy += 1;
            seen.most_busy = seen.most_busy.max(seen.busy);
        }
        // The work goes on when the connection does not.
        let (own, path) = (self.clone(), uri.path().to_owned());
        let cuts = matches!(*self.mode.lock().unwrap(), Mode::Cuts(_));
        let work = tokio::spawn(async move {
            let answer = own.checkpoint(&path).await;
            own.seen.lock().unwrap().busy -= 1;
            answer
        });
        assert!(!cuts, "a kubelet that dies with its connection");
        work.await.unwrap()
    }

    async fn checkpoint(&self, path: &str) -> Response {
        let parts: Vec<&str> = path.trim_start_matches("/checkpoint/").split('/').collect();
        let [namespace, pod, container] = parts[..] else {
            return (StatusCode::NOT_FOUND, "404 page not found").into_response();
        };
        let mode = self.mode.lock().unwrap().clone();
        let now = jiff::Timestamp::from_second(seconds()).unwrap();
        let name = format!("checkpoint-{pod}_{namespace}-{container}-{now}.tar");
        let file = self.directory.join(&name);
        let uid = format!("uid-of-{pod}");
        let write = |container: &str| {
            let bytes = archive(namespace, pod, &uid, container, b"the container's memory");
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&file).unwrap();
            file.write_all(&bytes).unwrap();
        };
        match mode {
            Mode::Says(code, words) => return (StatusCode::from_u16(code).unwrap(), words).into_response(),
            Mode::Logs(log, line) => {
                std::fs::write(log, format!("(00.01) all is well\n{line}\n")).unwrap();
                return (StatusCode::INTERNAL_SERVER_ERROR, "criu failed: type NOTIFY errno 0").into_response();
            }
            Mode::Names(name) => return axum::Json(serde_json::json!({"items": [name]})).into_response(),
            Mode::Well => write(container),
            Mode::Lies => write("another"),
            Mode::Slow(by) | Mode::Cuts(by) => {
                sleep(by).await;
                write(container);
            }
            Mode::Mute(by) => {
                sleep(by).await;
                write(container);
                std::future::pending::<()>().await;
            }
        }
        axum::Json(serde_json::json!({"items": [format!("/var/lib/kubelet/checkpoints/{name}")]})).into_response()
    }
}

pub fn seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}
