//! A node with `serve` on it, in a temporary directory, its API server, its kubelet and a registry; `serve` runs on a
//! thread of its own, so that it can be killed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use pod_checkpointer::config::{ApiConfig, LogFormat, Logs};
use pod_checkpointer::http_client::{ExchangeLimits, Host, exchange};
use pod_checkpointer::serve;
use pod_checkpointer::serve::config::{KubeletArgs, RegistryArgs, ServeConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::cluster::Cluster;
use super::kubelet::Kubelet;
use super::registry::Registry;

/// Everything that is waited for happens sooner, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(60),
    silence: Duration::from_secs(5),
};

pub struct Site {
    serve: Option<Running>,
    pub cluster: Cluster,
    pub kubelet: Kubelet,
    pub registry: Registry,
    pub config: ServeConfig,
    _dir: TempDir,
}

struct Running {
    thread: Option<std::thread::JoinHandle<()>>,
    kill: Option<oneshot::Sender<()>>,
    stop: watch::Sender<bool>,
    port: u16,
}

/// An answer: code, headers, JSON.
pub struct Said {
    pub code: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

impl Said {
    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.body)).to_owned()
    }
}

impl Site {
    /// With pod `counter` of containers `main` and `side` on this node.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        if std::env::var_os("SERVE_LOG").is_some() {
            let _ =
                tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).try_init();
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["checkpoints", "account", "state"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::write(root.join("account/token"), "own-token").unwrap();
        let cluster = Cluster::start().await;
        cluster.add_pod("counter", "node-1", &["main", "side"]);
        let kubelet = Kubelet::start(&root.join("kubelet"), &root.join("checkpoints")).await;
        let registry = Registry::start().await;
        let mut config = config(root, &cluster, &kubelet, &registry);
        change(&mut config);
        let mut site = Self { serve: None, cluster, kubelet, registry, config, _dir: dir };
        site.start();
        site
    }

    pub fn start(&mut self) {
        let (kill, killed) = oneshot::channel::<()>();
        let (stop, mut stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::channel();
        let config = self.config.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                let stop = async move {
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                };
                tokio::select! {
                    ended = serve::serve_on(listener, config, stop) => ended.unwrap(),
                    _ = killed => {}
                }
            });
            runtime.shutdown_background();
        });
        let port = told.recv().unwrap();
        self.serve = Some(Running { thread: Some(thread), kill: Some(kill), stop, port });
    }

    /// The process is gone where it stands.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.serve.take() {
            let _ = running.kill.take().map(|kill| kill.send(()));
            let _ = running.thread.take().map(std::thread::JoinHandle::join);
        }
    }

    /// SIGTERM. It ends by itself.
    pub fn terminate(&self) {
        self.serve.as_ref().unwrap().stop.send_replace(true);
    }

    pub fn has_ended(&self) -> bool {
        self.serve.as_ref().unwrap().thread.as_ref().unwrap().is_finished()
    }

    pub async fn ask(&self, method: Method, path: &str, body: &str) -> Said {
        self.ask_as("jane", method, path, body).await
    }

    /// `user` is the token, and so the user's name; empty is none.
    pub async fn ask_as(&self, user: &str, method: Method, path: &str, body: &str) -> Said {
        ask(self.serve.as_ref().unwrap().port, user, method, path, body, &[]).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Said {
        self.ask(Method::POST, path, body).await
    }

    pub async fn get(&self, path: &str) -> Said {
        self.ask(Method::GET, path, "").await
    }

    /// In the background.
    pub fn post_later(&self, path: &str, body: &str) -> tokio::task::JoinHandle<Said> {
        let (port, path, body) = (self.serve.as_ref().unwrap().port, path.to_owned(), body.to_owned());
        tokio::spawn(async move { ask(port, "jane", Method::POST, &path, &body, &[]).await })
    }

    pub async fn post_with(&self, user: &str, path: &str, headers: &[(&str, &str)]) -> Said {
        ask(self.serve.as_ref().unwrap().port, user, Method::POST, path, "", headers).await
    }

    /// Waits for a job's end.
    pub async fn outcome(&self, identifier: &str) -> Said {
        self.get(&format!("/checkpoint?checkpointIdentifier={identifier}&wait=30")).await
    }

    /// Files in the kubelet's directory.
    pub fn archives(&self) -> Vec<String> {
        names(&self.config.checkpoints)
    }

    /// Every record on disk.
    pub fn records(&self) -> Vec<Value> {
        let jobs = self.config.storage.join("jobs");
        names(&jobs)
            .iter()
            .map(|name| serde_json::from_slice(&std::fs::read(jobs.join(name)).unwrap()).unwrap())
            .collect()
    }

    pub fn state_of(&self, job: usize) -> String {
        self.records()[job]["state"].as_str().unwrap().to_owned()
    }

    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !so(self) {
            assert!(began.elapsed() < PATIENCE, "never: {what}; {:#?} {:?}", self.records(), self.archives());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

async fn ask(port: u16, user: &str, method: Method, path: &str, body: &str, headers: &[(&str, &str)]) -> Said {
    let host = Host { name: "127.0.0.1".to_owned(), port, tls: None };
    let mut request = Request::builder().method(method).uri(path);
    if !user.is_empty() {
        request = request.header("authorization", format!("Bearer {user}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let answer = exchange(&host, request, LIMITS).await.unwrap();
    let (code, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.bytes(1 << 20).await.unwrap();
    let body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Said { code, headers, body }
}

fn config(root: &Path, cluster: &Cluster, kubelet: &Kubelet, registry: &Registry) -> ServeConfig {
    ServeConfig {
        retention: pod_checkpointer::serve::retention::PolicySource::Resources,
        image_prefix: format!("{}/checkpoints", registry.address),
        namespace: "kube-system".to_owned(),
        node: "node-1".to_owned(),
        node_ip: IpAddr::from([127, 0, 0, 1]),
        port: 3333,
        plain_http: true,
        accept_api_tokens: false,
        forwards: true,
        max_queue: 8,
        storage: root.join("storage"),
        checkpoints: root.join("checkpoints"),
        runtime_state: root.join("state"),
        kubelet: KubeletArgs {
            port: kubelet.port,
            dir: root.join("kubelet"),
            ca: None,
            certificate: PathBuf::from("/nowhere/tls.crt"),
            key: PathBuf::from("/nowhere/tls.key"),
            insecure: false,
        },
        registry: RegistryArgs {
            plain_http: vec![registry.address.clone()],
            ca: None,
            pull_secret: "kaniko-secret".to_owned(),
            limit: Duration::from_secs(30),
        },
        api: ApiConfig { servers: vec![cluster.url.clone()], ..ApiConfig::default() },
        service_account: root.join("account"),
        peer_token: root.join("peer-token"),
        logs: Logs { format: LogFormat::Text, level: "info".to_owned() },
        ignored: Vec::new(),
    }
}
