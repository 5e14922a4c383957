//! Who is believed to be whom.

use rstest::rstest;
use serde_json::{Value, json};

use super::Front;
use super::callers::{Ca, Cluster, GOOD, Says, publish};
use crate::support::api::{API, Mode};
use pod_checkpointer::serve::api::listener::ListenerLimits;

const OURS: &str = "pod-checkpointer";
const REMOTE: [(&str, &str); 3] = [("X-Remote-User", "ann"), ("X-Remote-Group", "a"), ("X-Remote-Group", "b")];
const PROXY: Says = Says { common: "front-proxy-client", groups: &[], ..GOOD };

/// An instance that knows the cluster's CAs.
async fn front() -> (Front, Cluster) {
    let front = Front::start().await;
    let cluster = Cluster::in_api(&front.api, &json!(["front-proxy-client"]));
    front.authenticator.look().await.unwrap();
    (front, cluster)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn through_the_api_server_the_caller_is_whom_it_names() {
    let (front, cluster) = front().await;
    let mut headers = REMOTE.to_vec();
    headers.extend([
        ("X-Remote-Uid", "u-1"),
        ("X-Remote-Extra-Example.com%2fKey", "v 1"),
        ("X-Remote-Extra-Example.com%2fKey", "v2"),
    ]);
    let (code, body) = front.who(Some(cluster.front_proxy.signs(&PROXY)), &headers).await;
    assert_eq!((code, &body["via"]), (200, &json!("FrontProxy")), "{body}");
    let wanted =
        json!({"user": "ann", "uid": "u-1", "groups": ["a", "b"], "extra": {"example.com/key": ["v 1", "v2"]}});
    assert_eq!(body["caller"], wanted);
}

#[tokio::test]
async fn names_in_the_front_proxys_headers_need_not_be_ascii() {
    let (front, cluster) = front().await;
    let (_, body) = front.who(Some(cluster.front_proxy.signs(&PROXY)), &[("X-Remote-User", "jürgen")]).await;
    assert_eq!(body["caller"]["user"], "jürgen");
}

#[rstest]
#[case::no_certificate(None)]
#[case::of_another_ca(Some((2, PROXY)))]
#[case::of_the_clients_ca(Some((1, PROXY)))]
#[case::right_ca_wrong_name(Some((0, Says { common: "somebody", ..PROXY })))]
#[case::right_ca_no_name(Some((0, Says { common: "", groups: &["front-proxy-client"], ..PROXY })))]
#[case::expired(Some((0, Says { years: (2020, 2021), ..PROXY })))]
#[case::not_yet_good(Some((0, Says { years: (2080, 2090), ..PROXY })))]
#[case::of_a_server(Some((0, Says { usage: rcgen::ExtendedKeyUsagePurpose::ServerAuth, ..PROXY })))]
#[tokio::test]
async fn a_name_in_headers_needs_the_front_proxys_certificate(#[case] certificate: Option<(usize, Says)>) {
    let (front, cluster) = front().await;
    let others = Ca::new("others");
    let cas = [&cluster.front_proxy, &cluster.clients, &others];
    let identity = |(ca, says): &(usize, Says)| cas[*ca].signs(says);
    let (code, body) = front.who(certificate.as_ref().map(identity), &REMOTE).await;
    match certificate {
        // A client of that name, and no more than that.
        Some((1, _)) => assert_eq!(
            (code, &body["caller"]["user"], &body["via"]),
            (200, &json!(PROXY.common), &json!("Certificate"))
        ),
        _ => assert_eq!((code, &body["reason"]), (401, &json!("Unauthorized")), "{body}"),
    }
    assert_ne!(body["caller"]["user"], "ann");

    let ours = bearer("t");
    front.api.token("t", "bob", &[OURS]);
    let mut headers = REMOTE.to_vec();
    headers.push(("authorization", &ours));
    let (code, body) = front.who(certificate.as_ref().map(identity), &headers).await;
    assert_eq!((code, &body["caller"]["user"], &body["via"]), (200, &json!("bob"), &json!("Token")));
}

#[tokio::test]
async fn any_proxy_name_does_if_none_is_listed_and_the_ca_is_its_own() {
    let (front, cluster) = front().await;
    let anyone = || cluster.front_proxy.signs(&Says { common: "somebody", ..PROXY });
    publish(&front.api, &cluster.clients.pem, &cluster.front_proxy.pem, &json!([]));
    front.authenticator.look().await.unwrap();
    assert_eq!(front.who(Some(anyone()), &REMOTE).await.1["caller"]["user"], "ann");
    publish(&front.api, &cluster.front_proxy.pem, &cluster.front_proxy.pem, &json!([]));
    front.authenticator.look().await.unwrap();
    let (_, body) = front.who(Some(anyone()), &REMOTE).await;
    assert_eq!((&body["caller"]["user"], &body["via"]), (&json!("somebody"), &json!("Certificate")));
}

#[tokio::test]
async fn two_names_in_one_request_are_nobody() {
    let (front, cluster) = front().await;
    let headers = [("X-Remote-User", "ann"), ("X-Remote-User", "system:admin")];
    assert_eq!(front.who(Some(cluster.front_proxy.signs(&PROXY)), &headers).await.0, 401);
}

#[tokio::test]
async fn a_client_certificate_names_its_user_and_groups() {
    let (front, cluster) = front().await;
    let (code, body) = front.who(Some(cluster.clients.signs(&GOOD)), &[]).await;
    assert_eq!((code, &body["via"]), (200, &json!("Certificate")), "{body}");
    assert_eq!(body["caller"]["user"], "jane");
    assert_eq!(body["caller"]["groups"], json!(["devs", "system:authenticated"]));
}

#[rstest]
#[case::expired(Says { years: (2020, 2021), ..GOOD })]
#[case::not_yet_good(Says { years: (2080, 2090), ..GOOD })]
#[case::nameless(Says { common: "", ..GOOD })]
#[case::of_a_server(Says { usage: rcgen::ExtendedKeyUsagePurpose::ServerAuth, ..GOOD })]
#[tokio::test]
async fn a_client_certificate_that_is_no_good_names_nobody(#[case] says: Says) {
    let (front, cluster) = front().await;
    assert_eq!(front.who(Some(cluster.clients.signs(&says)), &[]).await.0, 401);
    assert_eq!(front.who(Some(Ca::new("clients").signs(&GOOD)), &[]).await.0, 401, "of another CA of the same name");
}

#[rstest]
#[case::for_us("t", &[OURS], 200)]
#[case::for_us_and_others("t", &["x", OURS], 200)]
#[case::for_others("t", &["x"], 401)]
#[case::for_the_api_server("t", &[API], 401)]
#[case::unknown("other", &[OURS], 401)]
#[tokio::test]
async fn a_token_counts_if_it_is_meant_for_us(#[case] token: &str, #[case] audiences: &[&str], #[case] wanted: u16) {
    let (front, _) = front().await;
    front.api.token("t", "bob", audiences);
    let (code, body) = front.who(None, &[("authorization", &bearer(token))]).await;
    assert_eq!(code, wanted, "{body}");
    if code == 401 {
        assert!(body["message"].as_str().unwrap().contains("kubectl create token"), "{body}");
    }
}

#[tokio::test]
async fn tokens_for_the_api_server_count_where_the_operator_says_so() {
    let front = Front::with(ListenerLimits::default(), true).await;
    front.api.token("t", "bob", &[API]).token("x", "eve", &["x"]);
    assert_eq!(front.who(None, &[("authorization", &bearer("t"))]).await.0, 200);
    assert_eq!(front.who(None, &[("authorization", &bearer("x"))]).await.0, 401);
}

#[tokio::test]
async fn an_api_server_that_knows_no_audiences_vouches_for_nobody() {
    let (front, _) = front().await;
    front.api.token("t", "bob", &[OURS]).reviews(|r| r.no_audiences = true);
    assert_eq!(front.who(None, &[("authorization", &bearer("t"))]).await.0, 401);
}

#[rstest]
#[case::basic(&["Basic dXNlcjpwYXNz"])]
#[case::empty(&["Bearer "])]
#[case::bare(&["t"])]
#[case::two(&["Bearer t", "Bearer t"])]
#[tokio::test]
async fn only_one_bearer_token_is_understood(#[case] values: &[&str]) {
    let (front, _) = front().await;
    front.api.token("t", "bob", &[OURS]);
    let headers: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
    assert_eq!(front.who(None, &headers).await.0, 401);
    assert_eq!(front.who(None, &[("authorization", "bearer  t ")]).await.0, 200);
}

#[tokio::test]
async fn an_api_server_without_answer_is_no_fault_of_the_callers() {
    let (front, cluster) = front().await;
    front.api.token("t", "bob", &[OURS]).go(Mode::Status(500)).await;
    assert_eq!(front.who(None, &[("authorization", &bearer("t"))]).await.0, 503);
    assert_eq!(front.who(Some(cluster.clients.signs(&GOOD)), &[]).await.0, 200, "its CA is known");
    front.api.go(Mode::Up).await;
    assert_eq!(front.who(None, &[("authorization", &bearer("t"))]).await.0, 200, "errors are not kept");
}

#[tokio::test]
async fn until_the_cas_are_read_no_certificate_is_believed_or_refused() {
    let front = Front::start().await;
    assert!(front.authenticator.ready().is_err());
    assert_eq!(front.who(Some(Ca::new("clients").signs(&GOOD)), &[]).await.0, 503);
    assert_eq!(front.who(None, &REMOTE).await.0, 401);
}

const FORWARDED: [(&str, &str); 3] = [
    ("X-Checkpointer-Forwarded-User", "ann"),
    ("X-Checkpointer-Forwarded-Group", "system%3amasters"),
    ("X-Checkpointer-Forwarded-Extra-k%2f", "v"),
];

#[rstest]
#[case::another_instance("system:serviceaccount:kube-system:container-checkpoints", OURS, "ann", "Forwarded")]
#[case::another_account(
    "system:serviceaccount:default:container-checkpoints",
    OURS,
    "system:serviceaccount:default:container-checkpoints",
    "Token"
)]
#[case::an_operator("admin", OURS, "admin", "Token")]
#[tokio::test]
async fn only_another_instance_may_speak_for_somebody(
    #[case] user: &str,
    #[case] audience: &str,
    #[case] who: &str,
    #[case] via: &str,
) {
    let (front, cluster) = front().await;
    front.api.token("t", user, &[audience]);
    let token = bearer("t");
    let mut headers = FORWARDED.to_vec();
    headers.push(("authorization", &token));
    let (code, body) = front.who(None, &headers).await;
    assert_eq!((code, &body["caller"]["user"], &body["via"]), (200, &json!(who), &json!(via)));
    if via == "Forwarded" {
        assert_eq!(
            body["caller"],
            json!({"user": "ann", "uid": Value::Null, "groups": ["system:masters"], "extra": {"k/": ["v"]}})
        );
    }
    assert_eq!(front.who(None, &FORWARDED).await.0, 401, "without a token nobody");
    let jane = front.who(Some(cluster.clients.signs(&GOOD)), &FORWARDED).await.1;
    assert_eq!(jane["caller"]["user"], "jane", "a certificate is no instance");
    let (_, itself) = front.who(None, &[("authorization", &token)]).await;
    assert_eq!((&itself["caller"]["user"], &itself["via"]), (&json!(user), &json!("Token")));
}

#[tokio::test]
async fn an_api_token_of_our_own_account_cannot_speak_for_others() {
    let front = Front::with(ListenerLimits::default(), true).await;
    let own = "system:serviceaccount:kube-system:container-checkpoints";
    front.api.token("t", own, &[API]);
    let token = bearer("t");
    let mut headers = FORWARDED.to_vec();
    headers.push(("authorization", &token));
    let (code, body) = front.who(None, &headers).await;
    assert_eq!((code, &body["caller"]["user"], &body["via"]), (200, &json!(own), &json!("Token")));
}
