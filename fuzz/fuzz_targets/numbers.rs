//! Durations and quantities, as they stand in annotations, resources and flags.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::duration;
use pod_checkpointer::pod::asset_refs::Assets;
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::sanitize::{NodeFacts, sanitize};
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let mut next = || parts.next().unwrap_or("1");
    let (limit, divisor, offline) = (next(), next(), next());
    if let Ok(read) = duration::parse(offline) {
        let shown = duration::display(read);
        assert!(duration::parse(&shown).is_ok(), "{shown:?} of {offline:?}");
    }
    // A number where it is one: quantities may be either.
    let quantity = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
    for resource in ["limits.cpu", "limits.memory", "requests.memory", "limits.hugepages-2Mi"] {
        let (list, kind) = resource.split_once('.').expect("as written above");
        let pod = json!({
            "metadata": {
                "namespace": "ns", "name": "p", "uid": "u",
                "annotations": {
                    "checkpointer.alpha.coreos.com/checkpoint": "true",
                    "checkpointer.alpha.coreos.com/max-offline": offline,
                },
            },
            "spec": {"nodeName": "n1", "containers": [{
                "name": "c", "image": "i",
                "resources": {list: {kind: quantity(limit)}},
                "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": quantity(divisor)}}}],
            }]},
        });
        let Ok(Some(parent)) = Parent::from_api(&pod, "n1") else { panic!("a parent") };
        drop(parent.max_offline());
        drop(sanitize(&parent, &NodeFacts::default(), &Assets::default()));
    }
});
