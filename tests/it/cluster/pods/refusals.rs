//! Answers that say nothing of our pods: of another cluster, and of a namespace that is refused.

use super::*;

#[tokio::test]
async fn another_cluster_behind_the_address_is_no_answer() {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE));
    let reader = settled(&api, config()).await;
    let first = api.cluster_uid();
    assert_eq!(reader.cluster_uid(), Some(Uid(first.clone())));
    api.become_another_cluster();
    until(&reader, "it is noticed", of_another_cluster).await;
    assert!(of_another_cluster(&reader.ask().await));
    assert_eq!(reader.cluster_uid(), Some(Uid(first)), "what we know does not change");
}

#[tokio::test]
async fn the_cluster_of_an_earlier_run_is_remembered() {
    let api = FakeApi::start().await;
    let reader = follow(&api, ReaderConfig { expected: Some(Uid::from("of-old")), ..config() }).await;
    let Answer::OtherCluster(why) = reader.latest().answer else { panic!("{:?}", reader.latest()) };
    assert!(why.contains("of-old") && why.contains(&api.cluster_uid()), "{why}");
}

#[tokio::test]
async fn without_the_right_to_look_the_guard_is_off() {
    let api = FakeApi::start().await;
    api.add_pod(parent("apps", "a", NODE)).forbid("/api/v1/namespaces/kube-system");
    let scope = only(&["apps"]);
    let reader = settled(&api, ReaderConfig { scope, expected: Some(Uid::from("of-old")), ..config() }).await;
    assert_eq!(names(&reader.latest()), ["apps/a"]);
    assert!(reader.unguarded());
    api.allow_all().end_watches();
    until(&reader, "the right was given and the cluster is another", of_another_cluster).await;
}

#[tokio::test]
async fn a_refused_namespace_leaves_the_others_their_answer() {
    let api = FakeApi::start().await;
    api.add_pod(parent(NS, "a", NODE)).add_pod(parent("apps", "b", NODE)).forbid("/api/v1/namespaces/apps/pods");
    let mut config = ReaderConfig { scope: only(&["apps", NS]), ..config() };
    config.pace.refused = Duration::from_millis(50);
    let reader = follow(&api, config).await;
    let answer = reader.latest();
    assert_eq!(names(&answer), ["kube-system/a"]);
    assert!(answer.refused.len() == 1 && answer.refused["apps"].contains("403"), "{:?}", answer.refused);
    api.add_pod(parent(NS, "c", NODE));
    until(&reader, "the other is followed", |api| names(api).contains(&"kube-system/c".to_owned())).await;
    api.allow_all();
    until(&reader, "the right is noticed", |api| api.refused.is_empty() && names(api).len() == 3).await;
    api.assert_no_unexpected();
}
