//! Volumes that are mounted inside one of an API object: the mount points that the kubelet would have made there.

use std::collections::BTreeMap;

use pod_checkpointer::pod::asset_refs::Assets;
use pod_checkpointer::pod::checkpoint::{AssetVolume, Checkpoint, MountPoint};
use pod_checkpointer::pod::sanitize::sanitize;
use pod_checkpointer::pod::sanitize::volume::refresh;
use rstest::rstest;
use serde_json::{Value, json};

use super::pods::{config_map, facts, fetched, parent, secret, small, token};

/// A pod whose containers have these mounts; `in` is a ConfigMap, and the others are what their names say.
fn pod(containers: &[&[(&str, &str)]]) -> Value {
    let container = |(index, mounts): (usize, &&[(&str, &str)])| {
        let mounts: Vec<_> = mounts
            .iter()
            .map(|(volume, at)| match volume.split_once(':') {
                Some((volume, part)) => json!({"name": volume, "mountPath": at, "subPath": part}),
                None => json!({"name": volume, "mountPath": at}),
            })
            .collect();
        json!({"name": format!("c{index}"), "image": "i", "volumeMounts": mounts})
    };
    let mut containers: Vec<_> = containers.iter().enumerate().map(container).collect();
    let last = containers.split_off(1);
    small(&json!({
        "containers": containers,
        "initContainers": last,
        "volumes": [
            {"name": "map", "configMap": {"name": "map"}},
            {"name": "map-too", "configMap": {"name": "map"}},
            {"name": "secret", "secret": {"secretName": "secret"}},
            {"name": "deep", "configMap": {"name": "map", "items": [{"key": "key", "path": "a/b/c"}]}},
            {"name": "projected", "projected": {"sources": [{"configMap": {"name": "map"}}]}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"name": "empty", "emptyDir": {}},
            {"name": "socket", "hostPath": {"path": "/run/x.sock", "type": "Socket"}},
        ],
    }))
}

fn assets() -> Assets {
    let map = fetched().found(config_map("map"), &[("key", "1"), ("x", "2")]);
    map.found(secret("secret"), &[("k", "v")]).granted(token("default", ""), "jwt").assets()
}

fn made(containers: &[&[(&str, &str)]]) -> Checkpoint {
    sanitize(&parent(&pod(containers)), &facts(), &assets()).unwrap()
}

/// The directory that a volume of the checkpoint is.
fn directory<'a>(checkpoint: &'a Checkpoint, volume: &str) -> &'a AssetVolume {
    let volumes = checkpoint.manifest["spec"]["volumes"].as_array().unwrap();
    let path = volumes.iter().find(|v| v["name"] == volume).unwrap()["hostPath"]["path"].as_str().unwrap();
    let end = |v: &&AssetVolume| path.ends_with(&format!("{}/ns/p/{}", v.tree.dir(), v.name));
    checkpoint.volumes.iter().find(end).unwrap_or_else(|| panic!("{path}"))
}

fn points(checkpoint: &Checkpoint, volume: &str) -> BTreeMap<String, MountPoint> {
    directory(checkpoint, volume).content.mount_points.clone()
}

fn refused(containers: &[&[(&str, &str)]], words: &[&str]) {
    let reasons = sanitize(&parent(&pod(containers)), &facts(), &assets()).expect_err("not restorable").reasons;
    assert_eq!(reasons.len(), 1, "{reasons:#?}");
    for word in words {
        assert!(reasons[0].contains(word), "{word:?} is not in {:?}", reasons[0]);
    }
}

#[rstest]
#[case::a_secret_in_a_config_map(&[("map", "/m"), ("secret", "/m/s")], &["s/"])]
#[case::in_whatever_order(&[("secret", "/m/s"), ("map", "/m")], &["s/"])]
#[case::deep(&[("map", "/m"), ("empty", "/m/a/b/c")], &["a/b/c/"])]
#[case::over_a_key(&[("map", "/m"), ("secret", "/m/key")], &["key/"])]
#[case::in_one_that_is_in_it(&[("map", "/m"), ("secret", "/m/s"), ("empty", "/m/s/e")], &["s/"])]
#[case::beside_one_with_a_like_name(&[("map", "/m"), ("secret", "/m/s"), ("empty", "/m/s-e"), ("deep", "/m/s/d")], &["s/", "s-e/"])]
#[case::paths_with_detours(&[("map", "/m/"), ("secret", "//m/./x/../s/")], &["s/"])]
#[case::not_in_it_at_all(&[("map", "/m"), ("secret", "/mm"), ("empty", "/")], &[])]
#[case::a_key(&[("map", "/m"), ("secret:k", "/m/s")], &["s"])]
#[case::a_part_that_is_a_directory(&[("map", "/m"), ("deep:a/b", "/m/s")], &["s/"])]
#[case::a_key_that_is_not_there(&[("map", "/m"), ("secret:none", "/m/s")], &["s/"])]
#[case::a_part_of_something_else(&[("map", "/m"), ("empty:k", "/m/s")], &["s/"])]
#[case::a_socket_of_the_node(&[("map", "/m"), ("socket", "/m/s")], &["s"])]
#[case::a_part_of_it_alone(&[("map:key", "/m"), ("secret", "/n")], &[])]
fn a_mount_inside_has_a_mount_point(#[case] mounts: &[(&str, &str)], #[case] expected: &[&str]) {
    let shown: Vec<_> = points(&made(&[mounts]), "map")
        .into_iter()
        .map(|(path, kind)| if kind == MountPoint::Directory { format!("{path}/") } else { path })
        .collect();
    assert_eq!(shown, expected);
}

#[rstest]
#[case("secret")]
#[case("deep")]
#[case("projected")]
fn every_kind_of_volume_that_becomes_a_directory_has_them(#[case] volume: &str) {
    let made = made(&[&[(volume, "/m"), ("empty", "/m/e")]]);
    assert_eq!(points(&made, volume), [("e".to_owned(), MountPoint::Directory)].into());
}

#[test]
fn each_of_two_that_are_nested_has_its_own() {
    let made = made(&[&[("map", "/m"), ("secret", "/m/s"), ("empty", "/m/s/e/f")]]);
    assert_eq!(points(&made, "secret"), [("e/f".to_owned(), MountPoint::Directory)].into());
}

#[test]
fn mounts_of_all_containers_count_and_a_directory_wins() {
    let of_main: &[_] = &[("map", "/m"), ("secret:k", "/m/a"), ("socket", "/m/c")];
    let of_init: &[_] = &[("map", "/n"), ("empty", "/n/a"), ("secret", "/n/c/d")];
    let expected = ["a", "c", "c/d"].map(|path| (path.to_owned(), MountPoint::Directory));
    assert_eq!(points(&made(&[of_main, of_init]), "map"), expected.into());
}

#[test]
fn a_directory_with_mount_points_is_no_other_volumes() {
    let made = made(&[&[("map", "/m"), ("empty", "/m/key"), ("map-too", "/n")]]);
    let (with, without) = (directory(&made, "map"), directory(&made, "map-too"));
    assert_eq!((without.tree.dir(), without.name.as_str()), ("checkpoint-configmaps", "map"));
    assert_eq!(with.tree.dir(), "checkpoint-volumes");
    assert!(with.name.starts_with("map.mounts-"), "{}", with.name);
    assert!(without.content.mount_points.is_empty());
}

#[test]
fn other_mount_points_have_another_directory() {
    let name = |at: &str| directory(&made(&[&[("map", "/m"), ("empty", at)]]), "map").name.clone();
    assert_eq!(name("/m/a"), name("/m/a/"));
    assert_ne!(name("/m/a"), name("/m/b"));
}

#[test]
fn what_cannot_be_a_mount_point_is_refused_with_a_remedy() {
    refused(&[&[("map", "/m"), ("empty", "/m/..data")]], &["container c0", "/m/..data", "call \"..data\" otherwise"]);
    let long = format!("/m/{}", "x".repeat(256));
    refused(&[&[("map", "/m"), ("empty", &long)]], &["at most 255 bytes", "shorten the path"]);
}

#[test]
fn inside_a_part_of_a_volume_only_what_is_there_works() {
    refused(&[&[("deep:a", "/m"), ("empty", "/m/e")]], &["/m/e inside /m", "only a of volume deep", "or all of deep"]);
    refused(&[&[("map:none", "/m"), ("empty", "/m/e")]], &["only none of volume map"]);
    assert!(points(&made(&[&[("deep:a", "/m"), ("empty", "/m/b")]]), "deep").is_empty());
}

#[test]
fn a_refresh_gives_the_same_mount_points_or_nothing() {
    let pod = pod(&[&[("map", "/m"), ("secret:k", "/m/s"), ("token", "/t")]]);
    let captured = sanitize(&parent(&pod), &facts(), &assets()).unwrap();
    assert_eq!(refresh(&parent(&pod), &assets()).volumes, captured.volumes);

    let names = |assets: &Assets| {
        let volumes = refresh(&parent(&pod), assets).volumes;
        volumes.into_iter().map(|v| v.name.split('.').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let map = || fetched().found(config_map("map"), &[("key", "1"), ("x", "2")]);
    let without_token = map().found(secret("secret"), &[("k", "v")]).no_token(token("default", "")).assets();
    assert_eq!(names(&without_token), ["secret", "map", "deep", "map", "projected"]);
    // Whether its key is a file cannot be told without the Secret.
    let without_secret = map().missing(secret("secret")).granted(token("default", ""), "jwt").assets();
    assert_eq!(names(&without_secret), ["map", "deep", "projected", "token"]);
}
