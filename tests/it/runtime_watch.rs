//! The watch of the container runtime: what it publishes, when it lists, and how it gets over an outage.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::cri::FakeRuntime;
use crate::support::machine::Shared;
use pod_checkpointer::moment::{BootInstant, Observation};
use pod_checkpointer::node::cri::Cri;
use pod_checkpointer::node::runtime_watch::{RuntimeWatch, RuntimeWatchTimings};
use pod_checkpointer::pod::runtime::NodePods;
use tokio::sync::watch;

/// Long enough for a busy machine; waiting ends with the awaited.
const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    _dir: tempfile::TempDir,
    machine: Shared,
    runtime: FakeRuntime,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Shared::default();
        let runtime = FakeRuntime::start(dir.path(), machine.clone()).unwrap();
        Self { _dir: dir, machine, runtime }
    }

    fn watch(&self) -> RuntimeWatch {
        let cri = Cri::lazy(&self.runtime.endpoint()).unwrap().with_limit(Duration::from_millis(200));
        RuntimeWatch::spawn(cri, pace())
    }

    fn run_pod(&self, name: &str) -> String {
        self.machine.lock().run_sandbox(("default", name, name), "api", &BTreeMap::new())
    }

    fn lists(&self) -> usize {
        self.runtime.count("ListPodSandbox")
    }
}

/// Nothing is listed without a reason here, unless a test says so.
fn pace() -> RuntimeWatchTimings {
    RuntimeWatchTimings {
        relist: Duration::from_secs(3600),
        most: Duration::from_millis(300),
        ..RuntimeWatchTimings::default()
    }
}

type Readings = watch::Receiver<Observation<NodePods>>;

async fn until(
    readings: &mut Readings,
    what: &str,
    wanted: impl Fn(&Observation<NodePods>) -> bool,
) -> Observation<NodePods> {
    if let Ok(reading) = tokio::time::timeout(PATIENCE, readings.wait_for(wanted)).await {
        return reading.unwrap().clone();
    }
    panic!("never saw {what}, but {:?}", readings.borrow())
}

fn shows(pods: usize) -> impl Fn(&Observation<NodePods>) -> bool {
    move |reading| reading.seen().is_some_and(|seen| seen.sandboxes.len() == pods)
}

fn unavailable(reading: &Observation<NodePods>) -> bool {
    matches!(reading, Observation::Unavailable(_))
}

fn seen_at(reading: &Observation<NodePods>) -> BootInstant {
    match reading {
        Observation::Seen(_, at) => *at,
        Observation::Unavailable(why) => panic!("unavailable: {why}"),
    }
}

/// Until the list after subscribing is done and only events lead to more.
async fn settled(node: &Fixture) {
    let mut before = 0;
    while before != node.lists() || before < 2 {
        before = node.lists();
        tokio::time::sleep(pace().settle * 2).await;
    }
}

#[tokio::test]
async fn an_event_leads_to_a_list() {
    let node = Fixture::new();
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    settled(&node).await;

    let sandbox = node.run_pod("a");
    until(&mut readings, "the pod", shows(1)).await;
    node.machine.lock().stop_sandbox(&sandbox);
    let stopped = |r: &Observation<NodePods>| r.seen().is_some_and(|seen| seen.sandboxes.iter().all(|s| !s.ready));
    until(&mut readings, "the pod stopped", stopped).await;
}

#[tokio::test]
async fn a_burst_of_events_costs_few_lists_and_the_last_one_is_seen() {
    let node = Fixture::new();
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    settled(&node).await;
    let before = node.lists();
    for n in 0..500 {
        node.run_pod(&format!("pod-{n}"));
    }
    until(&mut readings, "all of them", shows(500)).await;
    let lists = node.lists() - before;
    assert!(lists <= 100, "{lists} lists for 500 events");
}

#[tokio::test]
async fn a_backlog_of_old_events_is_one_reason_to_list() {
    let node = Fixture::new();
    node.runtime.mood(|mood| mood.backlog = 86);
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    settled(&node).await;
    assert!(node.lists() <= 10, "{} lists", node.lists());
}

#[tokio::test]
async fn idle_it_asks_nothing() {
    let node = Fixture::new();
    let watch = node.watch();
    until(&mut watch.subscribe(), "an empty node", shows(0)).await;
    settled(&node).await;
    let before = node.runtime.calls().counts.clone();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.runtime.calls().counts, before);
}

#[tokio::test]
async fn without_events_it_goes_on_listing() {
    let node = Fixture::new();
    node.runtime.mood(|mood| mood.no_events = true);
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    node.run_pod("a");
    until(&mut readings, "the pod", shows(1)).await;
}

#[tokio::test]
async fn without_events_it_lists_no_more_often_than_it_should() {
    let node = Fixture::new();
    node.runtime.mood(|mood| mood.no_events = true);
    let _watch = node.watch();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let most = 2000 / 300 + 5;
    assert!(node.lists() <= most, "{} lists", node.lists());
}

#[tokio::test]
async fn a_killed_runtime_is_unavailable_and_its_return_is_seen() {
    let mut node = Fixture::new();
    node.run_pod("a");
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "the pod", shows(1)).await;
    settled(&node).await;

    node.runtime.kill();
    let Observation::Unavailable(why) = until(&mut readings, "the kill", unavailable).await else { unreachable!() };
    assert!(why.contains("containerd.sock"), "{why}");
    node.run_pod("made-meanwhile");
    node.runtime.restart().unwrap();
    until(&mut readings, "both pods", shows(2)).await;

    settled(&node).await;
    node.run_pod("later");
    until(&mut readings, "events again", shows(3)).await;
}

#[tokio::test]
async fn a_runtime_that_hangs_is_unavailable_as_soon_as_it_is_asked() {
    let node = Fixture::new();
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    node.runtime.mood(|mood| mood.hangs = true);
    assert!(unavailable(&watch.refresh().await));
    assert!(unavailable(&readings.borrow_and_update()));

    node.runtime.mood(|mood| mood.hangs = false);
    until(&mut readings, "it answers", shows(0)).await;
}

#[tokio::test]
async fn a_hanging_runtime_is_found_without_any_event() {
    let node = Fixture::new();
    let cri = Cri::lazy(&node.runtime.endpoint()).unwrap().with_limit(Duration::from_millis(100));
    let watch = RuntimeWatch::spawn(cri, RuntimeWatchTimings { relist: Duration::from_millis(500), ..pace() });
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    node.runtime.mood(|mood| mood.hangs = true);
    until(&mut readings, "the hang", unavailable).await;
}

#[tokio::test]
async fn a_refresh_moves_the_time_and_wakes_nobody() {
    let node = Fixture::new();
    let watch = node.watch();
    let mut readings = watch.subscribe();
    until(&mut readings, "an empty node", shows(0)).await;
    settled(&node).await;
    let before = seen_at(&readings.borrow_and_update());

    let fresh = watch.refresh().await;
    assert!(seen_at(&fresh) > before);
    assert_eq!(*readings.borrow(), fresh);
    assert!(!readings.has_changed().unwrap(), "nothing changed");
}

#[tokio::test]
async fn a_refresh_shows_what_was_true_when_it_was_asked_for() {
    let node = Fixture::new();
    node.runtime.mood(|mood| mood.no_events = true);
    let watch = node.watch();
    for pods in 1..=20 {
        node.run_pod(&format!("pod-{pods}"));
        assert!(shows(pods)(&watch.refresh().await));
    }
}

#[tokio::test]
async fn many_may_ask_for_a_refresh_at_once() {
    let node = Fixture::new();
    let watch = node.watch();
    let answers = futures::future::join_all((0..50).map(|_| watch.refresh())).await;
    assert!(answers.iter().all(|reading| reading.seen().is_some()));
}

#[tokio::test]
async fn before_the_first_answer_it_is_unavailable() {
    let mut node = Fixture::new();
    node.runtime.kill();
    let watch = node.watch();
    assert!(unavailable(&watch.subscribe().borrow()));
    node.runtime.restart().unwrap();
    until(&mut watch.subscribe(), "an empty node", shows(0)).await;
}
