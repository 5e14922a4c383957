//! A line of a watch, read: what happened to an object, a sign of life, or that the watch is of no use any more. Pure.
//!
//! Format: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use serde::Deserialize;
use serde_json::Value;

/// What happened to an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WatchEvent {
    /// It came or changed.
    Applied(Value),
    /// It went; this is its last state.
    Deleted(Value),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// One line of a watch that goes on from a list of version `listed`; `None` is a sign of life. An error says why everything is
/// to be listed anew.
pub(crate) fn read_line(line: &[u8], listed: &str) -> Result<Option<WatchEvent>, String> {
    let Line { kind, object } = serde_json::from_slice(line).map_err(|e| format!("garbage in a watch: {e}"))?;
    match kind.as_str() {
        "BOOKMARK" => Ok(None),
        "ADDED" | "MODIFIED" | "DELETED" if not_after(&object, listed) => Ok(None),
        "ADDED" | "MODIFIED" => Ok(Some(WatchEvent::Applied(object))),
        "DELETED" => Ok(Some(WatchEvent::Deleted(object))),
        "ERROR" => {
            let message = object.get("message").and_then(Value::as_str).unwrap_or("no reason given");
            Err(format!("the server ended the watch: {message}"))
        }
        other => Err(format!("unknown watch event {other:?}")),
    }
}

/// A list may have overtaken a watch. Versions of one resource compare as numbers (KEP-5504); where they are none the
/// event is taken.
fn not_after(object: &Value, listed: &str) -> bool {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    match (version.and_then(|v| v.parse::<u64>().ok()), listed.parse::<u64>()) {
        (Some(event), Ok(listed)) => event <= listed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: &str, version: &str, listed: &str) -> Result<Option<WatchEvent>, String> {
        let line = json!({"type": kind, "object": {"metadata": {"resourceVersion": version}}}).to_string();
        read_line(line.as_bytes(), listed)
    }

    #[test]
    fn only_what_happened_after_the_list_is_an_event() {
        let object = json!({"metadata": {"resourceVersion": "11"}});
        assert_eq!(read("ADDED", "11", "10"), Ok(Some(WatchEvent::Applied(object.clone()))));
        assert_eq!(read("MODIFIED", "11", "10"), Ok(Some(WatchEvent::Applied(object.clone()))));
        assert_eq!(read("DELETED", "11", "10"), Ok(Some(WatchEvent::Deleted(object))));
        for kind in ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"] {
            assert_eq!(read(kind, "9", "10"), Ok(None), "{kind}");
        }
        assert_eq!(read("BOOKMARK", "11", "10"), Ok(None));
    }

    #[test]
    fn versions_that_are_no_numbers_do_not_hide_an_event() {
        assert!(matches!(read("ADDED", "opaque", "10"), Ok(Some(_))));
        assert!(matches!(read("DELETED", "8", "opaque"), Ok(Some(_))));
    }

    #[test]
    fn what_is_no_event_ends_the_watch() {
        let error = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}"#;
        assert_eq!(read_line(error, "1"), Err("the server ended the watch: too old resource version".to_owned()));
        for line in ["", "{}", "null", r#"{"type":"ADDED"}"#, r#"{"type":"RENAMED","object":{}}"#, "{\"type\":\"AD"] {
            assert!(read_line(line.as_bytes(), "1").is_err(), "{line}");
        }
    }
}
