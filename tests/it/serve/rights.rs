//! Who gets what answer, in the order in which anybody may learn anything.

use http::Method;
use rstest::rstest;

use super::site::Site;

const IMAGE: &str = "/checkpoint/default/counter/main";
const ARCHIVE: &str = "/api/v1/namespaces/default/pods/counter/checkpoint";
const SEALED: &str = r#"{"encrypt": true, "encryptionSecret": "s"}"#;

#[tokio::test]
async fn nobody_known_is_told_nothing() {
    let site = Site::new().await;
    for user in ["", "stranger"] {
        for (method, path) in [(Method::POST, IMAGE), (Method::POST, "/checkpoint/../x/y"), (Method::GET, "/nowhere")] {
            let said = site.ask_as(user, method, path, "").await;
            assert_eq!((said.code, said.text("kind")), (401, "Status".to_owned()), "{path}");
        }
    }
    let said =
        site.post_with("", IMAGE, &[("X-Remote-User", "system:admin"), ("X-Remote-Group", "system:masters")]).await;
    assert_eq!(said.code, 401);
    assert!(site.kubelet.calls().is_empty());
}

#[rstest]
#[case::to_checkpoint("create pods/checkpoint", IMAGE, "")]
#[case::to_delete("delete pods", IMAGE, r#"{"deletePod": true}"#)]
#[case::to_stop("delete pods", ARCHIVE, r#"{"leaveRunning": false}"#)]
#[case::to_the_secret("get secrets", ARCHIVE, SEALED)]
#[tokio::test]
async fn who_lacks_a_right_is_told_which_and_nothing_of_what_is_there(
    #[case] right: &str,
    #[case] path: &str,
    #[case] body: &str,
) {
    let site = Site::new().await;
    site.cluster.world().denied.push(right.to_owned());
    let said = site.post(path, body).await;
    assert_eq!(said.code, 403, "{}", said.body);
    let (verb, resource) = right.split_once(' ').unwrap();
    let message = said.text("message");
    assert!(message.contains(&format!("jane may not {verb} {resource}")), "{message}");
    // The same of a pod that is not there.
    assert_eq!(site.post(&path.replace("counter", "nobody"), body).await.code, 403);
    assert!(site.kubelet.calls().is_empty() && site.records().is_empty() && site.cluster.has_pod("counter"));
}

#[tokio::test]
async fn a_right_that_is_not_needed_is_not_asked_for() {
    let site = Site::new().await;
    site.cluster.world().denied.extend(["delete pods".to_owned(), "get secrets".to_owned()]);
    assert_eq!(site.post(IMAGE, "").await.code, 201);
    assert_eq!(site.post(ARCHIVE, "").await.code, 200);
}

#[tokio::test]
async fn rights_that_cannot_be_found_out_are_not_there() {
    let site = Site::new().await;
    assert_eq!(site.get("/checkpoint?checkpointIdentifier=node-1:00000000000000ff").await.code, 404);
    site.cluster.world().down = true;
    assert_eq!(site.post("/checkpoint/other/counter/main", "").await.code, 503);
    assert!(site.kubelet.calls().is_empty());
}

#[tokio::test]
async fn who_may_not_see_a_checkpoint_is_told_that_there_is_none() {
    let site = Site::new().await;
    let identifier = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    assert_eq!(site.outcome(&identifier).await.code, 200);
    site.cluster.world().denied.push("get checkpoints".to_owned());
    let path = format!("/checkpoint?checkpointIdentifier={identifier}");
    let other = site.ask_as("john", Method::GET, &path, "").await;
    let unknown =
        site.ask_as("john", Method::GET, "/checkpoint?checkpointIdentifier=node-1:00000000000000ff", "").await;
    assert_eq!((other.code, unknown.code), (404, 404));
    let plain = |text: String| text.replace(&identifier, "X").replace("node-1:00000000000000ff", "X");
    assert_eq!(plain(other.text("message")), plain(unknown.text("message")));
}

#[tokio::test]
async fn who_had_it_taken_may_see_it_as_long_as_they_may_take_it() {
    let site = Site::new().await;
    site.cluster.world().denied.push("get checkpoints".to_owned());
    let identifier = site.post(IMAGE, r#"{"async": true}"#).await.text("checkpointIdentifier");
    assert_eq!(site.outcome(&identifier).await.code, 200);
}

#[rstest]
#[case("/checkpoint/default/counter/..", 400)]
#[case("/checkpoint/default/counter/a%2fb", 400)]
#[case("/checkpoint/default//main", 400)]
#[case("/checkpoint/default/counter", 404)]
#[case("/checkpoint/default/counter/main/x", 404)]
#[tokio::test]
async fn a_url_that_is_none_of_ours_reaches_nobody(#[case] path: &str, #[case] code: u16) {
    let site = Site::new().await;
    let said = site.post(path, "").await;
    assert_eq!((said.code, said.text("kind")), (code, "Status".to_owned()), "{}", said.body);
    assert!(site.kubelet.calls().is_empty());
    assert_eq!(site.get(IMAGE).await.code, 405);
}

#[tokio::test]
async fn a_pod_elsewhere_is_asked_for_there_once_and_no_further() {
    let site = Site::with(|config| config.forwards = false).await;
    site.cluster.add_pod("far", "node-2", &["main"]);
    let said = site.post("/checkpoint/default/far/main", "").await;
    assert!(said.code == 409 && said.text("message").contains("node-2"), "{}", said.body);
    assert_eq!(site.get("/checkpoint?checkpointIdentifier=node-2:00000000000000ff").await.code, 404);
    let site = Site::new().await;
    site.cluster.add_pod("far", "node-2", &["main"]);
    // As another instance would hand it on: it must not go further.
    let ours = "system:serviceaccount:kube-system:container-checkpoints";
    let headers = [("X-Checkpointer-Forwarded-User", "jane")];
    let said = site.post_with(ours, "/checkpoint/default/far/main", &headers).await;
    assert!(said.code == 409 && said.text("message").contains("it has moved"), "{}", said.body);
    let here = site.post_with(ours, IMAGE, &headers).await;
    assert_eq!(here.code, 201, "{}", here.body);
    assert_eq!(site.records()[0]["caller"], "jane");
}

#[tokio::test]
async fn only_the_kubelet_itself_gets_our_token() {
    let site = Site::new().await;
    let other = rcgen::generate_simple_self_signed(vec!["node-1".to_owned()]).unwrap().cert.pem();
    let own = site.config.kubelet.dir.join("pki/kubelet.crt");
    let kept = std::fs::read(&own).unwrap();
    std::fs::write(&own, &other).unwrap();
    let said = site.post(IMAGE, "").await;
    assert!(said.code == 500 && said.text("message").contains("--kubelet-ca"), "{}", said.body);
    assert!(site.kubelet.tokens().is_empty());
    // A cluster's CA that did not sign it does not stand in the way of its own certificate.
    std::fs::write(site.config.service_account.join("ca.crt"), other).unwrap();
    std::fs::write(&own, kept).unwrap();
    assert_eq!(site.post(IMAGE, "").await.code, 201);
}
