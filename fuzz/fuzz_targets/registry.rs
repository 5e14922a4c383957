//! What registries and operators write: an address, a challenge, a place to go to, a docker configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::registry::challenge;
use pod_checkpointer::registry::location::Target;
use pod_checkpointer::registry::{Credentials, Digest, ImageReference};

fuzz_target!(|bytes: &[u8]| {
    drop(Credentials::from_docker_config(bytes).map(|read| read.login("r.example", "a/b/c").is_some()));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(read) = ImageReference::parse(text) {
        let written = read.to_string();
        assert_eq!(ImageReference::parse(&written).as_ref(), Ok(&read), "{written:?} of {text:?}");
    }
    if let Some(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
    }
    let here = Target::parse("https://r.example:5000/v2/a/blobs/uploads/?x=1").expect("a URL");
    if let Ok(target) = here.resolve(text) {
        assert!(target.path.starts_with('/'), "{text:?}");
        // What begins with one slash stays where it is.
        if text.trim().starts_with('/') && !text.trim().starts_with("//") {
            assert_eq!(target.origin, here.origin, "{text:?}");
        }
    }
    drop(challenge::parse(text.lines()));
});
