use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use pod_checkpointer::http_client::{ExchangeLimits, Host, HttpAnswer, exchange};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;

use super::{GROUP, Server, accepted, command, entry, says, status, text};

const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(20),
    silence: Duration::from_secs(20),
};

struct Proxy {
    server: Server,
    /// In place of the API server, and of the checkpoint service.
    cluster: SocketAddr,
    service: SocketAddr,
    process: Child,
}

impl Proxy {
    async fn start(answers: impl IntoIterator<Item = Response>) -> Self {
        let server = Server::start(answers).await;
        let mut process = command()
            .args(["proxy", "--listen", "127.0.0.1:0", "--service-listen", "127.0.0.1:0", "--kubeconfig"])
            .arg(server.kubeconfig())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut addresses = Vec::new();
        while addresses.len() < 2 {
            let line = lines.next_line().await.unwrap().expect("it says where it listens");
            addresses.push(line.rsplit_once("http://").unwrap().1.parse().unwrap());
        }
        Self { server, cluster: addresses[0], service: addresses[1], process }
    }

    async fn open(&self, to: SocketAddr, request: Request<Full<Bytes>>) -> HttpAnswer {
        let host = Host { name: to.ip().to_string(), port: to.port(), tls: None };
        exchange(&host, request, LIMITS).await.unwrap()
    }

    async fn asked(&self, to: SocketAddr, request: Request<Full<Bytes>>) -> (u16, Value) {
        let answer = self.open(to, request).await;
        let code = answer.status().as_u16();
        let body = answer.bytes(1 << 20).await.unwrap();
        (code, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
    }
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

fn post(path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::post(path).body(Full::new(body.to_owned().into())).unwrap()
}

#[tokio::test]
async fn the_pods_own_url_leads_behind_the_apiservice_and_waits() {
    let items = json!({"items": ["/a.tar"]});
    let proxy = Proxy::start([says(202, accepted()), says(202, accepted()), says(200, items.clone())]).await;
    let body = json!({"leaveRunning": true, "encrypt": true, "encryptionSecret": "test-secret"});
    let request = post("/api/v1/namespaces/default/pods/counter/checkpoint", &body.to_string());
    assert_eq!(proxy.asked(proxy.cluster, request).await, (200, items));
    let calls = proxy.server.calls();
    assert_eq!(calls[0].line, format!("POST {GROUP}/namespaces/default/pods/counter/checkpoint"));
    assert_eq!((calls[0].token.as_str(), &calls[0].body), ("Bearer token of ann", &body));
    assert!(calls[2].line.contains("/namespaces/default/checkpoints/n1:0123456789abcdef?wait="), "{calls:?}");
}

#[tokio::test]
async fn a_synchronous_call_stays_one_however_long_it_takes() {
    let proxy = Proxy::start([says(202, accepted()), says(202, accepted()), says(200, entry())]).await;
    let request = post("/checkpoint/default/timer-sleep/timer", r#"{"deletePod": true}"#);
    assert_eq!(proxy.asked(proxy.service, request).await, (201, entry()));
    let calls = proxy.server.calls();
    assert_eq!(calls[0].line, format!("POST {GROUP}/namespaces/default/pods/timer-sleep/checkpoint/timer"));
    assert_eq!(calls[0].body, json!({"deletePod": true}));
}

#[tokio::test]
async fn an_asynchronous_call_is_found_again_in_its_namespace() {
    let answers = [says(202, accepted()), says(202, accepted()), says(200, entry()), status(404, "no such checkpoint")];
    let proxy = Proxy::start(answers).await;
    let begun = proxy.asked(proxy.service, post("/checkpoint/default/p/c", r#"{"async": true}"#)).await;
    assert_eq!(begun, (202, accepted()));
    let state = |id: &str| get(&format!("/checkpoint?checkpointIdentifier={id}"));
    assert_eq!(proxy.asked(proxy.service, state("n1:0123456789abcdef")).await, (200, entry()));
    assert_eq!(proxy.asked(proxy.service, state("n2:ff")).await.0, 404);
    let lines = proxy.server.lines();
    assert!(lines[2].contains("/namespaces/default/checkpoints/n1:0123456789abcdef?"), "{lines:?}");
    assert!(lines[3].contains("/checkpoints?checkpointIdentifier=n2:ff&wait="), "{lines:?}");
}

#[tokio::test]
async fn asked_for_the_state_now_it_does_not_wait() {
    let proxy = Proxy::start([says(202, accepted())]).await;
    let request = get("/checkpoint?checkpointIdentifier=n1:0123456789abcdef&wait=0");
    assert_eq!(proxy.asked(proxy.service, request).await, (202, accepted()));
    assert!(proxy.server.lines()[0].ends_with("wait=0"));
}

#[tokio::test]
async fn other_paths_are_the_api_servers_with_our_credentials_alone() {
    let proxy = Proxy::start([says(200, json!({"kind": "PodList"})), status(409, "there is one already")]).await;
    let mut request = get("/api/v1/namespaces/default/pods?limit=5");
    request.headers_mut().insert("authorization", "Bearer other".parse().unwrap());
    assert_eq!(proxy.asked(proxy.cluster, request).await, (200, json!({"kind": "PodList"})));
    let (code, body) = proxy.asked(proxy.cluster, post("/api/v1/namespaces", r#"{"kind":"Namespace"}"#)).await;
    assert_eq!((code, body["message"].as_str()), (409, Some("there is one already")));
    let calls = proxy.server.calls();
    assert_eq!(
        (calls[0].line.as_str(), calls[0].token.as_str()),
        ("GET /api/v1/namespaces/default/pods?limit=5", "Bearer token of ann")
    );
    assert_eq!(calls[1].body, json!({"kind": "Namespace"}));
}

#[tokio::test]
async fn an_answer_that_goes_on_is_passed_on_as_it_comes() {
    let (send, events) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let stream = futures::stream::unfold(events, |mut events| async move {
        events.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), events))
    });
    let proxy = Proxy::start([Response::new(Body::from_stream(stream))]).await;
    send.send(Bytes::from_static(b"first\n")).unwrap();
    let mut answer = proxy.open(proxy.cluster, get("/api/v1/pods?watch=1")).await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "first\n");
    send.send(Bytes::from_static(b"second\n")).unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "second\n");
    drop(send);
    assert!(answer.next().await.unwrap().is_none());
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_refused_without_asking_anybody() {
    let proxy = Proxy::start([]).await;
    for (to, request, wanted) in [
        (proxy.service, post("/checkpoint/default/p%2f..%2f..%2fsecrets/c", "{}"), 400),
        (proxy.service, post("/checkpoint/default/%2e%2e/c", "{}"), 400),
        (proxy.service, post("/checkpoint/Default/p/c", "{}"), 400),
        (proxy.service, post("/checkpoint/default/p/c", &"x".repeat((64 << 10) + 1)), 413),
        (proxy.service, get("/checkpoint"), 400),
        (proxy.service, get("/api/v1/pods"), 404),
        (proxy.cluster, post("/api/v1/namespaces/default/pods/a%3fb/checkpoint", "{}"), 400),
        (proxy.cluster, post("/api/v1/namespaces", &"x".repeat((8 << 20) + 1)), 413),
    ] {
        let shown = request.uri().to_string();
        let (code, body) = proxy.asked(to, request).await;
        assert_eq!((code, &body["kind"]), (wanted, &json!("Status")), "{shown}: {body}");
    }
    assert_eq!(proxy.server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn requests_of_foreign_pages_and_upgrades_get_no_further() {
    let proxy = Proxy::start([]).await;
    let own = format!("Host: {}\r\n", proxy.cluster);
    for (head, code) in [
        ("Host: evil.example\r\n".to_owned(), "403"),
        (format!("{own}Origin: http://evil.example\r\n"), "403"),
        (format!("{own}Connection: Upgrade\r\nUpgrade: websocket\r\n"), "501"),
    ] {
        for address in [proxy.cluster, proxy.service] {
            if address == proxy.service && code == "501" {
                continue;
            }
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /api/v1/secrets HTTP/1.1\r\n{head}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 64];
            let read = stream.read(&mut answer).await.unwrap();
            let line = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(line.starts_with(&format!("HTTP/1.1 {code} ")), "{head}: {line}");
        }
    }
    assert_eq!(proxy.server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_apiservice_is_told_apart_from_a_missing_pod() {
    let proxy = Proxy::start([text(404, "404 page not found\n"), status(404, "there is no pod default/p")]).await;
    let (_, body) = proxy.asked(proxy.service, post("/checkpoint/default/p/c", "{}")).await;
    assert!(body["message"].as_str().unwrap().contains("manifests/apiservice"), "{body}");
    let (_, body) = proxy.asked(proxy.service, post("/checkpoint/default/p/c", "{}")).await;
    assert_eq!(body["message"], "there is no pod default/p");
}

#[tokio::test]
async fn off_loopback_it_must_be_told_whom_it_is_for() {
    let server = Server::start([]).await;
    for address in [["--listen", "0.0.0.0:0"], ["--service-listen", "[::]:0"]] {
        let (code, _, err) = server.run(&[&["proxy"], &address[..]].concat()).await;
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("--accept-host"), "{err}");
    }
}

#[tokio::test]
async fn told_to_stop_it_goes_though_a_watch_is_open() {
    let stream = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let mut proxy = Proxy::start([Response::new(Body::from_stream(stream))]).await;
    let _watch = proxy.open(proxy.cluster, get("/api/v1/pods?watch=1")).await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(proxy.process.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), proxy.process.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}
