//! Reading pod lists and watch lines: raw JSON in, parents out, everything else dropped while it is read, so that a
//! node full of pods costs the memory of its few parents.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::pod::key::PodKey;
use crate::pod::parent::Parent;

/// What a pod object turned out to be.
#[derive(Debug)]
pub(super) enum Seen {
    /// One that we keep.
    Parent(Box<Parent>),
    /// One that is none of ours; its name, where it has a proper one.
    Other(Option<PodKey>),
    /// One that cannot be read: its name, where that can, and why.
    Unreadable(Option<PodKey>, String),
}

/// How pods are looked at.
#[derive(Debug)]
pub(super) struct PodFilter {
    /// Name of this node, which the pods of interest are bound to.
    pub(super) node: String,
    /// Annotation prefixes that enter checkpoints.
    pub(super) keep_annotations: Vec<String>,
}

impl PodFilter {
    /// Never fails: one malformed object must not end a list or a watch.
    pub(super) fn examine(&self, object: &Value) -> Seen {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let key = || PodKey::new(text("/metadata/namespace")?, text("/metadata/name")?).ok();
        match Parent::from_api_keeping(object, &self.node, &self.keep_annotations) {
            Ok(Some(parent)) => Seen::Parent(Box::new(parent)),
            Ok(None) => Seen::Other(key()),
            Err(why) => {
                let name = text("/metadata/name").unwrap_or("(unnamed)");
                Seen::Unreadable(key(), format!("pod {name:?}: {why}"))
            }
        }
    }
}

/// One page of a list.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) parents: Vec<Parent>,
    pub(super) unreadable: Vec<(Option<PodKey>, String)>,
    /// `metadata.resourceVersion` of the list, from which a watch continues.
    pub(super) version: String,
    /// Token for the next page.
    pub(super) more: Option<String>,
}

/// A `PodList` as JSON; anything else is an error, so that no other document reads as "no pods".
pub(super) fn read(bytes: &[u8], filter: &PodFilter) -> Result<Page, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let (page, kind) = ListSeed { filter }.deserialize(&mut json).map_err(|e| format!("not a pod list: {e}"))?;
    json.end().map_err(|e| format!("not a pod list: {e}"))?;
    match (kind.as_str(), page.version.as_str()) {
        ("PodList", "") => Err("a pod list without resourceVersion".to_owned()),
        ("PodList", _) => Ok(page),
        _ => Err(format!("kind {:?} instead of PodList", kind.chars().take(40).collect::<String>())),
    }
}

struct ListSeed<'n> {
    filter: &'n PodFilter,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_> {
    type Value = (Page, String);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_> {
    type Value = (Page, String);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut page, mut kind, mut items) = (Page::default(), String::new(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "kind" => kind = map.next_value()?,
                "metadata" => {
                    let metadata: Value = map.next_value()?;
                    let text = |name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
                    page.version = text("resourceVersion").unwrap_or_default();
                    page.more = text("continue").filter(|token| !token.is_empty());
                }
                "items" => {
                    items = true;
                    map.next_value_seed(Items { page: &mut page, filter: self.filter })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if items { Ok((page, kind)) } else { Err(serde::de::Error::missing_field("items")) }
    }
}

struct Items<'p> {
    page: &'p mut Page,
    filter: &'p PodFilter,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of pods")
    }

    // Go writes an empty slice that was never made as null.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(object) = items.next_element::<Value>()? {
            match self.filter.examine(&object) {
                Seen::Parent(parent) => self.page.parents.push(*parent),
                Seen::Other(_) => {}
                Seen::Unreadable(key, why) => self.page.unreadable.push((key, why)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Page, String> {
        read(text.as_bytes(), &PodFilter { node: "n1".to_owned(), keep_annotations: Vec::new() })
    }

    #[test]
    fn an_empty_list_is_a_list() {
        for items in ["[]", "null"] {
            let text = format!(r#"{{"kind":"PodList","items":{items},"metadata":{{"resourceVersion":"7"}}}}"#);
            let page = read_text(&text).unwrap();
            assert_eq!((page.version.as_str(), page.parents.len()), ("7", 0));
        }
    }

    #[test]
    fn what_is_not_a_whole_pod_list_is_never_an_empty_one() {
        for text in [
            "",
            "{}",
            "<html>",
            r#"{"kind":"PodList","metadata":{"resourceVersion":"7"}}"#,
            r#"{"kind":"PodList","items":[]}"#,
            r#"{"kind":"SecretList","items":[],"metadata":{"resourceVersion":"7"}}"#,
            r#"{"kind":"PodList","items":{},"metadata":{"resourceVersion":"7"}}"#,
            r#"{"kind":"PodList","items":[],"metadata":{"resourceVersion":"7"}} trailing"#,
            r#"{"kind":"PodList","items":[],"metadata":{"resourceVersion":"7"}"#,
        ] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }
}
