//! Whose an archive is, by what stands in it.

use pod_checkpointer::archive::ArchiveError;
use pod_checkpointer::archive::metadata::{Engine, Metadata, MetadataError};
use pod_checkpointer::archive::reader::{Contents, EntryKind, read};
use serde_json::{Value, json};

use crate::support::archives::{self, config, containerd_spec, crio_spec, of, opened};

fn contents(bytes: &[u8]) -> Contents {
    read(&opened(bytes)).unwrap()
}

fn refused(config: &Value, spec: &Value) -> MetadataError {
    match read(&opened(&of(config, spec))) {
        Err(ArchiveError::Metadata(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_runtimes_archives_say_whose_they_are() {
    let expected = Metadata {
        engine: Engine::Containerd,
        namespace: "shop".to_owned(),
        pod: "web-0".to_owned(),
        pod_uid: Some("0d5c1f3a-7f2f-4f0e-9a55-1f3e9a7c0001".to_owned()),
        container: "web".to_owned(),
        runtime: "io.containerd.runc.v2".to_owned(),
        image_name: "registry.example/shop/web:1.2".to_owned(),
        image_ref: "registry.example/shop/web@sha256:5a".to_owned(),
        image: "registry.example/shop/web:1.2".to_owned(),
        created: Some("2026-11-20T23:00:00.25Z".parse().unwrap()),
        checkpointed: Some("2026-11-21T07:12:53Z".parse().unwrap()),
    };
    let bytes = archives::containerd(&[7; 5000]).end();
    let found = contents(&bytes);
    assert_eq!((found.metadata, found.size), (expected.clone(), bytes.len() as u64));
    let expected = Metadata { engine: Engine::CriO, runtime: "crun".to_owned(), ..expected };
    assert_eq!(contents(&archives::crio().end()).metadata, expected);
}

#[test]
fn entries_are_listed_with_their_sizes() {
    let found = contents(&archives::containerd(&[7; 5000]).end());
    let shown: Vec<_> = found.entries.iter().map(|entry| (entry.name.as_str(), entry.size, entry.kind)).collect();
    assert_eq!(shown[0], ("checkpoint", 0, EntryKind::Directory));
    assert_eq!(shown[2], ("checkpoint/pages-1.img", 5000, EntryKind::File));
    assert_eq!(shown.len(), 11);
}

#[test]
fn names_are_compared_cleaned() {
    let (config, spec) = (config().to_string(), containerd_spec("n", "p", "c").to_string());
    let tar = archives::Tar::default()
        .file("./config.dump", config.as_bytes())
        .file("checkpoint/spec.dump", b"of another file")
        .file("././spec.dump", spec.as_bytes());
    assert_eq!(contents(&tar.end()).metadata.namespace, "n");
}

#[test]
fn sources_that_differ_are_refused() {
    let differ = [
        ("org.criu.checkpoint.pod.namespace", "kube-system", "namespace"),
        ("org.criu.checkpoint.pod.name", "web-1", "pod"),
        ("org.criu.checkpoint.container.name", "other", "container"),
        ("org.criu.checkpoint.pod.uid", "1", "pod's UID"),
    ];
    for (key, value, what) in differ {
        for mut spec in [containerd_spec("shop", "web-0", "web"), crio_spec("shop", "web-0", "web")] {
            spec["annotations"][key] = json!(value);
            match refused(&config(), &spec) {
                MetadataError::Disagree { what: about, other, .. } => {
                    assert_eq!((about, other.is_empty()), (what, false));
                }
                other => panic!("{key}: {other:?}"),
            }
        }
    }
    let mut spec = containerd_spec("shop", "web-0", "web");
    for (key, value) in crio_spec("shop", "web-0", "web")["annotations"].as_object().unwrap() {
        spec["annotations"][key] = value.clone();
    }
    assert!(matches!(refused(&config(), &spec), MetadataError::Disagree { what: "runtime", .. }));
}

#[test]
fn sources_that_agree_are_taken_and_any_of_them_is_enough() {
    let mut spec = json!({"annotations": {
        "org.criu.checkpoint.engine.name": "CRI-O", "org.criu.checkpoint.pod.namespace": "n",
        "org.criu.checkpoint.pod.name": "p", "org.criu.checkpoint.container.name": "c",
    }});
    let found = contents(&of(&config(), &spec)).metadata;
    assert_eq!((found.engine, found.pod.as_str(), found.pod_uid), (Engine::CriO, "p", None));
    spec["annotations"].as_object_mut().unwrap().remove("org.criu.checkpoint.pod.name");
    assert_eq!(refused(&config(), &spec), MetadataError::Silent("pod"));
    assert_eq!(refused(&config(), &json!({})), MetadataError::Silent("runtime"));
}

#[test]
fn names_that_kubernetes_does_not_allow_are_refused() {
    for bad in ["", "..", "a/b", "A", "-a", "a-", "a_b", "a b", "a\nb", &"a".repeat(64), "\u{1b}[2J"] {
        for (spec, what) in [
            (containerd_spec(bad, "p", "c"), "namespace"),
            (crio_spec("n", "p", bad), "container"),
            (containerd_spec("n", &format!("{bad}/"), "c"), "pod"),
        ] {
            match refused(&config(), &spec) {
                MetadataError::Name { what: about, .. } => assert_eq!(about, what),
                other => panic!("{bad:?}: {other:?}"),
            }
        }
    }
    for key in ["rootfsImage", "rootfsImageRef", "rootfsImageName", "runtime"] {
        for bad in ["a\nb".to_owned(), "\u{1b}[2J".to_owned(), "a".repeat(1025)] {
            let mut config = config();
            config[key] = json!(bad);
            assert!(matches!(refused(&config, &containerd_spec("n", "p", "c")), MetadataError::Name { .. }), "{key}");
        }
    }
}

#[test]
fn no_error_repeats_what_stands_in_the_specification() {
    let mut spec = containerd_spec("n", "p", "c");
    spec["annotations"]["io.kubernetes.cri-o.Labels"] = json!("{\"PASSWORD\": hunter2}");
    assert!(!refused(&config(), &spec).to_string().contains("hunter2"));
    spec["annotations"] = json!(["hunter2"]);
    assert!(!refused(&config(), &spec).to_string().contains("hunter2"));
    let mut config = config();
    config["createdTime"] = json!("hunter2");
    assert!(!refused(&config, &containerd_spec("n", "p", "c")).to_string().contains("hunter2"));
}

#[test]
fn times_may_be_missing_or_the_zero_of_go() {
    let mut config = config();
    config["createdTime"] = json!("0001-01-01T00:00:00Z");
    config.as_object_mut().unwrap().remove("checkpointedTime");
    let found = contents(&of(&config, &containerd_spec("n", "p", "c"))).metadata;
    assert_eq!((found.created, found.checkpointed), (None, None));
}
