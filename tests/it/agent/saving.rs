//! What is saved, what is not, and what is said of it.

use std::fs;
use std::time::Duration;

use super::{A_WHILE, is_home, reasons, restorable, site_with};
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, NODE, pod};
use crate::support::site::{Site, kubeconfig};
use rstest::rstest;
use serde_json::json;

const KEY: &str = "-----BEGIN KEY-----\n\u{fffd} bytes \0 and all\n";

#[tokio::test]
async fn a_ready_pod_is_saved_whole_with_its_assets_byte_for_byte() {
    let mut site = Site::new().await.unwrap();
    site.api.add_secret(NAMESPACE, "tls", &[("tls.key", KEY), ("empty", "")]);
    site.api.add_config_map(NAMESPACE, "settings", &[("a.conf", "a = 1\n")]);
    site.add(pod("web").secret("tls").config_map("settings")).add(pod("all").projected("tls", "settings"));
    site.start_agent();
    site.until("both are saved", |s| s.is_saved("web") && s.is_saved("all")).await;
    let read = |path: &str| fs::read(site.etc(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
    assert_eq!(read("checkpoint-secrets/plant/web/tls/tls.key"), KEY.as_bytes());
    assert_eq!(read("checkpoint-secrets/plant/web/tls/empty"), b"");
    assert_eq!(read("checkpoint-configmaps/plant/web/settings/a.conf"), b"a = 1\n");
    assert_eq!(read("checkpoint-volumes/plant/all/all-in-one/tls.key"), KEY.as_bytes());
    assert_eq!(read("checkpoint-volumes/plant/all/all-in-one/a.conf"), b"a = 1\n");
    assert_eq!(read("checkpoint-volumes/plant/all/all-in-one/name"), b"all");
    site.until("it is said so", |s| restorable(s, "web") && restorable(s, "all")).await;
    site.kill_agent();
    let temporary = |line: &String| line.contains(".pod-checkpointer-") || line.contains("..data_tmp");
    let tree = crate::support::tree::lines(&site.config.node.etc_dir);
    assert!(!tree.iter().any(temporary), "{tree:#?}");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_server_that_would_read_the_token_in_clear_is_noted() {
    let mut site = Site::new().await.unwrap();
    let own = site.root().join("own.conf");
    fs::write(&own, kubeconfig(&site.api.url(), &json!({"token": "t"}))).unwrap();
    fs::write(site.root().join("kubelet.conf"), kubeconfig("http://192.0.2.1:8080", &json!({}))).unwrap();
    site.config.api.kubeconfig = Some(own);
    site.add(pod("web"));
    site.start_agent();
    site.until("it is saved by the other", |s| s.is_saved("web")).await;
    let noted = |s: &Site| s.status().notes.iter().any(|note| note.contains("http://192.0.2.1:8080 is not asked"));
    site.until("status names it", noted).await;
    site.assert_no_unexpected();
}

#[rstest]
#[case::old("v1.34.4", false)]
#[case::new("v1.35.0", true)]
#[tokio::test]
async fn a_copy_is_one_that_this_nodes_kubelet_takes(#[case] kubelet: &str, #[case] whole: bool) {
    let mut site = Site::new().await.unwrap();
    site.api.add_config_map(NAMESPACE, "settings", &[("10-late", "x"), ("EARLY", "y")]);
    let node = json!({"kind": "Node", "metadata": {"name": NODE}, "status": {"nodeInfo": {"kubeletVersion": kubelet}}});
    site.api.add(&format!("/api/v1/nodes/{NODE}"), node);
    site.add(pod("web").env_from("settings"));
    site.start_agent();
    site.until("it is saved", |s| s.is_saved("web")).await;
    let saved = fs::read_to_string(site.etc("inactive-manifests/plant_web.yaml")).unwrap();
    assert!(saved.contains("\"EARLY\""), "{saved}");
    assert_eq!(saved.contains("name: \"10-late\""), whole, "{saved}");
    assert_eq!(saved.contains("is left out: the kubelet of 1.34"), !whole, "{saved}");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_pod_that_is_not_ready_is_never_saved_until_it_is() {
    let mut site = Site::new().await.unwrap();
    site.kubelet.set_crashing("plant/web", true);
    site.add(pod("web"));
    site.start_agent();
    site.until("it is known", |s| s.status_of("web").is_some()).await;
    site.throughout("not saved", A_WHILE, |s| !s.is_saved("web") && !restorable(s, "web")).await;
    assert!(reasons(&site, "web").contains("never Ready"), "{}", reasons(&site, "web"));
    site.kubelet.set_crashing("plant/web", false);
    site.until("it is saved once it is Ready", |s| s.is_saved("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_version_that_is_never_ready_does_not_replace_the_good_copy() {
    let site = site_with([pod("web").arg("--good")]).await;
    let saved = || fs::read_to_string(site.etc("inactive-manifests/plant_web.yaml")).unwrap();
    let good = saved();
    site.kubelet.set_crashing("plant/web", true);
    site.api.delete_pod(NAMESPACE, "web");
    site.add(pod("web").uid("second").arg("--bad"));
    let crashes = |s: &Site| s.kubelet.statuses().iter().any(|p| p.uid == "second" && p.restarts > 0);
    site.until("the second one crashes", crashes).await;
    assert_eq!(saved(), good);
    site.assert_no_unexpected();
}

#[tokio::test]
async fn pods_that_cannot_be_saved_are_refused_beside_a_healthy_one() {
    let site = site_with([pod("web")]).await;
    site.add(pod("claims").claim("data")).add(pod("misses").secret("not-there"));
    site.until("both are refused", |s| {
        reasons(s, "claims").contains("data") && reasons(s, "misses").contains("not-there")
    })
    .await;
    for name in ["claims", "misses"] {
        assert!(!restorable(&site, name));
        assert!(site.is_removed(name), "nothing is written for {name}");
    }
    site.add(pod("later"));
    site.until("a pod after them is saved too", |s| s.is_saved("later")).await;
    assert!(restorable(&site, "web"));
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_pod_without_the_annotation_is_nobodys_business() {
    let mut site = site_with([pod("web")]).await;
    let mut plain = pod("plain").object();
    plain["metadata"]["annotations"] = serde_json::json!({});
    site.api.add_pod(plain);
    site.until("it runs", |s| s.parent_runs("plain")).await;
    site.throughout("not saved, not spoken of", A_WHILE, |s| s.is_removed("plain") && s.status_of("plain").is_none())
        .await;
    site.kill_agent();
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_services_variable_is_saved_as_the_container_has_it() {
    let mut site = Site::new().await.unwrap();
    let info = r#"{"config": {"envs": [{"key": "DB_SERVICE_HOST", "value": "10.0.0.7"}, {"key": "TOKEN", "value": "s3cret"}]}}"#;
    site.runtime.mood(|mood| mood.container_info.insert("main".to_owned(), info.to_owned()).map_or((), drop));
    site.add(pod("web").arg("--db=$(DB_SERVICE_HOST)"));
    site.start_agent();
    site.until("it is saved", |s| s.is_saved("web")).await;
    let manifest = fs::read_to_string(site.etc("inactive-manifests/plant_web.yaml")).unwrap();
    assert!(manifest.contains("name: \"DB_SERVICE_HOST\"") && manifest.contains("value: \"10.0.0.7\""), "{manifest}");
    assert!(!manifest.contains("s3cret"), "{manifest}");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_slow_api_server_keeps_no_pass_waiting() {
    let mut site = Site::new().await.unwrap();
    let names: Vec<String> = (0..12).map(|n| format!("web-{n}")).collect();
    for name in &names {
        site.api.add_secret(NAMESPACE, name, &[("tls.key", "secret")]);
        site.add(pod(name).secret(name));
    }
    site.add(pod("gateway").on_port(8443));
    site.start_agent();
    site.until("all are saved", |s| names.iter().all(|name| s.is_saved(name)) && s.is_saved("gateway")).await;
    site.api.go(Mode::Down).await;
    site.reboot().unwrap();
    site.until("the twin runs", |s| s.twin_runs("gateway")).await;
    // Back, and each of the refreshes takes its time: the hand-back comes between them.
    for name in &names {
        site.api.add_secret(NAMESPACE, name, &[("tls.key", "another")]);
    }
    site.api.go(Mode::Slow(Duration::from_millis(400))).await;
    let refreshed = |s: &Site, name: &str| {
        let key = s.etc(&format!("checkpoint-secrets/{NAMESPACE}/{name}/{name}/tls.key"));
        std::fs::read(key).is_ok_and(|text| text == b"another")
    };
    site.until("it is home", |s| is_home(s, "gateway") && !s.is_active("gateway")).await;
    assert!(!names.iter().all(|name| refreshed(&site, name)), "nothing was left to wait for: the test proves nothing");
    site.until("and all are refreshed", |s| names.iter().all(|name| refreshed(s, name))).await;
}
