//! A checkpoint archive as a runtime, or somebody else, left it on the node; its name; the description of a sealed one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::archive::fuzzed;
use pod_checkpointer::archive::name::ArchiveName;
use pod_checkpointer::archive::sidecar::Sidecar;

fuzz_target!(|bytes: &[u8]| {
    if let (Some(contents), _) = fuzzed::read(bytes) {
        let leads_away = |name: &str| name.starts_with('/') || name.split('/').any(|part| part == "..");
        assert!(!contents.entries.iter().any(|entry| leads_away(&entry.name)));
        assert!(contents.entries.iter().map(|entry| entry.size).sum::<u64>() <= contents.size);
        let metadata = &contents.metadata;
        for name in [&metadata.namespace, &metadata.pod, &metadata.container] {
            assert!(!name.is_empty() && !leads_away(name) && !name.contains('/'), "{name:?}");
        }
        // Nothing that is cut short is whole.
        if fuzzed::read(bytes).1 {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            assert!(!fuzzed::read(&bytes[..end.next_multiple_of(512).min(bytes.len() - 1)]).1);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    if let Some(name) = ArchiveName::parse(&text)
        && let Some((namespace, container)) = name.namespace_and_container()
    {
        assert!(name.may_be_of(namespace, &name.pod, container));
    }
    if let Ok(sidecar) = Sidecar::parse(bytes) {
        let again = sidecar.to_json().expect("it was JSON");
        assert_eq!(Sidecar::parse(again.as_bytes()).expect("it is ours"), sidecar);
    }
});
