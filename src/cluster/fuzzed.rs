//! The parsers of this folder, opened for `fuzz/`; compiled with `cfg(fuzzing)` alone.

use serde_json::Value;

use super::{objects, pods, tokens};
use crate::pod::asset_refs::ObjectKind;

/// How many parents a page has; `None`: it is no page. The lines are then heard as those of a watch that began there.
pub fn page_and_watch(page: &[u8], lines: &[u8]) -> Option<usize> {
    pods::fuzzed(page, lines)
}

/// An object, a token's answer, a token.
pub fn objects(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        for kind in [ObjectKind::Secret, ObjectKind::ConfigMap] {
            drop(objects::content(kind, &value));
        }
        drop(tokens::granted(&value));
    }
    if let Some(claims) = tokens::claims(&String::from_utf8_lossy(bytes)) {
        tokens::due(claims.iat, claims.exp, 0);
    }
}
