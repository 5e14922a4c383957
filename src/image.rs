//! The image that an archive makes: config, manifest and index. Pure; the same archive makes the same bytes, for which
//! `oci-spec`'s structs are of no use: their annotations are in no order.
//!
//! One layer, which is the archive byte for byte (OCI image spec 1.1; a layer that is a plain tar). A runtime knows such an
//! image for a checkpoint by its annotations: containerd by those of checkpointctl (`org.criu.checkpoint.*`), on the
//! manifest, or on the index if the tag names one; CRI-O by its own. So both kinds stand on both.

pub mod push;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::archive::metadata::Metadata;
use crate::registry::Descriptor;

/// Of an index, which the tag names.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const OS: &str = "linux";
const CRIO_NAME: &str = "io.kubernetes.cri-o.annotations.checkpoint.name";

/// Everything of an image that is not its layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The config, a blob.
    pub config: Vec<u8>,
    /// JSON of the image manifest.
    pub manifest: Vec<u8>,
    /// JSON of the index, which names the manifest.
    pub index: Vec<u8>,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    architecture: &'a str,
    os: &'a str,
    rootfs: Rootfs,
}

#[derive(Serialize)]
struct Rootfs {
    r#type: &'static str,
    diff_ids: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Part<'a>,
    layers: [Part<'a>; 1],
    annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: [Part<'a>; 1],
    annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform<'a>>,
}

#[derive(Serialize)]
struct Platform<'a> {
    architecture: &'a str,
    os: &'a str,
}

/// The image of an archive. `architecture` is this machine's in Rust's words: what was dumped here runs only on such.
///
/// # Errors
/// The serialiser's, which has nothing here that it could refuse.
pub fn image(metadata: &Metadata, layer: Descriptor, architecture: &str) -> Result<Image, serde_json::Error> {
    let architecture = platform(architecture);
    let annotations = annotations(metadata);
    let config = serde_json::to_vec(&Config {
        created: metadata.checkpointed.map(|at| at.to_string()),
        architecture,
        os: OS,
        rootfs: Rootfs { r#type: "layers", diff_ids: [layer.digest.to_string()] },
    })?;
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config: part(CONFIG, Descriptor::of(&config)),
        layers: [part(LAYER, layer)],
        annotations: &annotations,
    })?;
    let platform = Some(Platform { architecture, os: OS });
    let index = serde_json::to_vec(&Index {
        schema_version: 2,
        media_type: INDEX,
        manifests: [Part { platform, ..part(MANIFEST, Descriptor::of(&manifest)) }],
        annotations: &annotations,
    })?;
    Ok(Image { config, manifest, index })
}

fn part(media_type: &str, of: Descriptor) -> Part<'_> {
    Part { media_type, digest: of.digest.to_string(), size: of.size, platform: None }
}

/// In Go's words, which are the image spec's.
fn platform(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Keys of checkpointctl; one without a value is left out.
fn annotations(of: &Metadata) -> BTreeMap<&'static str, String> {
    let all = [
        (CRIO_NAME, of.container.as_str()),
        ("org.criu.checkpoint.container.name", &of.container),
        ("org.criu.checkpoint.engine.name", of.engine.name()),
        ("org.criu.checkpoint.pod.name", &of.pod),
        ("org.criu.checkpoint.pod.namespace", &of.namespace),
        ("org.criu.checkpoint.pod.uid", of.pod_uid.as_deref().unwrap_or_default()),
        ("org.criu.checkpoint.rootfsImageID", &of.image_ref),
        ("org.criu.checkpoint.rootfsImageName", &of.image_name),
        ("org.criu.checkpoint.rootfsImageUserRequested", &of.image),
        ("org.criu.checkpoint.runtime.name", &of.runtime),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::archive::metadata::Engine;
    use crate::registry::Digest;

    fn metadata() -> Metadata {
        Metadata {
            engine: Engine::Containerd,
            namespace: "default".to_owned(),
            pod: "counter".to_owned(),
            pod_uid: None,
            container: "count".to_owned(),
            runtime: "runc".to_owned(),
            image_name: "r.example/counter:1".to_owned(),
            image_ref: "r.example/counter@sha256:00".to_owned(),
            image: "counter:1".to_owned(),
            created: None,
            checkpointed: Some("2026-11-21T07:00:00Z".parse().unwrap()),
        }
    }

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_layer_is_the_archive_and_every_part_names_the_next() {
        let layer = Descriptor::of(b"the archive");
        let image = image(&metadata(), layer, "x86_64").unwrap();
        let (config, manifest, index) = (parsed(&image.config), parsed(&image.manifest), parsed(&image.index));
        assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [layer.digest.to_string()]}));
        assert_eq!((&config["architecture"], &config["os"]), (&json!("amd64"), &json!("linux")));
        assert_eq!(config["created"], "2026-11-21T07:00:00Z");
        let expected = json!([{"mediaType": LAYER, "digest": layer.digest.to_string(), "size": 11}]);
        assert_eq!(manifest["layers"], expected);
        assert_eq!(manifest["config"]["digest"], Digest::of(&image.config).to_string());
        assert_eq!(manifest["config"]["size"], image.config.len());
        let of = &index["manifests"][0];
        assert_eq!(of["digest"], Digest::of(&image.manifest).to_string());
        assert_eq!(of["size"], image.manifest.len());
        assert_eq!(of["platform"], json!({"architecture": "amd64", "os": "linux"}));
        assert_eq!((&manifest["mediaType"], &index["mediaType"]), (&json!(MANIFEST), &json!(INDEX)));
    }

    #[test]
    fn manifest_and_index_have_what_either_runtime_looks_for() {
        let image = image(&metadata(), Descriptor::of(b""), "aarch64").unwrap();
        for part in [&image.manifest, &image.index] {
            let annotations = &parsed(part)["annotations"];
            assert_eq!(annotations[CRIO_NAME], "count");
            assert_eq!(annotations["org.criu.checkpoint.container.name"], "count");
            assert_eq!(annotations["org.criu.checkpoint.engine.name"], "containerd");
            assert_eq!(annotations["org.criu.checkpoint.pod.namespace"], "default");
            assert_eq!(annotations["org.criu.checkpoint.rootfsImageID"], "r.example/counter@sha256:00");
            assert_eq!(annotations.get("org.criu.checkpoint.pod.uid"), None);
        }
    }

    #[test]
    fn the_same_archive_makes_the_same_image() {
        let of = |m: &Metadata| image(m, Descriptor::of(b"x"), "x86_64").unwrap();
        assert_eq!(of(&metadata()), of(&metadata()));
        assert_ne!(of(&metadata()).index, of(&Metadata { pod: "other".to_owned(), ..metadata() }).index);
    }
}
