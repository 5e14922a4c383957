//! The leader's HTTP server and the probe socket, over real sockets.

use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use pod_checkpointer::agent::http::View;
use pod_checkpointer::agent::http::health::Health;
use pod_checkpointer::agent::http::probe_socket;
use pod_checkpointer::agent::http::probe_socket::{ProbeError, Question};
use pod_checkpointer::agent::http::server;
use pod_checkpointer::agent::http::server::Sources;
use pod_checkpointer::agent::metrics::Metrics;
use pod_checkpointer::agent::registry;
use pod_checkpointer::cluster::request_metrics::RequestMetrics;
use pod_checkpointer::pod::report::{Phase, PodReport};
use pod_checkpointer::pod::status::{PodStatus, StatusDoc};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;

fn leading() -> View {
    View { status: StatusDoc::default(), health: Health { leads: true, reconciled: true, ..Health::default() } }
}

struct Agent {
    address: std::net::SocketAddr,
    publish: watch::Sender<Arc<View>>,
    metrics: Metrics,
}

impl Agent {
    async fn start(view: View) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (publish, view) = watch::channel(Arc::new(view));
        let metrics = Metrics::default();
        let sources = Sources { view, registry: Arc::new(registry(&metrics, &RequestMetrics::default())) };
        tokio::spawn(server::serve_on(listener, sources));
        Self { address, publish, metrics }
    }

    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that answers before it has read everything may close on us: the answer is what counts.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    }
}

#[tokio::test]
async fn readiness_follows_what_the_agent_publishes() {
    let agent = Agent::start(View::default()).await;
    let waiting = agent.get("/readyz").await;
    assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
    assert!(waiting.contains("holds the lock"), "{waiting}");
    agent.publish.send_replace(Arc::new(leading()));
    assert!(agent.get("/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(agent.get("/livez").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn status_is_the_document_that_the_command_prints() {
    let mut view = leading();
    view.status.node = "n1".to_owned();
    let report = PodReport {
        namespace: "kube-system".to_owned(),
        name: "etcd".to_owned(),
        uid: None,
        lineage: None,
        phase: Phase::Standby,
        restorable: false,
        reasons: vec!["it mounts a PersistentVolumeClaim".to_owned()],
        decision: "stay".to_owned(),
        image_present: Some(true),
        assets_at: None,
    };
    view.status.pods.push(PodStatus { report, running: None });
    let agent = Agent::start(view.clone()).await;
    let answer = agent.get("/status").await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let read: StatusDoc = serde_json::from_str(body).unwrap();
    assert_eq!(read, view.status);
    let raw: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(raw["pods"][0]["phase"], "standby");
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    let agent = Agent::start(leading()).await;
    agent.metrics.leading(true);
    let answer = agent.get("/metrics").await;
    assert!(answer.to_lowercase().contains("content-type: application/openmetrics-text"), "{answer}");
    assert!(answer.contains("pod_checkpointer_leader 1"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn a_request_with_a_body_or_another_method_is_refused() {
    let agent = Agent::start(leading()).await;
    let post = agent.send("POST /status HTTP/1.1\r\nHost: l\r\nContent-Length: 3\r\n\r\nabc").await;
    assert!(post.starts_with("HTTP/1.1 413"), "{post}");
    let delete = agent.send("DELETE /status HTTP/1.1\r\nHost: l\r\n\r\n").await;
    assert!(delete.starts_with("HTTP/1.1 405"), "{delete}");
    assert!(agent.get("/debug").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let agent = Agent::start(leading()).await;
    let headers = "X-Filler: ".to_owned() + &"a".repeat(64 * 1024);
    let answer = agent.send(&format!("GET /livez HTTP/1.1\r\n{headers}\r\n\r\n")).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    assert!(agent.get("/livez").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_nothing_make_room_for_one_that_asks() {
    let agent = Agent::start(leading()).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(agent.address).await.unwrap());
    }
    // The seventeenth waits for one of them to be dropped, which the paused clock makes happen at once.
    assert!(agent.get("/livez").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn an_address_in_use_is_tried_again_until_it_is_free() {
    let squatter = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = squatter.local_addr().unwrap();
    let (_publish, view) = watch::channel(Arc::new(leading()));
    let sources = Sources { view, registry: Arc::default() };
    let server = tokio::spawn(server::serve(address, sources));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!server.is_finished());
    drop(squatter);
    let mut stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    };
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: l\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

struct ProbedAgent {
    dir: TempDir,
    publish: watch::Sender<Arc<View>>,
}

impl ProbedAgent {
    fn start(view: View) -> Self {
        let dir = TempDir::new().unwrap();
        let (publish, receive) = watch::channel(Arc::new(view));
        let listener = probe_socket::bind(&dir.path().join("probe.sock")).unwrap();
        tokio::spawn(probe_socket::serve(listener, receive));
        Self { dir, publish }
    }

    async fn ask(&self, question: Question) -> Result<(), ProbeError> {
        probe_socket::ask(&self.dir.path().join("probe.sock"), question).await
    }
}

#[tokio::test]
async fn a_probe_hears_yes_or_the_reason() {
    let agent = ProbedAgent::start(View::default());
    assert!(agent.ask(Question::Live).await.is_ok());
    let no = agent.ask(Question::Ready).await.unwrap_err();
    assert!(matches!(&no, ProbeError::No(why) if why.contains("holds the lock")), "{no}");
    agent.publish.send_replace(Arc::new(leading()));
    assert!(agent.ask(Question::Ready).await.is_ok());
}

#[tokio::test]
async fn a_socket_that_a_dead_agent_left_is_replaced() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("probe.sock");
    drop(StdUnixListener::bind(&path).unwrap());
    let no = probe_socket::ask(&path, Question::Live).await.unwrap_err();
    assert!(matches!(no, ProbeError::Unreachable { .. }), "{no}");
    let listener = probe_socket::bind(&path).unwrap();
    let (_publish, view) = watch::channel(Arc::new(leading()));
    tokio::spawn(probe_socket::serve(listener, view));
    assert!(probe_socket::ask(&path, Question::Live).await.is_ok());
}

#[test]
fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("probe.sock");
    std::fs::write(&path, "mine").unwrap();
    let error = probe_socket::bind(&path).unwrap_err().to_string();
    assert!(error.contains("remove it"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn an_agent_that_hangs_fails_its_probe_in_time() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("probe.sock");
    let _never_accepts = UnixListener::bind(&path).unwrap();
    tokio::time::pause();
    let no = probe_socket::ask(&path, Question::Live).await.unwrap_err();
    assert!(matches!(no, ProbeError::Silent { .. }), "{no}");
}
