//! Who asks: headers as anybody may write them (a line each, `name: value`), and the same bytes as a certificate.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use pod_checkpointer::serve::api::identity::fuzzed;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(200) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    for caller in [fuzzed::forwarded(&headers), fuzzed::remote(&headers)].into_iter().flatten() {
        assert!(!caller.user.is_empty());
    }
    fuzzed::certificates(bytes);
});
