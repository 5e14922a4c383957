//! The whole of retention, as `serve` runs it, with an API server in this process.

use std::sync::Arc;
use std::time::Duration;

use pod_checkpointer::disk::open_dir::OpenDir;
use pod_checkpointer::serve::retention::sweeper::{Nobody, SweepTimings};
use pod_checkpointer::serve::retention::{PolicySource, RetentionOptions, start};
use serde_json::json;
use tokio::sync::oneshot;

use super::api::until;
use super::archives::{names, put};
use super::node::{Node, a_while};

const C: [&str; 3] = ["shop", "web-0", "web"];
const POD: &str = "/api/v1/namespaces/shop/pods/web-0";

#[tokio::test]
async fn the_eleventh_archive_replaces_the_oldest_and_all_are_told() {
    let mut node = Node::new().await;
    let files: Vec<_> = (1..=10).map(|second| put(node.path(), C, second)).collect();
    node.api.apply("own", "2026-01-01T00:00:00Z", 3, &node.policy(json!({"maxCheckpointsPerContainer": 10})));
    node.run().await;
    until("all are seen", || node.there() == 10).await;
    put(node.path(), C, 11);
    node.until("the oldest goes", |names| names.len() == 10 && !names.contains(&files[0])).await;
    node.api.until("an Event", |world| !world.events.is_empty()).await;
    let event = node.api.world().events[0].clone();
    assert_eq!((&event["reason"], &event["involvedObject"]["name"]), (&json!("CheckpointDeleted"), &json!("own")));
    assert!(event["message"].as_str().unwrap().contains("shop/web-0/web"), "{event}");
    node.api.until("a status", |world| !world.statuses.is_empty()).await;
    let (path, status) = node.api.world().statuses[0].clone();
    assert_eq!(path, "/apis/criu.org/v1/namespaces/ops/checkpointrestoreoperators/own/status");
    let part = &status["status"]["nodes"][0];
    assert_eq!((&part["node"], &part["observedGeneration"]), (&json!("node-a"), &json!(3)));
    node.stop().await;
}

#[tokio::test]
async fn a_change_of_the_policy_is_applied_at_once_or_not_as_it_says() {
    let mut node = Node::new().await;
    for second in 1..=5 {
        put(node.path(), C, second);
    }
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"maxCheckpointsPerContainer": 4})));
    node.run().await;
    until("all are seen", || node.there() == 5).await;
    a_while().await;
    assert_eq!(names(node.path()).len(), 5, "they lay there before");
    let now = json!({"maxCheckpointsPerContainer": 3, "applyPoliciesImmediately": true});
    node.api.apply("own", "2026-01-01T00:00:00Z", 2, &node.policy(now));
    node.until("it is applied", |names| names.len() == 3).await;
    node.stop().await;
}

#[tokio::test]
async fn policies_are_listed_whole_after_a_watch_has_ended() {
    let mut node = Node::new().await;
    for second in 1..=4 {
        put(node.path(), C, second);
    }
    let keep = |count: u8| json!({"maxCheckpointsPerContainer": count, "applyPoliciesImmediately": true});
    node.api.world().page = Some(1);
    node.api.apply("other", "2026-03-01T00:00:00Z", 1, &node.policy(keep(1)));
    node.api.apply("own", "2026-02-01T00:00:00Z", 1, &node.policy(keep(3)));
    node.run().await;
    node.until("the older one counts, though it is on the second page", |names| names.len() == 3).await;
    node.api.apply_unseen("oldest", "2026-01-01T00:00:00Z", 1, &node.policy(keep(2))).await;
    node.until("what nobody was told of is found", |names| names.len() == 2).await;
    node.stop().await;
}

#[tokio::test]
async fn the_last_good_policy_outlives_bad_ones_and_offline_restarts() {
    let mut node = Node::new().await;
    let good = json!({"maxCheckpointsPerContainer": 3, "applyPoliciesImmediately": true});
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(good));
    node.run().await;
    until("the directory is seen", || node.state.path().join("policy.json").exists()).await;
    node.api.apply("own", "2026-01-01T00:00:00Z", 2, &json!({"maxAge": "soon", "maxCheckpointsPerContainer": 1}));
    node.api
        .until("it is refused", |world| {
            world.statuses.iter().any(|(_, status)| status.to_string().contains("spec.maxAge"))
        })
        .await;
    for second in 1..=4 {
        put(node.path(), C, second);
    }
    node.until("the earlier one holds", |names| names.len() == 3).await;
    node.stop().await;
    node.api.world().down = true;
    std::fs::write(node.state.path().join(".pod-checkpointer-0123456789abcdef"), "of a killed run").unwrap();
    put(node.path(), C, 5);
    node.run().await;
    node.until("it holds after a restart", |names| names.len() == 3).await;
    node.stop().await;
    assert_eq!(names(node.state.path()), ["index", "policy.json"]);
}

#[tokio::test]
async fn an_orphan_goes_with_its_pod_and_not_while_the_api_is_away() {
    let mut node = Node::new().await;
    put(node.path(), C, 1);
    node.api.world().there.insert(POD.to_owned());
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"globalPolicy": {"retainOrphan": false}})));
    node.run().await;
    node.api.until("it is asked for the pod", |world| world.asked > 2).await;
    node.api.world().down = true;
    node.api.world().there.clear();
    a_while().await;
    assert_eq!(names(node.path()).len(), 1, "an error is no absence");
    node.api.world().down = false;
    node.until("it goes", <[String]>::is_empty).await;
    assert_eq!(node.metrics.deletions("orphan"), 1);
    node.stop().await;
}

#[tokio::test]
async fn unanswered_owners_are_asked_about_soon_after_the_api_is_back() {
    let mut node = Node::new().await;
    put(node.path(), C, 1);
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"globalPolicy": {"retainOrphan": false}})));
    node.api.world().pods_are_away = true;
    node.round = Duration::from_secs(3600);
    node.run().await;
    node.api.until("it is asked for the pod", |world| world.asked > 1).await;
    node.api.world().pods_are_away = false;
    node.until("it goes, without waiting for the next round", <[String]>::is_empty).await;
    node.stop().await;
}

#[tokio::test]
async fn a_policy_that_could_not_be_saved_is_saved_when_possible() {
    let mut node = Node::new().await;
    let kept = node.state.path().join("policy.json");
    std::fs::create_dir(&kept).unwrap();
    let keep = |generation: i64| json!({"maxCheckpointsPerContainer": generation});
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(keep(1)));
    node.run().await;
    node.api.until("a status", |world| !world.statuses.is_empty()).await;
    assert!(kept.is_dir());
    std::fs::remove_dir(&kept).unwrap();
    // Nothing of it is new; the event alone is.
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(keep(1)));
    until("it is kept", || kept.is_file()).await;
    node.stop().await;
}

#[tokio::test]
async fn an_orphan_stays_where_the_policy_keeps_it_or_there_is_none() {
    let mut node = Node::new().await;
    put(node.path(), C, 1);
    node.run().await;
    a_while().await;
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"globalPolicy": {"retainOrphan": true}})));
    a_while().await;
    assert_eq!((names(node.path()).len(), node.api.world().asked), (1, 0));
    node.stop().await;
}

#[tokio::test]
async fn the_oldest_resource_counts_and_the_others_are_told() {
    let mut node = Node::new().await;
    let keep = |n: u64| json!({"maxCheckpointsPerContainer": n, "applyPoliciesImmediately": true});
    node.api.apply("younger", "2026-01-02T00:00:00Z", 1, &node.policy(keep(1)));
    node.api.apply("older", "2026-01-01T00:00:00Z", 1, &node.policy(keep(3)));
    for second in 1..=4 {
        put(node.path(), C, second);
    }
    node.run().await;
    node.until("it is applied", |names| names.len() == 3).await;
    node.api
        .until("the other is told", |world| {
            world
                .statuses
                .iter()
                .any(|(path, status)| path.contains("/younger/") && status.to_string().contains("AnotherIsOlder"))
        })
        .await;
    assert_eq!(names(node.path()).len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn among_hundreds_of_nodes_one_more_reports_only_in_trouble() {
    let mut node = Node::new().await;
    node.status = Duration::from_millis(1);
    put(node.path(), C, 1);
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"maxCheckpointsPerContainer": 1})));
    let nodes: Vec<_> = (0..200).map(|n| json!({"node": format!("node-{n}"), "archives": 1})).collect();
    node.api.world().resources[0]["status"] = json!({"nodes": nodes});
    let claim = OpenDir::open(node.path()).unwrap().claim().unwrap().unwrap();
    node.run().await;
    until("all are seen", || node.there() == 1).await;
    a_while().await;
    assert_eq!(node.api.world().statuses, Vec::new());
    put(node.path(), C, 2);
    node.api
        .until("it says what is wrong", |world| {
            world.statuses.iter().any(|(_, status)| status.to_string().contains("AnotherDeletes"))
        })
        .await;
    drop(claim);
    node.stop().await;
}

#[tokio::test]
async fn a_policy_for_an_unmounted_directory_deletes_nothing() {
    let mut node = Node::new().await;
    for second in 1..=3 {
        put(node.path(), C, second);
    }
    let spec =
        json!({"checkpointDirectory": "/elsewhere", "maxCheckpointsPerContainer": 1, "applyPoliciesImmediately": true});
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &spec);
    node.run().await;
    node.api
        .until("it says so", |world| {
            world.statuses.iter().any(|(_, status)| status.to_string().contains("DirectoryNotMounted"))
        })
        .await;
    assert_eq!(names(node.path()).len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn a_dry_run_deletes_nothing_and_a_pin_holds() {
    let mut node = Node::new().await;
    let files: Vec<_> = (1..=3).map(|second| put(node.path(), C, second)).collect();
    std::fs::write(node.path().join(format!("{}.keep", files[0])), "").unwrap();
    let spec = |dry| json!({"maxCheckpointsPerContainer": 2, "applyPoliciesImmediately": true, "dryRun": dry});
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(spec(true)));
    node.run().await;
    until("all are seen", || node.there() == 3).await;
    a_while().await;
    assert_eq!(names(node.path()).len(), 4);
    node.api.apply("own", "2026-01-01T00:00:00Z", 2, &node.policy(spec(false)));
    node.until("the pinned one stays", |names| {
        names.len() == 3 && names.contains(&files[0]) && !names.contains(&files[1])
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn while_another_process_holds_the_directory_nothing_is_deleted() {
    let mut node = Node::new().await;
    for second in 1..=3 {
        put(node.path(), C, second);
    }
    let claim = OpenDir::open(node.path()).unwrap().claim().unwrap().unwrap();
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"maxCheckpointsPerContainer": 3})));
    node.run().await;
    until("all are seen", || node.there() == 3).await;
    put(node.path(), C, 4);
    node.api
        .until("it says so", |world| {
            world.statuses.iter().any(|(_, status)| status.to_string().contains("AnotherDeletes"))
        })
        .await;
    assert_eq!(names(node.path()).len(), 4);
    drop(claim);
    node.until("it takes over", |names| names.len() == 3).await;
    node.stop().await;
}

#[tokio::test]
async fn the_oldest_go_when_the_disk_is_to_have_more_room_than_it_has() {
    let mut node = Node::new().await;
    for second in 1..=3 {
        put(node.path(), C, second);
    }
    std::fs::write(node.path().join(format!("{}.keep", put(node.path(), C, 4))), "").unwrap();
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"minFreeSpace": "8E"})));
    node.run().await;
    node.until("all that may go go", |names| names.len() == 2).await;
    assert_eq!(node.metrics.deletions("room"), 3);
    node.stop().await;
}

#[tokio::test]
async fn an_archive_whose_owner_or_rights_changed_goes_all_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let mut node = Node::new().await;
    let files: Vec<_> = (1..=3).map(|second| put(node.path(), C, second)).collect();
    node.api.apply("own", "2026-01-01T00:00:00Z", 1, &node.policy(json!({"maxCheckpointsPerContainer": 3})));
    node.run().await;
    until("all are seen", || node.there() == 3).await;
    std::fs::set_permissions(node.path().join(&files[0]), std::fs::Permissions::from_mode(0o640)).unwrap();
    put(node.path(), C, 4);
    node.until("the oldest goes", |names| names.len() == 3 && !names.contains(&files[0])).await;
    assert_eq!(node.metrics.reads(), 5, "it was looked at again, and chosen again");
    node.stop().await;
}

#[tokio::test]
async fn a_policy_file_does_where_there_is_no_resource() {
    let mut node = Node::new().await;
    for second in 1..=3 {
        put(node.path(), C, second);
    }
    let file = node.state.path().join("policy.yaml");
    let dir = node.path().display().to_string();
    std::fs::write(
        &file,
        format!("checkpointDirectory: {dir}\nmaxCheckpointsPerContainer: 2\napplyPoliciesImmediately: true\n"),
    )
    .unwrap();
    let options = RetentionOptions {
        directory: node.path().to_owned(),
        state: node.state.path().join("own"),
        node: "node-a".to_owned(),
        source: PolicySource::File(file),
        pace: SweepTimings { debounce: Duration::from_millis(20), ..SweepTimings::default() },
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(start(options, None, Arc::new(Nobody), node.metrics.clone(), async {
        let _ = stopped.await;
    }));
    node.until("it is applied", |names| names.len() == 2).await;
    stop.send(()).unwrap();
    task.await.unwrap();
    node.running = None;
}
