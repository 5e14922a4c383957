//! Following this node's pods through everything that a connection to an API server can go through.

mod refusals;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::api::{FakeApi, Mode, parent, with};
use pod_checkpointer::cluster::client::ApiClient;
use pod_checkpointer::cluster::config::ClientConfig;
use pod_checkpointer::cluster::pods::{PodReader, PodWatchTimings, ReaderConfig};
use pod_checkpointer::pod::key::Uid;
use pod_checkpointer::pod::parent::{Parent, Standing};
use pod_checkpointer::pod::snapshot::{Answer, Api, Scope};
use rstest::rstest;
use serde_json::json;

const NS: &str = "kube-system";
const NODE: &str = "n1";

fn brisk() -> PodWatchTimings {
    PodWatchTimings {
        limit: Duration::from_millis(800),
        backoff: (Duration::from_millis(10), Duration::from_millis(100)),
        refused: Duration::from_millis(100),
        settled: Duration::ZERO,
        boot_patience: Duration::from_millis(300),
        ..PodWatchTimings::default()
    }
}

fn only(namespaces: &[&str]) -> Scope {
    Scope::Only(namespaces.iter().map(|ns| (*ns).to_owned()).collect())
}

fn config() -> ReaderConfig {
    let scope = only(&[NS]);
    ReaderConfig { node: NODE.to_owned(), scope, expected: None, keep_annotations: Vec::new(), pace: brisk() }
}

async fn client(url: &str) -> ApiClient {
    ApiClient::new(&ClientConfig { servers: vec![url.to_owned()], ..ClientConfig::default() }).await.unwrap()
}

async fn follow(api: &FakeApi, config: ReaderConfig) -> PodReader {
    PodReader::start(client(&api.url()).await, config).await.unwrap()
}

/// Follows and has its watches open, so that what happens next comes by watch.
async fn settled(api: &FakeApi, config: ReaderConfig) -> PodReader {
    let reader = follow(api, config).await;
    api.until("the watch is open", |api| api.open_watches() > 0).await;
    reader
}

/// Waits until the published answer is as wanted.
async fn until(reader: &PodReader, what: &str, wanted: impl Fn(&Api) -> bool) -> Api {
    let mut latest = reader.subscribe();
    let found = tokio::time::timeout(Duration::from_secs(20), latest.wait_for(|api| wanted(api))).await;
    let found = found.unwrap_or_else(|_| panic!("never: {what}; last {:?}", reader.latest())).unwrap();
    found.clone()
}

fn pods(api: &Api) -> &BTreeMap<pod_checkpointer::pod::key::PodKey, Parent> {
    match &api.answer {
        Answer::Listed(pods) => pods,
        other => panic!("{other:?}"),
    }
}

fn names(api: &Api) -> Vec<String> {
    match &api.answer {
        Answer::Listed(pods) => pods.keys().map(ToString::to_string).collect(),
        other => vec![format!("{other:?}")],
    }
}

fn has(names_wanted: &'static [&'static str]) -> impl Fn(&Api) -> bool {
    move |api| names(api) == names_wanted
}

fn of_another_cluster(api: &Api) -> bool {
    matches!(api.answer, Answer::OtherCluster(_))
}

fn refused(api: &Api) -> bool {
    matches!(api.answer, Answer::Refused(_))
}

fn unavailable(api: &Api) -> bool {
    matches!(api.answer, Answer::Unavailable(_))
}

#[tokio::test]
async fn parents_come_change_and_go() {
    let api = FakeApi::start().await;
    let unannotated = with(parent(NS, "plain", NODE), "/metadata/annotations", json!({}));
    api.add_pod(parent(NS, "a", NODE)).add_pod(parent(NS, "elsewhere", "n2")).add_pod(unannotated);
    let reader = settled(&api, config()).await;
    assert_eq!(names(&reader.latest()), ["kube-system/a"]);

    api.add_pod(parent(NS, "b", NODE));
    until(&reader, "b is there", has(&["kube-system/a", "kube-system/b"])).await;
    api.set_ready(NS, "b", false);
    let not_ready = |p: &Parent| p.key.name() == "b" && p.standing == Standing::Here { ready: false };
    until(&reader, "b is not ready", |api| pods(api).values().any(not_ready)).await;
    api.edit_pod(NS, "a", |pod| pod["metadata"]["annotations"] = json!({}));
    until(&reader, "a is no parent any more", has(&["kube-system/b"])).await;
    api.delete_pod(NS, "b");
    until(&reader, "nobody is left", has(&[])).await;
    assert_eq!((api.lists(), api.watches()), (1, 1), "all of it came by one watch");
    api.assert_no_unexpected();
}

#[tokio::test]
async fn signs_of_life_move_the_time_and_wake_nobody() {
    let api = FakeApi::start().await;
    api.add_pod(with(parent(NS, "plain", NODE), "/metadata/annotations", json!({})));
    let reader = settled(&api, config()).await;
    let mut latest = reader.subscribe();
    latest.mark_unchanged();
    let at = reader.latest().at;
    tokio::time::sleep(Duration::from_millis(5)).await; // the boot clock counts milliseconds
    api.bookmark();
    while reader.latest().at == at {
        tokio::task::yield_now().await;
    }
    assert!(!latest.has_changed().unwrap());
    let at = reader.latest().at;
    tokio::time::sleep(Duration::from_millis(5)).await;
    api.set_ready(NS, "plain", false);
    while reader.latest().at == at {
        tokio::task::yield_now().await;
    }
    assert!(!latest.has_changed().unwrap(), "a pod that is no parent wakes nobody");
}

#[rstest]
#[case::down(Mode::Down)]
#[case::black_hole(Mode::BlackHole)]
#[case::broken(Mode::Status(500))]
#[case::overloaded(Mode::Status(429))]
#[case::not_an_api(Mode::Status(404))]
#[case::garbage(Mode::Garbage)]
#[tokio::test]
async fn a_failed_first_attempt_says_unavailable_until_an_answer(#[case] mode: Mode) {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE));
    api.go(mode).await;
    let begun = Instant::now();
    let reader = follow(&api, config()).await;
    assert!(unavailable(&reader.latest()), "{:?}", reader.latest());
    assert!(begun.elapsed() < 3 * brisk().limit, "{:?}", begun.elapsed());
    api.go(Mode::Up).await;
    until(&reader, "it answers", has(&["kube-system/a"])).await;
    api.assert_no_unexpected();
}

#[rstest]
#[case::dead_token(Mode::Status(401))]
#[case::no_right(Mode::Status(403))]
#[tokio::test]
async fn a_refusal_is_neither_absence_nor_unavailability(#[case] mode: Mode) {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE));
    api.go(mode).await;
    let reader = follow(&api, config()).await;
    assert!(refused(&reader.latest()), "{:?}", reader.latest());
    api.go(Mode::Up).await;
    until(&reader, "it accepts us", has(&["kube-system/a"])).await;
}

#[tokio::test]
async fn no_route_is_waited_for_at_first_but_not_for_long() {
    let reader = PodReader::start(client("http://224.0.0.1:6443").await, config());
    let begun = Instant::now();
    let reader = reader.await.unwrap();
    assert!(begun.elapsed() >= brisk().boot_patience, "{:?}", begun.elapsed());
    assert!(unavailable(&reader.latest()));
}

#[tokio::test]
async fn what_happened_while_disconnected_is_listed_not_replayed() {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE)).add_pod(parent(NS, "b", NODE));
    let reader = settled(&api, config()).await;
    api.go(Mode::Down).await;
    until(&reader, "it is gone", unavailable).await;
    api.delete_pod(NS, "a").add_pod(parent(NS, "c", NODE)).compact();
    api.go(Mode::Up).await;
    until(&reader, "b and c", has(&["kube-system/b", "kube-system/c"])).await;
    // A list with a resourceVersion may be stale; the server counts it as unexpected.
    api.assert_no_unexpected();
    let lists: Vec<_> = api.calls().into_iter().filter(crate::support::api::Call::is_list).collect();
    assert!(lists.len() >= 2 && lists.iter().all(|c| !c.query.contains_key("resourceVersion")));
}

#[tokio::test]
async fn a_watch_whose_time_is_over_quietly_costs_one_list() {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE));
    let reader = settled(&api, config()).await;
    let mut latest = reader.subscribe();
    latest.mark_unchanged();
    api.end_watches();
    api.until("a second watch", |api| api.watches() == 2).await;
    assert_eq!(api.lists(), 2);
    assert!(!latest.has_changed().unwrap());
    assert_eq!(names(&reader.latest()), ["kube-system/a"]);
}

#[tokio::test]
async fn a_watch_that_falls_silent_is_given_up() {
    let api = FakeApi::start().await;
    let pace = PodWatchTimings { silence: Duration::from_millis(200), ..brisk() };
    let reader = settled(&api, ReaderConfig { pace, ..config() }).await;
    api.go(Mode::BlackHole).await;
    until(&reader, "silence is noticed", unavailable).await;
    api.add_pod(parent(NS, "a", NODE)).go(Mode::Up).await;
    until(&reader, "it speaks again", has(&["kube-system/a"])).await;
}

#[rstest]
#[case::garbage("<html>")]
#[case::error(r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}"#)]
#[case::unknown(r#"{"type":"SURPRISE","object":{}}"#)]
#[tokio::test]
async fn a_watch_that_talks_nonsense_is_replaced_by_a_list(#[case] line: &str) {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE));
    let reader = settled(&api, config()).await;
    api.say(line);
    api.until("a second watch", |api| api.watches() == 2).await;
    assert_eq!((api.lists(), names(&reader.latest())), (2, vec!["kube-system/a".to_owned()]));
}

#[tokio::test]
async fn a_malformed_pod_leaves_its_last_good_version_standing() {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE));
    let reader = settled(&api, config()).await;
    api.edit_pod(NS, "a", |pod| pod["metadata"]["uid"] = json!(7));
    api.say(r#"{"type":"ADDED","object":{"metadata":[]}}"#).add_pod(parent(NS, "b", NODE));
    until(&reader, "b is there", has(&["kube-system/a", "kube-system/b"])).await;
    assert_eq!(api.watches(), 1);
    assert_eq!(names(&reader.ask().await), ["kube-system/a", "kube-system/b"], "and survives a list");
}

#[tokio::test]
async fn an_answer_on_demand_is_fresh_and_published() {
    let api = FakeApi::start().await;
    let reader = settled(&api, config()).await;
    api.add_pod(parent(NS, "a", NODE));
    assert_eq!(names(&reader.ask().await), ["kube-system/a"]);
    assert_eq!(names(&reader.latest()), ["kube-system/a"]);
    assert_eq!((api.lists(), api.watches()), (2, 1), "one list, and the watch goes on");
    api.delete_pod(NS, "a");
    until(&reader, "the watch still tells", has(&[])).await;
}

#[tokio::test]
async fn many_who_ask_at_once_cost_few_lists() {
    let api = FakeApi::start().await;
    let reader = settled(&api, config()).await;
    api.go(Mode::Slow(Duration::from_millis(100))).await;
    let answers = futures::future::join_all((0..20).map(|_| reader.ask())).await;
    assert!(answers.iter().all(has(&[])));
    assert!(api.lists() <= 4, "{} lists", api.lists());
}

#[tokio::test]
async fn asking_a_black_hole_takes_one_limit_and_says_unavailable() {
    let api = FakeApi::start().await;
    let reader = settled(&api, config()).await;
    api.go(Mode::BlackHole).await;
    let begun = Instant::now();
    assert!(unavailable(&reader.ask().await));
    assert!(begun.elapsed() < 3 * brisk().limit, "{:?}", begun.elapsed());
    assert!(unavailable(&reader.latest()), "published too");
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let api = FakeApi::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        api.add_pod(parent(NS, name, NODE));
    }
    api.page_size(2);
    let reader = follow(&api, config()).await;
    assert_eq!(names(&reader.latest()).len(), 5);
    assert_eq!(api.lists(), 3);
    api.assert_no_unexpected();
}

#[rstest]
#[case::two(only(&["apps", NS]), &["apps/b", "kube-system/a"])]
#[case::all(Scope::All, &["apps/b", "kube-system/a", "other/c"])]
#[tokio::test]
async fn other_namespaces(#[case] scope: Scope, #[case] expected: &'static [&'static str]) {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE)).add_pod(parent("apps", "b", NODE)).add_pod(parent("other", "c", NODE));
    let reader = settled(&api, ReaderConfig { scope, ..config() }).await;
    assert_eq!(names(&reader.latest()), expected);
    api.until("all watches are open", |api| api.open_watches() == api.lists()).await;
    api.delete_pod("apps", "b");
    until(&reader, "b is gone", |api| !names(api).contains(&"apps/b".to_owned())).await;
    api.assert_no_unexpected();
}

#[tokio::test]
async fn idle_it_asks_three_times_a_watch_at_most_seven_an_hour() {
    let api = FakeApi::start().await;
    let client = client(&api.url()).await;
    let _reader = PodReader::start(client.clone(), config()).await.unwrap();
    api.until("the watch is open", |api| api.open_watches() == 1).await;
    for round in 1..=3_u64 {
        api.bookmark();
        assert_eq!(client.requests().total(), 3 * round, "identity, list, watch: {:?}", client.requests());
        api.end_watches();
        api.until("the next watch is open", |api| api.watches() as u64 == round + 1 && api.open_watches() == 1).await;
    }
    let asked = api.calls().into_iter().find(crate::support::api::Call::is_watch).unwrap();
    let life: u64 = asked.query["timeoutSeconds"].parse().unwrap();
    assert!((1740..=1800).contains(&life) && 3 * 3600_u64.div_ceil(1740) <= 12, "{life}");
    assert_eq!(asked.query["allowWatchBookmarks"], "true");
}

#[tokio::test]
async fn a_watch_that_keeps_breaking_is_not_hammered() {
    let api = FakeApi::start().await;
    api.watch_life(Duration::ZERO);
    let pace = PodWatchTimings {
        settled: Duration::from_secs(10),
        backoff: (Duration::from_millis(200), Duration::from_secs(5)),
        ..brisk()
    };
    let _reader = follow(&api, ReaderConfig { pace, ..config() }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(api.lists() <= 4, "{} lists in 0.6 s", api.lists());
}

#[tokio::test]
async fn dropping_the_reader_ends_its_watch() {
    let api = FakeApi::start().await;
    let reader = settled(&api, config()).await;
    drop(reader);
    api.until("no watch is open", |api| api.open_watches() == 0).await;
}

#[tokio::test]
async fn names_that_are_none_are_refused_before_anything_is_asked() {
    let api = FakeApi::start().await;
    for (node, ns) in [("n1&limit=1", NS), ("n1", "../secrets"), ("", NS)] {
        let scope = only(&[ns]);
        let config = ReaderConfig { node: node.to_owned(), scope, ..config() };
        assert!(PodReader::start(client(&api.url()).await, config).await.is_err(), "{node} {ns}");
    }
    assert!(api.calls().is_empty());
}
