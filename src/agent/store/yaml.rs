//! Manifests as text. Readable YAML whose every string is quoted: the kubelet's parser knows YAML 1.1, in which a bare
//! `yes`, `on`, `1_000` or `0b1` is no string, so what serializers for YAML 1.2 leave bare would reach a pod changed.

use std::fmt::Write;

use serde_json::Value;

/// Last line of every manifest of ours: a file without it was cut short, however well it parses.
pub const END: &str = "# end of checkpoint";

/// The manifest as it is written to disk, [`END`] included.
pub fn to_text(manifest: &Value) -> String {
    let mut text = String::new();
    block(&mut text, manifest, 0);
    text.push_str(END);
    text.push('\n');
    text
}

/// Whether the last line is [`END`].
pub fn is_whole(text: &[u8]) -> bool {
    text.trim_ascii_end().ends_with(END.as_bytes())
}

/// A value that begins on a line of its own, every line indented by `depth` levels and ended.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                indent(out, depth);
                entry(out, key, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(out, depth);
                out.push_str("- ");
                match item {
                    // The first entry stands beside the dash, the others under it.
                    Value::Object(map) if !map.is_empty() => {
                        for (at, (key, value)) in map.iter().enumerate() {
                            if at > 0 {
                                indent(out, depth + 1);
                            }
                            entry(out, key, value, depth + 1);
                        }
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(out, item, depth + 1);
                    }
                    scalar => line(out, scalar),
                }
            }
        }
        scalar => {
            indent(out, depth);
            line(out, scalar);
        }
    }
}

fn entry(out: &mut String, key: &str, value: &Value, depth: usize) {
    if is_plain(key) {
        out.push_str(key);
    } else {
        quote(out, key);
    }
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, depth);
        }
        scalar => {
            out.push(' ');
            line(out, scalar);
        }
    }
}

fn line(out: &mut String, scalar: &Value) {
    match scalar {
        Value::String(text) => quote(out, text),
        // JSON is YAML here: null, booleans, numbers, and the empty `{}` and `[]`.
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Field names and annotation keys, but nothing that YAML 1.1 takes for a boolean, a null or a number.
fn is_plain(key: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
    let meaning = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(word)
        && !meaning.contains(&key.to_ascii_lowercase().as_str())
}

/// A double-quoted scalar in ASCII: YAML 1.1 would fold some Unicode line ends.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\t' => out.write_str("\\t"),
            ' '..='~' => out.write_char(c),
            c if u32::from(c) <= 0xffff => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "\\U{:08x}", u32::from(c)),
        };
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{is_whole, to_text};

    #[test]
    fn what_yaml_1_1_takes_for_something_else_is_quoted() {
        let text =
            to_text(&json!({"env": [{"name": "A", "value": "yes"}, {"name": "on", "value": "1_000"}], "y": "0b1"}));
        assert_eq!(
            text,
            "env:\n- name: \"A\"\n  value: \"yes\"\n- name: \"on\"\n  value: \"1_000\"\n\"y\": \"0b1\"\n# end of checkpoint\n"
        );
    }

    #[test]
    fn a_manifest_cut_anywhere_is_not_whole() {
        let text = to_text(&json!({"kind": "Pod", "spec": {"containers": [{"name": "a"}]}}));
        let whole = text.trim_end().len();
        assert!(is_whole(text.as_bytes()));
        for cut in 0..whole {
            assert!(!is_whole(&text.as_bytes()[..cut]), "cut at {cut}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "(yes|no|~|null|0x1f|1e3|- a|a: b|#x|'|\")".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("(\\PC{0,8}|yes|metadata|a/b.c-d)", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(value in any_json()) {
            let text = to_text(&value);
            let back: Value = serde_yaml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
