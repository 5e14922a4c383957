//! What checkpoints are made of, and whether the agent still belongs here, asked of the fake server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::api::{FakeApi, Mode};
use pod_checkpointer::clock;
use pod_checkpointer::cluster::client::{ApiClient, LIMIT};
use pod_checkpointer::cluster::config::ClientConfig;
use pod_checkpointer::cluster::error::ApiError;
use pod_checkpointer::cluster::objects::{ObjectCache, fetch};
use pod_checkpointer::cluster::scheduling::daemonset_state;
use pod_checkpointer::cluster::tokens::{TokenTerms, claims};
use pod_checkpointer::pod::asset_refs::{Assets, Fetched, FetchedToken, ObjectKind, ObjectRef, TokenRef, Wanted};
use pod_checkpointer::pod::snapshot::Scheduling;
use serde_json::json;

const NS: &str = "kube-system";
const YEAR: Duration = Duration::from_secs(8760 * 3600);

async fn client(api: &FakeApi) -> ApiClient {
    ApiClient::new(&ClientConfig { servers: vec![api.url()], ..ClientConfig::default() }).await.unwrap()
}

fn round() -> ObjectCache {
    ObjectCache::new(TokenTerms { node: "n1".to_owned(), ttl: YEAR, now: clock::epoch_seconds() })
}

fn secret(name: &str) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Secret, name: name.to_owned() }
}

fn config_map(name: &str) -> ObjectRef {
    ObjectRef { kind: ObjectKind::ConfigMap, name: name.to_owned() }
}

fn own_token() -> TokenRef {
    TokenRef { service_account: "pod-checkpointer".to_owned(), audience: String::new() }
}

fn objects(refs: impl IntoIterator<Item = ObjectRef>) -> Wanted {
    Wanted { objects: refs.into_iter().collect(), tokens: BTreeSet::new() }
}

fn tokens(refs: impl IntoIterator<Item = TokenRef>) -> Wanted {
    Wanted { objects: BTreeSet::new(), tokens: refs.into_iter().collect() }
}

fn granted(assets: &Assets) -> String {
    match &assets.tokens[&own_token()] {
        FetchedToken::Granted { token, expires_at } => {
            assert_eq!(claims(token).unwrap().exp, *expires_at);
            token.clone()
        }
        other @ (FetchedToken::Denied(_) | FetchedToken::Refused(_)) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_object_is_asked_for_by_name_and_once_a_round() {
    let api = FakeApi::start().await;
    api.add_secret(NS, "tls", &[("key", "s3cret")]).add_config_map(NS, "conf", &[("a", "1")]);
    api.add_secret(NS, "forbidden", &[]).forbid("/api/v1/namespaces/kube-system/secrets/forbidden");
    let (client, mut round) = (client(&api).await, round());
    let wanted = objects([secret("tls"), config_map("conf"), secret("none"), secret("forbidden")]);
    let assets = fetch(&client, NS, &wanted, &BTreeMap::new(), &mut round).await.unwrap();
    let found = |k: &str, v: &str| Fetched::Found(BTreeMap::from([(k.to_owned(), v.as_bytes().to_vec())]));
    assert_eq!(assets.objects[&secret("tls")], found("key", "s3cret"));
    assert_eq!(assets.objects[&config_map("conf")], found("a", "1"));
    assert_eq!(assets.objects[&secret("none")], Fetched::Missing);
    assert!(matches!(assets.objects[&secret("forbidden")], Fetched::Denied(_)));

    let again = fetch(&client, NS, &wanted, &BTreeMap::new(), &mut round).await.unwrap();
    assert_eq!((again, api.calls().len()), (assets.clone(), 4));
    let shown = format!("{assets:?} {round:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("115"), "{shown}");
    api.assert_no_unexpected();
}

#[tokio::test]
async fn one_object_that_could_not_be_asked_for_fails_the_whole() {
    let api = FakeApi::start().await;
    api.add_secret(NS, "tls", &[]);
    for mode in [Mode::Down, Mode::Status(500), Mode::Status(401), Mode::Garbage] {
        let client = client(&api).await;
        api.go(mode).await;
        fetch(&client, NS, &objects([secret("tls")]), &BTreeMap::new(), &mut round()).await.expect_err("no answer");
        api.go(Mode::Up).await;
    }
}

#[tokio::test]
async fn a_name_that_is_none_never_becomes_a_path() {
    let api = FakeApi::start().await;
    let wanted = objects([secret("../../nodes/n1"), secret("a?b")]);
    let assets = fetch(&client(&api).await, NS, &wanted, &BTreeMap::new(), &mut round()).await.unwrap();
    assert!(assets.objects.values().all(|f| matches!(f, Fetched::Denied(_))), "{assets:?}");
    assert!(api.calls().is_empty());
}

#[tokio::test]
async fn a_token_is_bound_to_the_node_and_kept_for_half_its_life() {
    let api = FakeApi::start().await;
    api.add_node("n1", &json!({}));
    let client = client(&api).await;
    let wanted = tokens([own_token()]);
    let first = granted(&fetch(&client, NS, &wanted, &BTreeMap::new(), &mut round()).await.unwrap());
    let request = api.calls()[0].body.clone();
    assert_eq!(request["spec"]["boundObjectRef"], json!({"kind": "Node", "apiVersion": "v1", "name": "n1"}));
    assert_eq!(request["spec"]["expirationSeconds"], YEAR.as_secs());

    let held = BTreeMap::from([(own_token(), first.clone())]);
    let kept = granted(&fetch(&client, NS, &wanted, &held, &mut round()).await.unwrap());
    assert_eq!((kept, api.calls().len()), (first.clone(), 1), "no request");

    // The server granted half of what was asked for; half of that is gone after a quarter of a year.
    let later = clock::epoch_seconds() + i64::try_from(YEAR.as_secs() / 4).unwrap() + 60;
    let mut late = ObjectCache::new(TokenTerms { node: "n1".to_owned(), ttl: YEAR, now: later });
    fetch(&client, NS, &wanted, &held, &mut late).await.unwrap();
    assert_eq!(api.calls().len(), 2, "asked anew");

    api.forbid("/api/v1/namespaces/kube-system/serviceaccounts");
    let mut late = ObjectCache::new(TokenTerms { node: "n1".to_owned(), ttl: YEAR, now: later });
    let kept = granted(&fetch(&client, NS, &wanted, &held, &mut late).await.unwrap());
    assert_eq!(kept, first, "refused, the one that still works is kept");
}

#[tokio::test]
async fn a_token_that_is_forbidden_is_told_with_the_servers_words() {
    let api = FakeApi::start().await;
    api.add_node("n1", &json!({})).forbid("/api/v1/namespaces/kube-system/serviceaccounts");
    let wanted = tokens([own_token()]);
    let assets = fetch(&client(&api).await, NS, &wanted, &BTreeMap::new(), &mut round()).await.unwrap();
    let FetchedToken::Denied(why) = &assets.tokens[&own_token()] else { panic!("{assets:?}") };
    assert!(why.contains("is forbidden"), "{why}");
}

#[tokio::test]
async fn a_node_that_does_not_exist_gives_no_token() {
    let api = FakeApi::start().await;
    let wanted = tokens([own_token()]);
    let assets = fetch(&client(&api).await, NS, &wanted, &BTreeMap::new(), &mut round()).await.unwrap();
    let FetchedToken::Refused(why) = &assets.tokens[&own_token()] else { panic!("{assets:?}") };
    assert!(why.contains("nodes \"n1\" not found") && why.contains("kubelet"), "{why}");
}

#[tokio::test]
async fn daemonset_and_node_say_whether_the_agent_belongs_here() {
    let api = FakeApi::start().await;
    let client = client(&api).await;
    let state = async || daemonset_state(&client, NS, "agent", "n1", LIMIT).await;
    assert_eq!(state().await, Ok(Scheduling::Deleted));

    api.add_daemonset(NS, "agent", &json!({"nodeSelector": {"role": "edge"}})).add_node("n1", &json!({"role": "edge"}));
    assert_eq!(state().await, Ok(Scheduling::Wanted));
    api.add_node("n1", &json!({}));
    assert!(matches!(state().await, Ok(Scheduling::Excluded(why)) if why.contains("role=edge")));

    api.forbid("/api/v1/nodes");
    assert!(matches!(state().await, Ok(Scheduling::NotAllowed(_))));
    api.allow_all().forbid("/apis/apps");
    assert!(matches!(state().await, Ok(Scheduling::NotAllowed(_))));

    for mode in [Mode::Down, Mode::Status(503), Mode::Status(404), Mode::Garbage, Mode::Status(401)] {
        api.go(mode).await;
        let answer = state().await;
        // 404 in the API's own words would be an answer; every other failure must not read as "gone".
        match mode {
            Mode::Status(404) => assert_eq!(answer, Ok(Scheduling::Deleted)),
            Mode::Status(401) => assert!(matches!(answer, Err(ApiError::Unauthorized(_))), "{answer:?}"),
            _ => assert!(matches!(answer, Err(ApiError::Unavailable(_))), "{answer:?}"),
        }
        api.go(Mode::Up).await;
    }
}
