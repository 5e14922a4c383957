//! What a client may take of the port, and what it gets when it takes more.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use http_body_util::Full;
use pod_checkpointer::http_client::exchange;
use pod_checkpointer::serve::api::listener::ListenerLimits;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Front, LIMITS};

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

impl Front {
    async fn tls(&self) -> Tls {
        let config = self.host(None).tls.unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap()
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> u16 {
        let request = http::Request::post(path).body(Full::new(body.into())).unwrap();
        exchange(&self.host(None), request, LIMITS).await.unwrap().status().as_u16()
    }
}

fn quick() -> ListenerLimits {
    let short = Duration::from_millis(300);
    ListenerLimits {
        handshake: short,
        head: short,
        body: short,
        drain: Duration::from_secs(2),
        ..ListenerLimits::default()
    }
}

/// All that comes until the server closes; an end without TLS's own goodbye counts as one.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_request_in_plain_http_is_told_how_to_ask() {
    let front = Front::start().await;
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream.write_all(b"POST /checkpoint/a/b/c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("https://") && answer.contains("pod-checkpointer proxy"), "{answer}");
    assert!(answer.contains(r#""kind":"Status""#), "{answer}");
}

#[tokio::test]
async fn bodies_have_a_bound_whether_their_length_is_announced_or_not() {
    let front = Front::start().await;
    let most = ListenerLimits::default().body_bytes;
    assert_eq!(front.post("/length", vec![b'x'; most]).await, 200);
    assert_eq!(front.post("/length", vec![b'x'; most + 1]).await, 413);

    let mut stream = front.tls().await;
    stream.write_all(b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let piece = format!("{:x}\r\n{}\r\n", 8192, "x".repeat(8192));
    // Far more than is taken, and sent on after the answer: the client must still be able to read it.
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        for _ in 0..200 {
            if write.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    let answer = rest(&mut read).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    sending.await.unwrap();
}

#[tokio::test]
async fn a_length_out_of_bounds_is_refused_before_anything_is_read() {
    let front = Front::start().await;
    let mut stream = front.tls().await;
    stream.write_all(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n").await.unwrap();
    let began = Instant::now();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413 "));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn who_dawdles_is_let_go() {
    let front = Front::with(quick(), false).await;
    let began = Instant::now();
    let silent = TcpStream::connect(front.address).await.unwrap();
    let mut half_shaken = TcpStream::connect(front.address).await.unwrap();
    half_shaken.write_all(&[22, 3, 1]).await.unwrap();
    let mut no_head = front.tls().await;
    no_head.write_all(b"POST /length HT").await.unwrap();
    let mut no_body = front.tls().await;
    no_body.write_all(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{").await.unwrap();
    let mut plain = TcpStream::connect(front.address).await.unwrap();
    plain.write_all(b"GET / HT").await.unwrap();
    let mut silent = silent;
    let answers = tokio::join!(
        rest(&mut silent),
        rest(&mut half_shaken),
        rest(&mut no_head),
        rest(&mut no_body),
        rest(&mut plain)
    );
    assert!(answers.3.starts_with("HTTP/1.1 408 "), "{answers:?}");
    assert!(answers.0.is_empty() && began.elapsed() < Duration::from_secs(5), "{answers:?}");
}

#[tokio::test]
async fn a_head_byte_by_byte_ends_at_the_same_deadline() {
    let front = Front::with(quick(), false).await;
    let mut stream = front.tls().await;
    let began = Instant::now();
    let ended = async {
        for byte in b"GET /who HTTP/1.1\r\nHost: ".iter().chain(std::iter::repeat_n(&b'x', 1000)) {
            if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    ended.await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let front = Front::start().await;
    let mut stream = front.tls().await;
    let head = format!("GET /who HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(1_000_000));
    // What is read at once may be twice the limit, so only a head far beyond it is refused for certain.
    let _ = stream.write_all(head.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    assert_eq!(front.who(None, &[]).await.0, 401, "and the next is served");
}

#[tokio::test]
async fn two_hundred_at_once_are_all_answered() {
    let front = Arc::new(Front::start().await);
    let asked = (0..200).map(|_| {
        let front = Arc::clone(&front);
        tokio::spawn(async move { front.post("/length", b"{}".to_vec()).await })
    });
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap(), 200);
    }
}

#[tokio::test]
async fn an_address_has_its_share_and_gets_it_back() -> io::Result<()> {
    let front = Front::with(ListenerLimits { connections: 8, per_address: 2, ..quick() }, false).await;
    let first = front.tls().await;
    let second = front.tls().await;
    let mut third = TcpStream::connect(front.address).await?;
    assert_eq!(rest(&mut third).await, "", "closed at once");
    drop((first, second));
    let served = async {
        loop {
            let mut probe = TcpStream::connect(front.address).await.unwrap();
            let _ = probe.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
            if !rest(&mut probe).await.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("a place was given back");
    Ok(())
}

#[tokio::test]
async fn told_to_stop_it_takes_nobody_and_lets_the_running_finish() {
    let front = Front::with(quick(), false).await;
    let host = front.host(None);
    let slow = tokio::spawn(async move {
        let request = http::Request::get("/slow").body(Full::new(bytes::Bytes::new())).unwrap();
        let answer = exchange(&host, request, LIMITS).await.unwrap();
        answer.bytes(100).await.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    front.stop.send_replace(true);
    front.running.await.unwrap();
    assert_eq!(slow.await.unwrap(), "done");
    assert!(TcpStream::connect(front.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_hangs_does_not_hold_the_end_up() {
    let limits = ListenerLimits { drain: Duration::from_millis(100), ..quick() };
    let front = Front::with(limits, false).await;
    let mut stream = front.tls().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    front.stop.send_replace(true);
    front.running.await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(350), "{:?}", began.elapsed());
}

#[tokio::test]
async fn discovery_is_answered_to_anybody_with_the_api_server_down() {
    let front = Front::start().await;
    front.api.go(crate::support::api::Mode::Down).await;
    let (group, version) = ("/apis/checkpointer.alpha.coreos.com", "/apis/checkpointer.alpha.coreos.com/v1alpha1");
    for (path, kind) in [("/apis", "APIGroupList"), (group, "APIGroup"), (version, "APIResourceList")] {
        let request = http::Request::get(path).body(Full::new(bytes::Bytes::new())).unwrap();
        let answer = exchange(&front.host(None), request, LIMITS).await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes(1 << 20).await.unwrap()).unwrap();
        assert_eq!(body["kind"], json!(kind), "{path}");
    }
}
