//! What callers of `serve` and the kubelet write: bodies, names, identifiers, records of jobs, answers and paths.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::node::kubelet_api::{Fault, errors};
use pod_checkpointer::serve::jobs::archives::{Archives, ArchiveOwner};
use pod_checkpointer::serve::jobs::job::{Identifier, Job};
use pod_checkpointer::serve::jobs::pod_target::PodTarget;
use pod_checkpointer::serve::jobs::request::{ApiFlavor, PodPath, parse};

fuzz_target!(|bytes: &[u8]| {
    for form in [ApiFlavor::Image, ApiFlavor::Archive] {
        let place = PodPath::new("default", "counter", Some("main")).expect("three names");
        if let Ok(request) = parse(form, place, bytes) {
            assert!(request.limit().as_secs() > 0 && request.limit().as_secs() <= 3600);
            let names = request.seal_to.iter().chain(&request.container);
            assert!(names.clone().all(|name| !name.is_empty() && !name.contains(['/', '_', '%'])), "{request:?}");
        }
    }
    if let Ok(job) = serde_json::from_slice::<Job>(bytes) {
        let again: Job = serde_json::from_slice(&serde_json::to_vec(&job).expect("JSON")).expect("what was written");
        assert_eq!(again, job);
    }
    if let Ok(pod) = serde_json::from_slice(bytes)
        && let Ok(pod_target) = PodTarget::of(&pod)
    {
        drop((pod_target.select(None), pod_target.select(Some("main"))));
    }
    drop(errors::path(bytes));
    for status in [401, 404, 500] {
        let said = Fault::of(status, bytes).to_string();
        assert!(!said.contains(['\n', '\u{1b}']), "{said:?}");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(read) = Identifier::parse(text) {
        assert_eq!(read.to_string(), text);
    }
    assert!(errors::criu_line(text).is_none_or(|line| line.len() <= 4 * 300));
    let own = str::to_owned;
    let owner = ArchiveOwner { namespace: own("default"), pod: own("counter"), uid: own("u"), container: own("main") };
    if let Ok(file) = Archives::named(text, &owner) {
        assert!(!file.contains('/') && file.starts_with("checkpoint-counter_default-main-"), "{file:?}");
    }
});
