//! Secrets and ConfigMaps that change after their pod was saved.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{A_WHILE, reasons, restorable};
use crate::support::pods::{NAMESPACE, pod};
use crate::support::site::Site;

const SECRET: &str = "/api/v1/namespaces/plant/secrets/tls";

async fn site_with_secret() -> Site {
    let mut site = Site::new().await.unwrap();
    site.config.timings.refresh = Duration::from_millis(500);
    site.api.add_secret(NAMESPACE, "tls", &[("cert", "1"), ("key", "1"), ("old", "1")]);
    site.add(pod("web").secret("tls"));
    site.start_agent();
    site.until("it is saved", |s| s.is_saved("web")).await;
    site
}

/// Both halves of one generation; `None` where it was replaced in between.
fn pair(volume: &Path) -> Option<(String, String)> {
    let data = volume.join(fs::read_link(volume.join("..data")).ok()?);
    Some((fs::read_to_string(data.join("cert")).ok()?, fs::read_to_string(data.join("key")).ok()?))
}

#[tokio::test]
async fn an_updated_secret_is_refreshed_in_one_go_or_not_at_all() {
    let site = site_with_secret().await;
    let volume = site.etc("checkpoint-secrets/plant/web/tls");
    let manifest = fs::read(site.etc("inactive-manifests/plant_web.yaml")).unwrap();
    let (stop, watch) = (std::sync::mpsc::channel::<()>(), volume.clone());
    let watching = std::thread::spawn(move || {
        let mut torn = Vec::new();
        while stop.1.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            torn.extend(pair(&watch).filter(|(cert, key)| cert != key));
        }
        torn
    });
    for generation in ["2", "3", "4"] {
        site.api.add_secret(NAMESPACE, "tls", &[("cert", generation), ("key", generation)]);
        site.until("it is refreshed", |_| pair(&volume).is_some_and(|(cert, _)| cert == generation)).await;
    }
    drop(stop.0);
    assert_eq!(watching.join().unwrap(), [], "halves of two generations were seen together");
    assert_eq!(fs::read_to_string(volume.join("key")).unwrap(), "4");
    assert!(!volume.join("old").exists());
    let now = fs::read(site.etc("inactive-manifests/plant_web.yaml")).unwrap();
    assert_eq!(now, manifest, "the manifest does not change with its assets");
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_deleted_secret_is_kept_and_reported_for_the_pods_return() {
    let mut site = site_with_secret().await;
    site.api.remove(SECRET);
    site.until("it is reported", |s| reasons(s, "web").contains("tls")).await;
    let key = site.etc("checkpoint-secrets/plant/web/tls/key");
    site.throughout("it is kept", A_WHILE, |_| fs::read(&key).is_ok_and(|kept| kept == b"1")).await;
    assert!(restorable(&site, "web"), "{}", reasons(&site, "web"));
    site.api.go(crate::support::api::Mode::Down).await;
    site.reboot().unwrap();
    site.until("its twin runs", |s| s.twin_runs("web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn a_secret_that_appears_later_makes_its_pod_restorable() {
    let mut site = Site::new().await.unwrap();
    site.config.timings.refresh = Duration::from_millis(500);
    site.add(pod("web").secret("tls"));
    site.start_agent();
    site.until("it is refused", |s| reasons(s, "web").contains("tls")).await;
    site.api.add_secret(NAMESPACE, "tls", &[("key", "1")]);
    site.until("it is saved", |s| s.is_saved("web") && restorable(s, "web")).await;
    site.assert_no_unexpected();
}

#[tokio::test]
async fn unchanged_assets_are_not_written_again() {
    use std::os::unix::fs::MetadataExt;
    let site = site_with_secret().await;
    let asked = || site.api.calls().iter().filter(|call| call.path == SECRET).count();
    let inodes = || {
        let of = |path: &str| fs::metadata(site.etc(path)).map(|m| (m.ino(), m.ctime_nsec())).unwrap();
        [of("checkpoint-secrets/plant/web/tls/key"), of("inactive-manifests/plant_web.yaml")]
    };
    let (before, files) = (asked(), inodes());
    site.until("they were fetched twice more", |_| asked() >= before + 2).await;
    assert_eq!(inodes(), files);
    site.assert_no_unexpected();
}
