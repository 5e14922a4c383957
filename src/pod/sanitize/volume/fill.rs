//! What a directory of ours holds, from what was fetched.

use serde_json::Value;

use super::AssetVolumePlan;
use super::payload::{DEFAULT_MODE, Ownership, Payload, mode};
use crate::dns_name::check_name;
use crate::pod::asset_refs::missing;
use crate::pod::asset_refs::missing::{AssetReader, Lack};
use crate::pod::asset_refs::references::token;
use crate::pod::asset_refs::{Assets, ObjectKind, ObjectRef};
use crate::pod::checkpoint::AssetVolume;
use crate::pod::parent::Parent;
use crate::pod::sanitize::downward::{written_field, written_resource};

/// The outcome for one directory.
#[derive(Debug)]
pub(crate) struct Filled {
    /// With what there is; `None` where its files cannot stand side by side.
    pub volume: Option<AssetVolume>,
    /// Why it cannot be filled, all reasons at once.
    pub lacks: Vec<Lack>,
}

/// Fills one directory.
pub(crate) fn fill(parent: &Parent, assets: &Assets, placed: &AssetVolumePlan<'_>) -> Filled {
    let what = format!("volume {}", placed.name);
    let mut filling = Filling {
        parent,
        assets,
        what: &what,
        ownership: Ownership::of(&parent.object["spec"]),
        default_mode: DEFAULT_MODE,
        payload: Payload::default(),
        lacks: Vec::new(),
    };
    filling.volume(placed.volume);
    let Filling { payload, mut lacks, ownership, .. } = filling;
    let volume = match payload.finish(ownership.fs_group) {
        Ok(content) => Some(AssetVolume { tree: placed.tree, name: placed.directory.clone(), content }),
        Err(sentence) => {
            lacks.push(Lack::of(format!("{what}: {sentence}")));
            None
        }
    };
    Filled { volume, lacks }
}

struct Filling<'a> {
    parent: &'a Parent,
    assets: &'a Assets,
    what: &'a str,
    ownership: Ownership,
    default_mode: u32,
    payload: Payload,
    lacks: Vec<Lack>,
}

impl Filling<'_> {
    fn volume(&mut self, volume: &Value) {
        let of_kind = |kind: &str| volume.get(kind).filter(|source| source.is_object());
        if let Some(secret) = of_kind("secret") {
            self.set_default_mode(secret);
            self.object(ObjectKind::Secret, &secret["secretName"], secret);
        } else if let Some(config_map) = of_kind("configMap") {
            self.set_default_mode(config_map);
            self.object(ObjectKind::ConfigMap, &config_map["name"], config_map);
        } else if let Some(downward) = of_kind("downwardAPI") {
            self.set_default_mode(downward);
            self.downward(&downward["items"]);
        } else if let Some(projected) = of_kind("projected") {
            self.set_default_mode(projected);
            projected["sources"].as_array().into_iter().flatten().for_each(|source| self.source(source));
        }
    }

    fn source(&mut self, source: &Value) {
        if let Some(secret) = source.get("secret") {
            self.object(ObjectKind::Secret, &secret["name"], secret);
        } else if let Some(config_map) = source.get("configMap") {
            self.object(ObjectKind::ConfigMap, &config_map["name"], config_map);
        } else if let Some(downward) = source.get("downwardAPI") {
            self.downward(&downward["items"]);
        } else if let Some(wanted) = token(&self.parent.object, source) {
            let path = source["serviceAccountToken"]["path"].as_str().unwrap_or_default();
            let what = format!("{} at {path}", self.what);
            match missing::token(self.assets, &wanted, self.reader(&what)) {
                Ok(token) => {
                    let added = self.payload.add_token(path, token, self.default_mode, self.ownership);
                    self.note(added);
                }
                Err(lack) => self.lacks.push(lack),
            }
        } else {
            self.note(Err("a source of it has no kind".to_owned()));
        }
    }

    fn object(&mut self, kind: ObjectKind, name: &Value, source: &Value) {
        let name = name.as_str().unwrap_or_default();
        if let Err(bad) = check_name("object", name) {
            return self.note(Err(bad.to_string()));
        }
        let object = ObjectRef { kind, name: name.to_owned() };
        let optional = source["optional"] == true;
        match missing::object(self.assets, &object, optional, self.reader(self.what)) {
            Ok(Some(data)) => {
                let added = self.payload.add_keys(data, &source["items"], self.default_mode, optional);
                self.note(added.map_err(|sentence| format!("{object} {sentence}")));
            }
            Ok(None) => {}
            Err(lack) => self.lacks.push(lack),
        }
    }

    fn downward(&mut self, items: &Value) {
        for item in items.as_array().into_iter().flatten() {
            let value = match item["fieldRef"]["fieldPath"].as_str() {
                Some(path) => written_field(self.parent, path),
                None => written_resource(self.parent, None, &item["resourceFieldRef"]),
            };
            let added = value.and_then(|value| {
                let path = item["path"].as_str().unwrap_or_default();
                self.payload.add(path, value.into_bytes(), mode(&item["mode"], self.default_mode)?)
            });
            self.note(added);
        }
    }

    fn set_default_mode(&mut self, source: &Value) {
        match mode(&source["defaultMode"], DEFAULT_MODE) {
            Ok(mode) => self.default_mode = mode,
            Err(sentence) => self.note(Err(sentence)),
        }
    }

    fn reader<'b>(&'b self, what: &'b str) -> AssetReader<'b> {
        AssetReader { namespace: self.parent.key.namespace(), what }
    }

    fn note(&mut self, outcome: Result<(), String>) {
        if let Err(sentence) = outcome {
            self.lacks.push(Lack::of(format!("{}: {sentence}", self.what)));
        }
    }
}
