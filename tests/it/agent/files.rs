//! Directories in which others write too, or in which nobody can.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::{A_WHILE, reasons, site_with};
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, pod};
use crate::support::site::Site;

/// A static pod of somebody else.
fn foreign() -> String {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "theirs", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "main", "image": "theirs:1"}]}})
    .to_string()
}

/// One of ours, of a version to come.
fn from_the_future() -> String {
    let annotations = json!({"checkpointer.alpha.coreos.com/checkpoint-of": "future",
        "checkpointer.alpha.coreos.com/format": "99"});
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "future", "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "future:1"}]}})
    .to_string()
}

#[tokio::test]
async fn others_files_garbage_and_unknown_formats_are_never_touched() {
    let mut site = Site::new().await.unwrap();
    fs::create_dir_all(site.etc("inactive-manifests")).unwrap();
    let strangers: Vec<(PathBuf, String)> = [
        ("manifests/plant_theirs.yaml", foreign()),
        ("manifests/kube-proxy.yaml", foreign().replace("theirs", "kube-proxy")),
        ("manifests/.plant_hidden.yaml.swp", "vim was here".to_owned()),
        ("inactive-manifests/plant_garbage.yaml", "{ not: [ yaml".to_owned()),
        ("inactive-manifests/plant_future.yaml", from_the_future()),
        ("inactive-manifests/notes.txt", "do not delete".to_owned()),
    ]
    .map(|(path, text)| (site.etc(path), text))
    .into();
    for (path, text) in &strangers {
        fs::write(path, text).unwrap();
    }
    site.add(pod("web"));
    site.start_agent();
    site.until("the pod beside them is saved", |s| s.is_saved("web")).await;
    let noted = |s: &Site| ["garbage", "future"].iter().all(|n| s.status().notes.iter().any(|note| note.contains(n)));
    site.until("what looks like ours and is not usable is named", noted).await;
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("the pod beside them comes back", |s| s.twin_runs("web")).await;
    site.api.delete_pod(NAMESPACE, "web");
    site.api.go(Mode::Up).await;
    site.until("and goes", |s| s.is_removed("web")).await;
    for (path, text) in &strangers {
        assert_eq!(&fs::read_to_string(path).unwrap(), text, "{}", path.display());
    }
    site.assert_no_unexpected();
}

#[tokio::test]
async fn temporaries_that_a_killed_agent_left_are_cleaned_up() {
    let mut site = site_with([pod("web")]).await;
    site.kill_agent();
    let left = ["manifests/.pod-checkpointer-left", "inactive-manifests/.pod-checkpointer-left"];
    left.iter().for_each(|path| fs::write(site.etc(path), "half a mani").unwrap());
    site.start_agent();
    site.until("they are gone", |s| left.iter().all(|path| !s.etc(path).exists())).await;
    assert!(site.is_saved("web"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn an_unwritable_directory_is_reported_and_other_pods_are_saved() {
    let mut site = Site::new().await.unwrap();
    site.api.add_secret(NAMESPACE, "tls", &[("key", "1")]);
    // A file where a directory has to be: nobody can write there, root neither.
    fs::create_dir_all(site.etc("checkpoint-secrets/plant")).unwrap();
    fs::write(site.etc("checkpoint-secrets/plant/web"), "in the way").unwrap();
    site.add(pod("web").secret("tls")).add(pod("other"));
    site.start_agent();
    site.until("the other is saved", |s| s.is_saved("other")).await;
    site.until("the failure is reported", |s| reasons(s, "web").contains("checkpoint-secrets/plant/web")).await;
    assert!(!site.is_saved("web"), "no manifest before its assets");
    fs::remove_file(site.etc("checkpoint-secrets/plant/web")).unwrap();
    site.until("it is saved when it can be", |s| s.is_saved("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_saved_copy_stays_whole_when_its_directory_is_read_only() {
    let mut site = Site::new().await.unwrap();
    site.config.timings.refresh = std::time::Duration::from_millis(500);
    site.api.add_secret(NAMESPACE, "tls", &[("key", "1")]);
    site.add(pod("web").secret("tls"));
    site.start_agent();
    site.until("it is saved", |s| s.is_saved("web")).await;
    let aside = site.etc("inactive-manifests-aside");
    fs::rename(site.etc("inactive-manifests"), &aside).unwrap();
    fs::write(site.etc("inactive-manifests"), "in the way").unwrap();
    site.add(pod("new"));
    site.until("the new pod runs", |s| s.parent_runs("new")).await;
    site.throughout("nothing is deleted", A_WHILE, |_| aside.join("plant_web.yaml").is_file()).await;
    fs::remove_file(site.etc("inactive-manifests")).unwrap();
    fs::rename(&aside, site.etc("inactive-manifests")).unwrap();
    site.until("the new pod is saved when it can be", |s| s.is_saved("new") && s.is_saved("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_strangers_file_in_a_manifests_place_stays_and_pods_return() {
    let mut site = site_with([pod("web"), pod("other")]).await;
    let place = site.etc("manifests/plant_web.yaml");
    fs::write(&place, foreign()).unwrap();
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("the other comes back", |s| s.twin_runs("other")).await;
    site.throughout("theirs stays", A_WHILE, |_| fs::read_to_string(&place).is_ok_and(|text| text == foreign())).await;
    fs::remove_file(&place).unwrap();
    site.until("ours comes back when there is room", |s| s.twin_runs("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_held_pod_is_left_where_it_is() {
    let mut site = site_with([pod("web"), pod("other")]).await;
    fs::write(site.etc("inactive-manifests/plant_web.hold"), "").unwrap();
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("the other comes back", |s| s.twin_runs("other")).await;
    site.throughout("the held one does not", A_WHILE, |s| !s.is_active("web")).await;
    fs::remove_file(site.etc("inactive-manifests/plant_web.hold")).unwrap();
    site.until("it does when it is released", |s| s.twin_runs("web")).await;
    site.assert_no_unexpected();
}
