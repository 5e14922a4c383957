//! Checkpoints to save, that read like sentences.

use std::collections::BTreeMap;

use pod_checkpointer::pod::annotation;
pub(crate) use pod_checkpointer::pod::checkpoint::Checkpoint;
use pod_checkpointer::pod::checkpoint::{AssetFile, AssetVolume, MountPoint, Tree, VolumeContent};
use pod_checkpointer::pod::key::PodKey;
use serde_json::json;

/// `namespace/name`.
pub(crate) fn key(text: &str) -> PodKey {
    text.parse().expect("a valid key")
}

/// A checkpoint of one container, made from the parent with this UID; without assets yet.
pub(crate) fn checkpoint(of: &PodKey, uid: &str) -> Checkpoint {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": of.namespace(),
            "name": of.name(),
            "annotations": {
                annotation::CHECKPOINT_OF: of.name(),
                annotation::FORMAT: annotation::FORMAT_VERSION,
                annotation::PARENT_UID: uid,
                annotation::LINEAGE: format!("{}/DaemonSet/owner", of.namespace()),
                annotation::DIGEST: format!("digest-of-{uid}"),
                annotation::ASSETS: "[]",
            },
        },
        "spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}]},
    });
    Checkpoint { manifest, volumes: Vec::new() }
}

/// The same with one more asset directory, of files with mode 0644.
pub(crate) fn with(mut checkpoint: Checkpoint, tree: Tree, name: &str, files: &[(&str, &str)]) -> Checkpoint {
    let metadata = &mut checkpoint.manifest["metadata"];
    let (namespace, pod) = (metadata["namespace"].clone(), metadata["name"].clone());
    let dir = format!("{}/{}/{}/{name}", tree.dir(), namespace.as_str().expect("text"), pod.as_str().expect("text"));
    let list = metadata["annotations"][annotation::ASSETS].as_str().expect("text");
    let mut assets: Vec<String> = serde_json::from_str(list).expect("a list");
    assets.push(dir);
    metadata["annotations"][annotation::ASSETS] = json!(serde_json::to_string(&assets).expect("a list of texts"));
    checkpoint.volumes.push(volume(tree, name, files));
    checkpoint
}

/// The same with one more, in which these directories and the file `mounted` are mount points.
pub(crate) fn with_mount_points(copy: Checkpoint, name: &str, files: &[(&str, &str)], dirs: &[&str]) -> Checkpoint {
    let mut copy = with(copy, Tree::Volumes, name, files);
    let points = &mut copy.volumes.last_mut().expect("just added").content.mount_points;
    points.extend(dirs.iter().map(|dir| ((*dir).to_owned(), MountPoint::Directory)));
    points.insert("mounted".to_owned(), MountPoint::File);
    copy
}

/// An asset directory of files with mode 0644.
pub(crate) fn volume(tree: Tree, name: &str, files: &[(&str, &str)]) -> AssetVolume {
    let file = |text: &str| AssetFile { bytes: text.as_bytes().to_vec(), mode: 0o644, owner: None };
    let files: BTreeMap<_, _> = files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect();
    AssetVolume { tree, name: name.to_owned(), content: VolumeContent { files, ..VolumeContent::default() } }
}
