//! A request sent on to the instance on another node, and only there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pod_checkpointer::cluster::reviews::Caller;
use pod_checkpointer::serve::api::forward::{Forwarder, ForwarderSettings};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Front, NAMESPACE, client};
use pod_checkpointer::serve::api::listener::ListenerLimits;

const OWN: &str = "system:serviceaccount:kube-system:container-checkpoints";
const SECOND: Duration = Duration::from_secs(1);

/// The instance's pod on a node.
fn instance(name: &str, node: &str, ip: &str) -> Value {
    json!({
        "metadata": {"namespace": NAMESPACE, "name": name, "uid": name, "labels": {"app": "container-checkpoints"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "container-checkpoints",
                "uid": "ds-1", "controller": true}]},
        "spec": {"nodeName": node, "hostNetwork": true, "containers": []},
        "status": {"phase": "Running", "podIP": ip},
    })
}

fn node(name: &str, ip: &str) -> Value {
    let addresses = json!([{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": ip}]);
    json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "status": {"addresses": addresses}})
}

fn caller() -> Caller {
    let extra = [("k/".to_owned(), vec!["v 1".to_owned()])].into();
    Caller { user: "ann é".to_owned(), uid: None, groups: vec!["system:masters".to_owned()], extra }
}

struct Site {
    front: Front,
    forwarder: Forwarder,
    token: tempfile::NamedTempFile,
}

impl Site {
    /// Node n1 is ours, n2 is where the front listens.
    async fn start() -> Self {
        let front = Front::with(ListenerLimits::default(), false).await;
        front.api.add("/api/v1/nodes/n2", node("n2", "127.0.0.1"));
        front.api.add_pod(instance("one", "n1", "127.0.0.9")).add_pod(instance("two", "n2", "127.0.0.1"));
        front.api.token("ours", OWN, &["pod-checkpointer"]);
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "ours\n").unwrap();
        let settings = ForwarderSettings {
            namespace: NAMESPACE.to_owned(),
            node: "n1".to_owned(),
            port: front.address.port(),
            token_file: token.path().to_owned(),
        };
        let forwarder = Forwarder::new(client(&front.api).await, Arc::clone(&front.authority), settings);
        Self { front, forwarder, token }
    }

    async fn send(&self, node: &str, path: &str) -> (u16, String) {
        let body = Bytes::from_static(b"{\"a\":1}");
        let sent = self.forwarder.send(node, &caller(), Method::POST, path, body, SECOND).await;
        match sent {
            Ok(response) => {
                let status = response.status().as_u16();
                let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
                (status, String::from_utf8_lossy(&body).into_owned())
            }
            Err(refusal) => (refusal.code.as_u16(), refusal.message),
        }
    }
}

#[tokio::test]
async fn the_other_instance_hears_who_asked_and_what() {
    let site = Site::start().await;
    let (code, body) = site.send("n2", "/who?x=y").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &body["via"]), (200, &json!("Forwarded")), "{body}");
    assert_eq!(serde_json::from_value::<Caller>(body["caller"].clone()).unwrap(), caller());
    assert_eq!(site.send("n2", "/length").await, (200, "7".to_owned()));
    assert_eq!(site.send("n2", "/no-such-route").await.0, 404, "its own answer is passed on");
    site.front.api.assert_no_unexpected();
}

#[rstest]
#[case::no_such_node("n3", 404)]
#[case::a_path("../n2", 404)]
#[case::an_address("127.0.0.1:1", 404)]
#[case::a_url("n2@evil", 404)]
#[case::nothing("", 404)]
#[tokio::test]
async fn a_node_that_is_none_is_not_asked(#[case] name: &str, #[case] wanted: u16) {
    let site = Site::start().await;
    assert_eq!(site.send(name, "/who").await.0, wanted);
}

#[rstest]
#[case::no_instance(|pod: &mut Value| pod["metadata"]["labels"]["app"] = json!("other"))]
#[case::not_running(|pod: &mut Value| pod["status"]["phase"] = json!("Pending"))]
#[case::on_its_way_out(|pod: &mut Value| pod["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z"))]
#[case::without_an_owner(|pod: &mut Value| pod["metadata"]["ownerReferences"] = json!([]))]
#[case::of_another_kind(|pod: &mut Value| pod["metadata"]["ownerReferences"][0]["kind"] = json!("ReplicaSet"))]
#[case::of_another_daemon_set(|pod: &mut Value| pod["metadata"]["ownerReferences"][0]["uid"] = json!("ds-2"))]
#[case::owner_is_not_its_controller(|pod: &mut Value| pod["metadata"]["ownerReferences"][0]["controller"] = json!(false))]
#[case::not_on_the_nodes_network(|pod: &mut Value| pod["spec"]["hostNetwork"] = json!(false))]
#[case::at_an_address_of_its_own_choice(|pod: &mut Value| pod["status"]["podIP"] = json!("127.0.0.7"))]
#[case::at_no_address(|pod: &mut Value| pod["status"]["podIP"] = json!("evil.example"))]
#[tokio::test]
async fn a_pod_that_is_not_the_nodes_own_instance_gets_nothing(#[case] change: fn(&mut Value)) {
    let site = Site::start().await;
    site.front.api.edit_pod(NAMESPACE, "two", change);
    let (code, why) = site.send("n2", "/who").await;
    assert_eq!(code, 503, "{why}");
    assert!(why.contains("n2"), "{why}");
}

#[tokio::test]
async fn of_two_instances_neither_is_asked() {
    let site = Site::start().await;
    site.front.api.add_pod(instance("three", "n2", "127.0.0.1"));
    assert_eq!(site.send("n2", "/who").await.0, 503);
}

#[tokio::test]
async fn an_api_server_that_answers_with_another_node_is_not_believed() {
    let site = Site::start().await;
    site.front.api.add("/api/v1/nodes/n2", node("n1", "127.0.0.1"));
    assert_eq!(site.send("n2", "/who").await.0, 503);
}

#[tokio::test]
async fn an_api_server_without_answer_is_unavailable_and_no_absence() {
    let site = Site::start().await;
    site.front.api.go(crate::support::api::Mode::Status(500)).await;
    assert_eq!(site.send("n2", "/who").await.0, 503);
}

#[tokio::test]
async fn a_listener_without_that_addresss_certificate_hears_nothing() {
    let site = Site::start().await;
    // The same port on another address of the loopback network: reached, but its certificate is for 127.0.0.1.
    let elsewhere = tokio::net::TcpListener::bind(("127.0.0.2", site.front.address.port())).await.unwrap();
    let serving = site.front.authority.serving();
    let router = super::router(Arc::clone(&site.front.authenticator));
    tokio::spawn(pod_checkpointer::serve::api::listener::serve_https(
        elsewhere,
        serving,
        router,
        ListenerLimits::default(),
        std::future::pending(),
    ));
    site.front.api.add("/api/v1/nodes/n2", node("n2", "127.0.0.2"));
    site.front.api.edit_pod(NAMESPACE, "two", |pod| pod["status"]["podIP"] = json!("127.0.0.2"));
    let (code, why) = site.send("n2", "/who").await;
    assert_eq!(code, 502, "{why}");
}

#[tokio::test]
async fn an_instance_that_does_not_know_us_is_said_to_be_so() {
    let site = Site::start().await;
    std::fs::write(site.token.path(), "over").unwrap();
    let (code, why) = site.send("n2", "/who").await;
    assert_eq!(code, 502, "a caller must not read it as their own 401: {why}");
    std::fs::remove_file(site.token.path()).unwrap();
    assert_eq!(site.send("n2", "/who").await.0, 503, "and without a token nobody is asked");
}

#[tokio::test]
async fn an_instance_that_hangs_has_a_deadline() {
    let site = Site::start().await;
    let limit = Duration::from_millis(100);
    let sent = site.forwarder.send("n2", &caller(), Method::GET, "/slow", Bytes::new(), limit).await;
    assert_eq!(sent.unwrap_err().code, 504);
}
