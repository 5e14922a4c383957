//! From a parent to its checkpoint: a static pod that today's kubelet accepts and that needs no API server, with the
//! directories that stand in for API objects. Pure: everything it may know is in its arguments. Writing is `store`'s.

mod container;
pub(crate) mod downward;
mod environment;
mod findings;
mod kubelet_rule;
mod mounts;
mod old_kubelet;
mod ports;
mod spec;
pub mod volume;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::annotation::{self, inlines_secret_env, kept_annotation, lost_effect};
use super::asset_refs::Assets;
use super::checkpoint::{AssetVolume, Checkpoint};
use super::parent::Parent;
use findings::{Findings, Pod};
use volume::{FilledAll, fill_all, place};

pub use findings::{NodeFacts, NotRestorable};
pub use kubelet_rule::has_api_object_reference;
pub use old_kubelet::{fit_for_kubelet, hinges_on_the_kubelet};

/// Makes the checkpoint of `parent`. The same arguments give the same bytes.
pub fn sanitize(parent: &Parent, facts: &NodeFacts, assets: &Assets) -> Result<Checkpoint, NotRestorable> {
    let mut findings = Findings::default();
    let known = spec::known(&parent.object["spec"], &mut findings);
    let placed = place(parent, &known["volumes"], &mut findings.reasons);
    let FilledAll { volumes, lacks } = fill_all(parent, assets, &placed);
    lacks.into_iter().for_each(|(_, lack)| findings.lacks(lack));
    let pod = Pod {
        parent,
        facts,
        assets,
        placed: &placed,
        host_network: known["hostNetwork"] == true,
        inlines_secret_env: inlines_secret_env(&parent.object),
    };
    let spec = spec::freeze(&pod, &known, &mut findings);
    mounts::check(&pod, &spec, &volumes, &mut findings);
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": parent.key.name(),
            "namespace": parent.key.namespace(),
            "annotations": annotations(&pod, &volumes, &mut findings),
        },
        "spec": spec,
    });
    if findings.reasons.is_empty()
        && let Some(what) = has_api_object_reference(&manifest)
    {
        findings.refuse(format!("the kubelet would refuse the checkpoint for {what}; do without it in this pod"));
    }
    if findings.reasons.is_empty() {
        Ok(Checkpoint { manifest, volumes })
    } else {
        Err(NotRestorable { reasons: findings.reasons })
    }
}

fn annotations(pod: &Pod<'_>, volumes: &[AssetVolume], findings: &mut Findings) -> Value {
    let parent = pod.parent;
    let theirs = parent.object["metadata"]["annotations"].as_object().into_iter().flatten();
    let mut all: Map<String, Value> = theirs
        .filter(|(key, _)| *key == annotation::MAX_OFFLINE || kept_annotation(key, &pod.facts.keep_annotations))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let theirs = parent.object["metadata"]["annotations"].as_object().into_iter().flatten();
    // In the host's network there is nothing that a network plugin would do.
    for (key, _) in theirs.filter(|_| !pod.host_network) {
        if let Some(what) = lost_effect(key, &pod.facts.keep_annotations) {
            findings.degraded.push(format!(
                "annotation {key} is left out ({what}), since who reads it asks the API server; if yours does not, run the \
                 agent with --keep-annotation {key}"
            ));
        }
    }
    if let Err(sentence) = parent.max_offline() {
        findings.refuse(sentence);
    }
    let (namespace, name) = (parent.key.namespace(), parent.key.name());
    let directories: BTreeSet<_> =
        volumes.iter().map(|v| format!("{}/{namespace}/{name}/{}", v.tree.dir(), v.name)).collect();
    let mut ours = vec![
        (annotation::CHECKPOINT_OF, name.to_owned()),
        (annotation::FORMAT, annotation::FORMAT_VERSION.to_owned()),
        (annotation::PARENT_UID, parent.uid.to_string()),
        (annotation::LINEAGE, parent.lineage.to_string()),
        (annotation::DIGEST, parent.digest.clone()),
        (annotation::ASSETS, json!(directories).to_string()),
    ];
    if !findings.degraded.is_empty() {
        ours.push((annotation::DEGRADED, json!(findings.degraded).to_string()));
    }
    all.extend(ours.into_iter().map(|(key, value)| (key.to_owned(), json!(value))));
    Value::Object(all)
}
