//! Both documents' requests, answered when all is well and when the kubelet, the runtime or the registry is not.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::archive::archive;
use super::kubelet::{Mode, seconds};
use super::registry;
use super::site::Site;

const IMAGE: &str = "/checkpoint/default/counter/main";
const ARCHIVE: &str = "/api/v1/namespaces/default/pods/counter/checkpoint";

#[tokio::test]
async fn a_checkpoint_is_pushed_and_answered_as_the_document_has_it() {
    let site = Site::new().await;
    let before = seconds();
    let said = site.post(IMAGE, r#"{"deletePod": false}"#).await;
    assert_eq!(said.code, 201, "{}", said.body);
    let whose = json!({"namespace": "default", "pod": "counter", "container": "main"});
    assert_eq!(said.body["containerIdentifier"], whose);
    let (begin, end) = (said.body["beginTimestamp"].as_i64().unwrap(), said.body["endTimestamp"].as_i64().unwrap());
    assert!(before <= begin && begin <= end && end <= seconds(), "{}", said.body);
    let image = said.text("containerImageName");
    let tag = image.strip_prefix(&format!("{}:", site.config.image_prefix)).unwrap();
    assert!(tag.len() == 16 && tag.bytes().all(|digit| digit.is_ascii_hexdigit()), "{tag}");
    assert_eq!(site.registry.tags(), [tag]);
    assert!(site.registry.has(&archive("default", "counter", "uid-of-counter", "main", b"the container's memory")));
    assert!(site.cluster.has_pod("counter"), "nobody said that it should go");
    assert_eq!(site.kubelet.calls(), ["/checkpoint/default/counter/main?timeout=600"]);
    assert_eq!(site.kubelet.tokens(), ["Bearer own-token"]);
    site.cluster.assert_no_faults();
}

#[tokio::test]
async fn an_asynchronous_one_gets_an_identifier_that_finds_the_entry() {
    let site = Site::new().await;
    site.kubelet.go(Mode::Slow(Duration::from_millis(500)));
    let said = site.post(IMAGE, r#"{"async": true}"#).await;
    assert_eq!(said.code, 202, "{}", said.body);
    let identifier = said.text("checkpointIdentifier");
    assert!(identifier.starts_with("node-1:"), "{identifier}");
    assert_eq!(site.records().len(), 1, "it is on disk before its answer");
    let going = site.get(&format!("/checkpoint?checkpointIdentifier={identifier}&wait=0")).await;
    assert_eq!((going.code, going.text("checkpointIdentifier")), (202, identifier.clone()));
    let done = site.outcome(&identifier).await;
    assert_eq!(done.code, 200, "{}", done.body);
    assert!(done.text("containerImageName").ends_with(identifier.strip_prefix("node-1:").unwrap()));
    let group = "/apis/checkpointer.alpha.coreos.com/v1alpha1";
    let same = site.get(&format!("{group}/namespaces/default/checkpoints/{identifier}")).await;
    assert_eq!((same.code, same.body), (200, done.body));
    assert_eq!(site.get(&format!("{group}/namespaces/other/checkpoints/{identifier}")).await.code, 404);
}

#[tokio::test]
async fn archives_of_all_containers_are_paths_on_the_node() {
    let site = Site::new().await;
    let said = site.post(ARCHIVE, r#"{"leaveRunning": true}"#).await;
    assert_eq!(said.code, 200, "{}", said.body);
    let items: Vec<&str> = said.body["items"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
    assert_eq!(items.len(), 2);
    for (item, container) in items.iter().zip(["main", "side"]) {
        let path = std::path::Path::new(item);
        assert!(path.is_file() && path.starts_with(&site.config.checkpoints), "{item}");
        assert!(item.contains(&format!("checkpoint-counter_default-{container}-")), "{item}");
    }
    let one = site.post(ARCHIVE, r#"{"container": "side", "timeout": 200}"#).await;
    assert_eq!((one.code, one.body["items"].as_array().unwrap().len()), (200, 1));
    assert_eq!(site.kubelet.calls().last().unwrap(), "/checkpoint/default/counter/side?timeout=200");
    assert!(site.registry.tags().is_empty() && site.cluster.has_pod("counter"));
}

#[tokio::test]
async fn the_pod_goes_when_everything_else_is_done_and_by_its_uid() {
    let site = Site::new().await;
    let said = site.post(IMAGE, r#"{"deletePod": true}"#).await;
    assert_eq!((said.code, site.cluster.has_pod("counter")), (201, false));
    assert_eq!(site.cluster.world().deleted, ["uid-of-counter"]);
    let site = Site::new().await;
    let said = site.post(ARCHIVE, r#"{"leaveRunning": false}"#).await;
    assert_eq!((said.code, site.cluster.has_pod("counter")), (200, false));
    let calls = site.cluster.world().calls.clone();
    assert_eq!(calls.iter().filter(|call| call.starts_with("DELETE")).count(), 1, "{calls:?}");
}

#[tokio::test]
async fn a_push_that_fails_leaves_pod_and_archive() {
    let site = Site::new().await;
    site.registry.go(registry::Mode::Refuses);
    let said = site.post(IMAGE, r#"{"deletePod": true}"#).await;
    assert_eq!(said.code, 500, "{}", said.body);
    assert!(said.text("message").contains("the image was not pushed"), "{}", said.body);
    assert_eq!(said.body["kind"], "Status");
    assert!(site.cluster.has_pod("counter") && site.archives().len() == 1);
    assert_eq!(site.cluster.world().deleted.len(), 0);
}

#[rstest]
#[case::no_feature(Mode::Says(404, "404 page not found"), "ContainerCheckpoint")]
#[case::no_right(Mode::Says(403, "Forbidden"), "nodes/checkpoint")]
#[case::no_criu(Mode::Says(500, "CRIU binary not found or too old (<31600)"), "CRIU is missing")]
#[case::too_long(Mode::Says(500, "rpc error: code = DeadlineExceeded"), "longer than it was given")]
#[case::its_own_words(Mode::Says(500, "criu failed: type NOTIFY errno 0"), "criu failed: type NOTIFY errno 0")]
#[case::a_path_elsewhere(Mode::Names("/etc/shadow"), "no checkpoint archive's")]
#[case::a_way_out(
    Mode::Names("/x/../../checkpoint-counter_default-other-2026-11-21T07:12:53Z.tar"),
    "no checkpoint archive's"
)]
#[case::nothing_there(Mode::Names("/x/checkpoint-counter_default-main-2026-11-21T07:12:53Z.tar"), "--checkpoints-dir")]
#[case::another_containers(Mode::Lies, "is of default/counter/another")]
#[tokio::test]
async fn what_the_kubelet_cannot_do_is_said_as_what_it_means(#[case] mode: Mode, #[case] meant: &str) {
    let site = Site::new().await;
    site.kubelet.go(mode);
    let said = site.post(IMAGE, r#"{"deletePod": true}"#).await;
    assert_eq!(said.code, 500, "{}", said.body);
    assert!(said.text("message").contains(meant), "{}", said.body);
    assert!(site.cluster.has_pod("counter") && site.registry.tags().is_empty());
}

#[tokio::test]
async fn crius_own_line_is_passed_on() {
    let site = Site::new().await;
    let state = site.config.runtime_state.join("id-of-main");
    std::fs::create_dir(&state).unwrap();
    let line =
        "(00.02) Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established option.";
    site.kubelet.go(Mode::Logs(state.join("criu-dump.log"), line));
    let said = site.post(IMAGE, "").await;
    assert!(said.text("message").contains("established TCP connection, which cannot be saved"), "{}", said.body);
    assert!(said.text("message").contains("criu/sk-inet.c:191"), "{}", said.body);
}

#[tokio::test]
async fn the_registrys_credentials_come_from_the_pull_secret() {
    let site = Site::new().await;
    let auths = json!({"auths": {&site.registry.address: {"username": "u", "password": "p"}}});
    let (kind, key) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
    site.cluster.add_secret("kube-system", "kaniko-secret", kind, key, auths.to_string().as_bytes());
    assert_eq!(site.post(IMAGE, "").await.code, 201);
    // One that is there and cannot be read is no reason to push without.
    site.cluster.world().forbidden.push("/api/v1/namespaces/kube-system/secrets/kaniko-secret".to_owned());
    let said = site.post(IMAGE, "").await;
    assert!(said.code == 500 && said.text("message").contains("kaniko-secret"), "{}", said.body);
}

#[tokio::test]
async fn what_is_not_there_or_does_not_run_is_said() {
    let site = Site::new().await;
    assert_eq!(site.post("/checkpoint/default/nobody/main", "").await.code, 404);
    let said = site.post("/checkpoint/default/counter/none", "").await;
    assert!(said.code == 404 && said.text("message").contains("it has main, side"), "{}", said.body);
    let path = "/api/v1/namespaces/default/pods/counter";
    let stop = |pod: &mut Value| {
        pod["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    };
    stop(site.cluster.world().objects.get_mut(path).unwrap());
    let said = site.post(IMAGE, "").await;
    assert!(said.code == 409 && said.text("message").contains("CrashLoopBackOff"), "{}", said.body);
    assert!(site.kubelet.calls().is_empty() && site.records().is_empty());
}

#[tokio::test]
async fn how_it_is_can_be_seen_by_anybody() {
    let site = Site::new().await;
    site.post(IMAGE, "").await;
    let get = |path: &'static str| site.ask_as("", http::Method::GET, path, "");
    assert_eq!(get("/livez").await.code, 200);
    let metrics = get("/metrics").await.body;
    assert!(metrics.as_str().unwrap().contains("container_checkpoints_jobs_total{outcome=\"done\"} 1"), "{metrics}");
    let group = get("/apis/checkpointer.alpha.coreos.com/v1alpha1").await;
    assert_eq!((group.code, &group.body["kind"]), (200, &json!("APIResourceList")));
}
