use std::time::Instant;

use http_body_util::{Empty, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::http_client::tls;
use crate::http_client::tls::Trust;

const QUICK: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_millis(500),
    answer: Duration::from_millis(300),
    silence: Duration::from_millis(300),
};

/// A server that reads a request's head, says `answer` and then does what `after` says.
async fn server(answer: &'static str, stays: bool) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                if stays {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            });
        }
    });
    Host { name: "127.0.0.1".to_owned(), port, tls: None }
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("/x?y=z").body(Empty::new()).unwrap()
}

#[tokio::test]
async fn an_answer_is_read_whole_up_to_the_bound() {
    let host = server("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello", true).await;
    let answer = exchange(&host, get(), QUICK).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.bytes(5).await.unwrap(), "hello");
    let answer = exchange(&host, get(), QUICK).await.unwrap();
    assert!(matches!(answer.bytes(4).await, Err(WireError::TooLong { limit: 4, .. })));
}

#[tokio::test]
async fn silence_before_and_within_the_answer_has_a_deadline() {
    let began = Instant::now();
    let host = server("", true).await;
    assert!(matches!(exchange(&host, get(), QUICK).await, Err(WireError::Silent { .. })));
    let host = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", true).await;
    let answer = exchange(&host, get(), QUICK).await.unwrap();
    assert!(matches!(answer.bytes(100).await, Err(WireError::Silent { .. })));
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn an_answer_cut_short_is_no_answer() {
    let host = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", false).await;
    let answer = exchange(&host, get(), QUICK).await.unwrap();
    assert!(matches!(answer.bytes(100).await, Err(WireError::Broken { .. })));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let host = server("HTTP/1.1 307 X\r\nLocation: http://127.0.0.2:1/\r\nContent-Length: 0\r\n\r\n", true).await;
    let answer = exchange(&host, get(), QUICK).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.header(&header::LOCATION), Some("http://127.0.0.2:1/"));
}

#[tokio::test]
async fn who_is_not_there_is_said_with_its_address() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let host = Host { name: "127.0.0.1".to_owned(), port, tls: None };
    let why = exchange(&host, get(), QUICK).await.unwrap_err();
    assert!(why.to_string().contains(&format!("cannot connect to 127.0.0.1:{port}")), "{why}");
}

#[tokio::test]
async fn only_the_certificate_that_is_believed_gets_a_request() {
    let (host, certificate) = tls_server().await;
    let asked = |trust| {
        let host = Host { tls: Some(tls::client(trust, None).unwrap()), ..host.clone() };
        async move { exchange(&host, Request::get("/").body(Full::new(Bytes::new())).unwrap(), QUICK).await }
    };
    assert!(asked(Trust::Exactly(certificate.clone())).await.is_ok());
    assert!(asked(Trust::Authorities(vec![certificate])).await.is_ok());
    assert!(asked(Trust::Anyone).await.is_ok());
    let (_, other) = tls_server().await;
    assert!(matches!(asked(Trust::Exactly(other.clone())).await, Err(WireError::Tls { .. })));
    assert!(matches!(asked(Trust::Authorities(vec![other])).await, Err(WireError::Tls { .. })));
    assert!(matches!(asked(Trust::Public(Vec::new())).await, Err(WireError::Tls { .. })));
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_of_another_ca() {
    let plain = server("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", false).await;
    let plain = Host { tls: Some(tls::client(Trust::Anyone, None).unwrap()), ..plain };
    let why = exchange(&plain, get(), QUICK).await.unwrap_err();
    assert!(matches!(why, WireError::Tls { why: TlsFailure::PlainText(_), .. }), "{why}");
    let (host, _) = tls_server().await;
    let host = Host { tls: Some(tls::client(Trust::Public(Vec::new()), None).unwrap()), ..host };
    let why = exchange(&host, get(), QUICK).await.unwrap_err();
    assert!(matches!(why, WireError::Tls { why: TlsFailure::Failed(_), .. }), "{why}");
}

async fn tls_server() -> (Host, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    (Host { name: "127.0.0.1".to_owned(), port, tls: None }, certificate)
}
