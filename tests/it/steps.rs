//! Carrying out steps: which failures stop which others.

use std::collections::BTreeMap;
use std::sync::Arc;

use pod_checkpointer::agent::reconcile::apply::Executor;
use pod_checkpointer::agent::store::{Layout, Store};
use pod_checkpointer::node::cri::Cri;
use pod_checkpointer::pod::key::SandboxId;
use pod_checkpointer::pod::plan::Step;

use crate::support::checkpoints::{checkpoint, key};
use crate::support::cri::FakeRuntime;
use crate::support::machine::Shared;

#[tokio::test]
async fn no_twin_starts_beside_a_sandbox_that_stays() {
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().join("etc");
    let store = Arc::new(Store::open(&Layout { etc: etc.clone(), manifests: etc.join("manifests") }).unwrap());
    for name in ["shop/web", "shop/db"] {
        store.save(&key(name), &checkpoint(&key(name), "uid"), 1).unwrap();
    }
    let runtime = FakeRuntime::start(dir.path(), Shared::default()).unwrap();
    let cri = Cri::connect(&runtime.endpoint()).await.unwrap();
    let mut executor = Executor { store, cri };
    let steps = || {
        vec![
            Step::RemoveSandboxes { pod: key("shop/web"), sandboxes: vec![SandboxId::from("s1")] },
            Step::Activate(vec![key("shop/db"), key("shop/web")]),
        ]
    };
    let is_active = |stem: &str| etc.join(format!("manifests/{stem}.yaml")).exists();

    runtime.mood(|mood| mood.fails = Some("the CNI plugin hangs".to_owned()));
    let outcome = executor.carry_out(steps(), &BTreeMap::new()).await;
    let failed: Vec<&str> = outcome.failed.iter().map(|failure| failure.step).collect();
    assert_eq!(failed, ["remove-sandbox", "activate"], "{:?}", outcome.failed);
    assert!(is_active("shop_db") && !is_active("shop_web"), "the others do not wait");

    runtime.mood(|mood| mood.fails = None);
    let outcome = executor.carry_out(steps(), &BTreeMap::new()).await;
    assert!(outcome.failed.is_empty() && is_active("shop_web"), "{:?}", outcome.failed);
}
