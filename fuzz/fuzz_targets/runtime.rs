//! The runtime's lists of sandboxes and containers, as they come over the wire.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::node::fuzzed;

fuzz_target!(|bytes: &[u8]| {
    let (sandboxes, containers) =
        bytes.split_at(bytes.iter().position(|byte| *byte == 0xff).unwrap_or(bytes.len() / 2));
    fuzzed::lists(sandboxes, containers);
});
