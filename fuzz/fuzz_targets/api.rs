//! What an API server answers: a page of pods, the lines of a watch, an object, a token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::cluster::fuzzed;
use pod_checkpointer::cluster::scheduling::runs_on;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (page, lines) = bytes.split_at(split);
    if let Some(length) = fuzzed::page_and_watch(page, lines) {
        // JSON ends with its last bracket: whatever is cut off before that must not read as fewer pods.
        let whole = page.trim_ascii_end();
        for cut in [1, whole.len() / 2] {
            let short = &whole[..whole.len().saturating_sub(cut)];
            assert_eq!(fuzzed::page_and_watch(short, b""), None, "{length} pods, cut by {cut}");
        }
    }
    fuzzed::objects(page);
    if let (Ok(daemonset), Ok(node)) = (serde_json::from_slice(page), serde_json::from_slice(lines)) {
        runs_on(&daemonset, &node);
    }
});
