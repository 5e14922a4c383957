//! Asking API servers: who wins, what an answer is worth, how long it may take.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::api::{FakeApi, Mode};
use pod_checkpointer::cluster::client::{ApiClient, Verb};
use pod_checkpointer::cluster::config::{ClientConfig, ClientConfigError, from_environment};
use pod_checkpointer::cluster::error::ApiError;
use rstest::rstest;
use serde_json::json;

const PATH: &str = "/api/v1/namespaces/kube-system";
const LIMIT: Duration = Duration::from_millis(800);

async fn client(servers: &[&FakeApi]) -> ApiClient {
    let servers = servers.iter().map(|s| s.url()).collect();
    ApiClient::new(&ClientConfig { servers, ..ClientConfig::default() }).await.unwrap()
}

async fn ask(client: &ApiClient) -> Result<serde_json::Value, ApiError> {
    client.get(PATH, "Namespace", LIMIT).await
}

/// Signs nothing: its key was thrown away.
const SOME_CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBoTCCAUegAwIBAgIUKQX1qSQtTg8GxOE9CkfEdh047jUwCgYIKoZIzj0EAwIw
JTEjMCEGA1UEAwwaYSBDQSBub2JvZHkgaGFzIHRoZSBrZXkgb2YwIBcNMjYxMTIx
MDQzMjIxWhgPMjEyNjEwMjgwNDMyMjFaMCUxIzAhBgNVBAMMGmEgQ0Egbm9ib2R5
IGhhcyB0aGUga2V5IG9mMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEIMhofFg
lo2qAnHak2SfUXF+AyiZT6pMVZnzZstp8kx7kzi4+j31jZSz64WdnrZoBzYk8VEL
2AVTL0b/qbrD66NTMFEwHQYDVR0OBBYEFI2lkLOjMpQPBCTXGrZdQrAUtaNEMB8G
A1UdIwQYMBaAFI2lkLOjMpQPBCTXGrZdQrAUtaNEMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIhAK/6dKG42FRG8b+QMfVzUWCA+5YNtlzfE/yhJ9gS
UDt5AiAf2z0A0BjD9tFCT0JHiqdV5R+KNVALSyZADRtSczF2ig==
-----END CERTIFICATE-----
";

#[derive(Debug, PartialEq)]
enum Class {
    Unavailable,
    Busy,
    Unauthorized,
    Forbidden,
    Conflict,
    Invalid,
}

fn class(error: &ApiError) -> Class {
    match error {
        ApiError::Unavailable(_) => Class::Unavailable,
        ApiError::TooManyRequests(_) => Class::Busy,
        ApiError::Unauthorized(_) => Class::Unauthorized,
        ApiError::Forbidden(_) => Class::Forbidden,
        ApiError::Conflict(_) => Class::Conflict,
        ApiError::Invalid(_) => Class::Invalid,
        other => panic!("{other}"),
    }
}

#[rstest]
#[case::down(Mode::Down, Class::Unavailable)]
#[case::black_hole(Mode::BlackHole, Class::Unavailable)]
#[case::too_slow(Mode::Slow(Duration::from_secs(60)), Class::Unavailable)]
#[case::garbage(Mode::Garbage, Class::Unavailable)]
#[case::overloaded(Mode::Status(429), Class::Busy)]
#[case::broken(Mode::Status(500), Class::Unavailable)]
#[case::starting(Mode::Status(503), Class::Unavailable)]
#[case::dead_token(Mode::Status(401), Class::Unauthorized)]
#[case::no_right(Mode::Status(403), Class::Forbidden)]
#[case::conflict(Mode::Status(409), Class::Conflict)]
#[case::too_large(Mode::Status(422), Class::Invalid)]
#[tokio::test]
async fn every_way_to_fail_has_its_class(#[case] mode: Mode, #[case] expected: Class) {
    let api = FakeApi::start().await;
    let client = client(&[&api]).await;
    ask(&client).await.expect("while it is up");
    api.go(mode).await;
    assert_eq!(class(&ask(&client).await.unwrap_err()), expected);
    api.go(Mode::Up).await;
    ask(&client).await.expect("up again");
}

#[tokio::test]
async fn a_missing_object_is_an_answer() {
    let api = FakeApi::start().await;
    let client = client(&[&api]).await;
    let missing = client.get("/api/v1/namespaces/x/secrets/none", "Secret", LIMIT).await;
    assert!(matches!(missing, Err(ApiError::NotFound(_))), "{missing:?}");
}

#[tokio::test]
async fn an_object_of_another_kind_is_no_answer() {
    let api = FakeApi::start().await;
    let answer = client(&[&api]).await.get(PATH, "Secret", LIMIT).await;
    assert!(matches!(answer, Err(ApiError::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn one_server_that_answers_is_enough() {
    let (down, hole, refusing, up) =
        (FakeApi::start().await, FakeApi::start().await, FakeApi::start().await, FakeApi::start().await);
    down.go(Mode::Down).await;
    hole.go(Mode::BlackHole).await;
    refusing.go(Mode::Status(401)).await;
    let client = client(&[&down, &hole, &refusing, &up]).await;
    assert_eq!(ask(&client).await.unwrap()["metadata"]["uid"], up.cluster_uid());
    assert_eq!(client.address(), up.url());

    ask(&client).await.unwrap();
    assert_eq!((hole.calls().len(), up.calls().len()), (1, 2), "the one that answered is asked alone");
}

#[tokio::test]
async fn a_preferred_server_that_falls_silent_is_overtaken() {
    let (first, second) = (FakeApi::start().await, FakeApi::start().await);
    second.go(Mode::Down).await;
    let client = client(&[&first, &second]).await;
    ask(&client).await.unwrap();
    second.go(Mode::Up).await;
    first.go(Mode::BlackHole).await;
    assert_eq!(ask(&client).await.unwrap()["metadata"]["uid"], second.cluster_uid());
    assert_eq!(client.address(), second.url());
}

#[tokio::test]
async fn a_refusal_outranks_silence_and_an_answer_outranks_a_refusal() {
    let (refusing, hole) = (FakeApi::start().await, FakeApi::start().await);
    refusing.go(Mode::Status(401)).await;
    hole.go(Mode::BlackHole).await;
    let client = client(&[&refusing, &hole]).await;
    assert_eq!(class(&ask(&client).await.unwrap_err()), Class::Unauthorized);
    hole.go(Mode::Up).await;
    ask(&client).await.expect("the other one accepts us");
}

#[tokio::test]
async fn black_holes_everywhere_cost_one_limit() {
    let (a, b) = (FakeApi::start().await, FakeApi::start().await);
    a.go(Mode::BlackHole).await;
    b.go(Mode::BlackHole).await;
    let client = client(&[&a, &b]).await;
    let begun = Instant::now();
    assert_eq!(class(&ask(&client).await.unwrap_err()), Class::Unavailable);
    assert!(begun.elapsed() >= LIMIT && begun.elapsed() < 3 * LIMIT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_write_is_never_sent_twice_while_the_first_may_be_under_way() {
    let (slow, idle) = (FakeApi::start().await, FakeApi::start().await);
    slow.go(Mode::Slow(Duration::from_millis(500))).await;
    let client = client(&[&slow, &idle]).await;
    let event = json!({"kind": "Event", "metadata": {"name": "x"}});
    client.post("/api/v1/namespaces/x/events", &event, "Event", 10 * LIMIT).await.unwrap();
    assert_eq!((slow.calls().len(), idle.calls().len()), (1, 0));

    slow.go(Mode::Down).await;
    client.post("/api/v1/namespaces/x/events", &event, "Event", LIMIT).await.expect("nobody took the first");
    assert_eq!(idle.calls().len(), 1);
}

#[tokio::test]
async fn no_route_is_told_apart_from_a_closed_port() {
    // The kernel has no route for TCP to a multicast address, whatever the machine's network looks like.
    let servers = vec!["http://224.0.0.1:6443".to_owned()];
    let client = ApiClient::new(&ClientConfig { servers, ..ClientConfig::default() }).await.unwrap();
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, ApiError::NoRoute(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_left_out_and_named() {
    let api = FakeApi::start().await;
    let servers = vec!["10.0.0.1:6443".to_owned(), api.url()];
    let config = ClientConfig { servers, ..ClientConfig::default() };
    assert!(ApiClient::new(&config).await.is_err(), "who can be told is told");
    let client = ApiClient::lenient(&config).await;
    ask(&client).await.unwrap();
    let faults = client.faults();
    assert!(faults.len() == 1 && faults[0].contains("10.0.0.1:6443"), "{faults:?}");
}

#[rstest]
#[case::empty("")]
#[case::garbage("\u{0}\u{0}\u{0}")]
#[case::torn("-----BEGIN CERTIFICATE-----\nMIIBoTCCAUegAwIBAgIU")]
#[tokio::test]
async fn a_damaged_ca_leaves_the_api_unavailable(#[case] pem: &str) {
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(pem.as_bytes()).unwrap();
    let servers = vec!["https://127.0.0.1:1".to_owned()];
    let config = ClientConfig { servers, ca_file: Some(ca.path().to_owned()), ..ClientConfig::default() };
    let client = ApiClient::lenient(&config).await;
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, ApiError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_mended_kubeconfig_is_read_without_a_restart() {
    let api = FakeApi::start().await;
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "").unwrap();
    let config = ClientConfig { kubeconfig: Some(kubeconfig.clone()), ..ClientConfig::default() };
    let client = ApiClient::lenient(&config).await;
    assert!(ask(&client).await.unwrap_err().to_string().contains("kubeconfig"), "it says what to mend");
    let whole = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": api.url()}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}]});
    std::fs::write(&kubeconfig, whole.to_string()).unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    ask(&client).await.unwrap();
    assert!(client.faults().is_empty());
}

#[tokio::test]
async fn requests_are_counted_by_kind() {
    let api = FakeApi::start().await;
    let client = client(&[&api]).await;
    ask(&client).await.unwrap();
    api.go(Mode::Down).await;
    ask(&client).await.unwrap_err();
    let requests = client.requests();
    assert_eq!((requests.of(Verb::Get), requests.of(Verb::List), requests.total()), (2, 0, 2), "failed ones too");
}

#[tokio::test]
async fn the_token_file_says_who_we_are() {
    let api = FakeApi::start().await;
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"a.b.c").unwrap();
    let config =
        ClientConfig { servers: vec![api.url()], token_file: Some(token.path().to_owned()), ..ClientConfig::default() };
    ask(&ApiClient::new(&config).await.unwrap()).await.unwrap();
    assert_eq!(api.calls()[0].token.as_deref(), Some("a.b.c"));
}

#[tokio::test]
async fn a_server_that_fails_at_tls_is_unavailable() {
    let plain = FakeApi::start().await;
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(SOME_CA.as_bytes()).unwrap();
    let servers = vec![plain.url().replace("http:", "https:")];
    let config = ClientConfig { servers, ca_file: Some(ca.path().to_owned()), ..ClientConfig::default() };
    let error = ask(&ApiClient::new(&config).await.unwrap()).await.unwrap_err();
    assert_eq!(class(&error), Class::Unavailable, "{error}");
}

#[tokio::test]
async fn a_credential_file_that_cannot_be_used_is_named() {
    let junk = tempfile::NamedTempFile::new().unwrap();
    for path in ["/nonexistent/file".as_ref(), junk.path()] {
        let servers = vec!["https://127.0.0.1:1".to_owned()];
        let config = ClientConfig { servers, ca_file: Some(path.to_owned()), ..ClientConfig::default() };
        let error = ApiClient::new(&config).await.err().expect("cannot work");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_would_read_our_token_in_clear_is_left_out() {
    let api = FakeApi::start().await;
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"a.b.c").unwrap();
    let config = |servers: Vec<String>, token_file: Option<&std::path::Path>| ClientConfig {
        servers,
        token_file: token_file.map(std::path::Path::to_owned),
        ..ClientConfig::default()
    };
    let plain = "http://192.0.2.1:8080".to_owned();
    let client = ApiClient::new(&config(vec![plain.clone(), api.url()], Some(token.path()))).await.unwrap();
    ask(&client).await.unwrap();
    assert_eq!(client.requests().total(), 1, "nobody else is asked");
    assert!(client.faults()[0].contains("http://192.0.2.1:8080"), "{:?}", client.faults());
    let alone = ApiClient::new(&config(vec![plain.clone()], Some(token.path()))).await.err().expect("nobody is left");
    assert!(alone.to_string().contains("in clear"), "{alone}");
    let nobody = ApiClient::new(&config(vec![plain], None)).await.unwrap();
    assert!(nobody.faults().is_empty(), "without a token there is nothing to read");
}

#[rstest]
#[case::token("token: t")]
#[case::token_file("tokenFile: /t")]
#[case::password("username: u, password: p")]
#[case::program("exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}")]
#[tokio::test]
async fn no_kubeconfigs_secret_goes_out_in_clear(#[case] user: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "{{kind: Config, apiVersion: v1, current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}],\
         clusters: [{{name: k, cluster: {{server: 'http://192.0.2.1:1'}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
    )
    .unwrap();
    let config = ClientConfig { kubeconfig: Some(file.path().to_owned()), ..ClientConfig::default() };
    let agents = ApiClient::new(&config).await.err().expect("nobody is left");
    assert!(matches!(agents, ClientConfigError::InClear(_)), "{agents}");
    let persons = from_environment(Some(file.path()), None).await.err().expect("a person's token is one too");
    assert!(persons.to_string().contains("http://192.0.2.1:1"), "{persons}");
}

#[tokio::test]
async fn a_kubeconfig_brings_its_server_and_its_token() {
    let api = FakeApi::start().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "{{kind: Config, apiVersion: v1, current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}],\
         clusters: [{{name: k, cluster: {{server: '{}'}}}}], users: [{{name: u, user: {{token: t}}}}]}}",
        api.url()
    )
    .unwrap();
    let config = ClientConfig { kubeconfig: Some(file.path().to_owned()), ..ClientConfig::default() };
    ask(&ApiClient::new(&config).await.unwrap()).await.unwrap();
    assert_eq!(api.calls()[0].token.as_deref(), Some("t"));
}

#[tokio::test]
async fn a_bad_kubeconfig_is_named_with_what_is_wrong() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{{kind: Config, apiVersion: v1, current-context: gone}}").unwrap();
    for path in ["/nonexistent/kubeconfig", file.path().to_str().unwrap()] {
        let config = ClientConfig { kubeconfig: Some(path.into()), ..ClientConfig::default() };
        let error = ApiClient::new(&config).await.err().expect("cannot work");
        assert!(matches!(error, ClientConfigError::Kubeconfig { .. }), "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[rstest]
#[case::none(&[])]
#[case::no_scheme(&["10.0.0.1:6443"])]
#[case::other_scheme(&["ftp://10.0.0.1"])]
#[case::empty(&[""])]
#[tokio::test]
async fn addresses_that_are_none_are_refused_at_once(#[case] servers: &[&str]) {
    let servers = servers.iter().map(|s| (*s).to_owned()).collect();
    let error = ApiClient::new(&ClientConfig { servers, ..ClientConfig::default() }).await.err();
    assert!(error.expect("cannot work").to_string().contains("https://HOST:PORT"));
}
