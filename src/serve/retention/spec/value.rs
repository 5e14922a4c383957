//! Reads single values out of an object, and remembers what was wrong with which.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Refusal;
use crate::archive::name::{is_label, is_subdomain};
use crate::duration;
use crate::quantity::Quantity;
use crate::serve::retention::resource::Field;

/// A bare number below this in a size means MiB: as bytes, the original's own sample (`maxCheckpointSize: 10`) would
/// delete every archive there is.
const BARE: u64 = 1 << 20;

/// A limit as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given<T> {
    /// Not at all.
    Absent,
    /// As 0 or less.
    Off,
    /// A value that can be.
    Is(T),
}

impl<T> Given<T> {
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Off => None,
        }
    }
}

/// An object and where it stands.
pub(super) struct Object<'a> {
    path: String,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Object<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    fn at(&self, name: &str) -> String {
        if name.is_empty() { self.path.clone() } else { format!("{}.{name}", self.path) }
    }
}

/// Reads values one by one, and collects what is to be refused and noted.
#[derive(Default)]
pub(super) struct SpecReader {
    refusals: Vec<Refusal>,
    notes: Vec<String>,
}

impl SpecReader {
    pub(super) fn end(self) -> (Vec<Refusal>, Vec<String>) {
        (self.refusals, self.notes)
    }

    pub(super) fn refuse(&mut self, of: &Object<'_>, name: &str, why: impl Into<String>) {
        self.refusals.push(Refusal { path: of.at(name), why: why.into() });
    }

    pub(super) fn note(&mut self, of: &Object<'_>, name: &str, what: &str) {
        self.notes.push(format!("{}: {what}", of.at(name)));
    }

    /// An object of these fields; others are noted.
    pub(super) fn object<'a>(&mut self, value: &'a Value, path: &str, fields: &[Field]) -> Object<'a> {
        let object = Object { path: path.to_owned(), fields: value.as_object() };
        if object.fields.is_none() && !value.is_null() {
            self.refuse(&object, "", "it must be an object");
        }
        for name in object.fields.into_iter().flat_map(Map::keys) {
            if !fields.iter().any(|field| field.name == name) {
                let known: Vec<_> = fields.iter().map(|field| field.name).collect();
                self.note(&object, name, &format!("there is no such field, only {}", known.join(", ")));
            }
        }
        object
    }

    pub(super) fn child<'a>(&mut self, of: &Object<'a>, name: &str, fields: &[Field]) -> Object<'a> {
        self.object(of.get(name).unwrap_or(&Value::Null), &of.at(name), fields)
    }

    pub(super) fn list<'a>(&mut self, of: &Object<'a>, name: &str, fields: &[Field]) -> Vec<Object<'a>> {
        match of.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let path = of.at(name);
                let object = |(at, item)| self.object(item, &format!("{path}[{at}]"), fields);
                items.iter().enumerate().map(object).collect()
            }
            Some(_) => {
                self.refuse(of, name, "it must be a list");
                Vec::new()
            }
        }
    }

    pub(super) fn flag(&mut self, of: &Object<'_>, name: &str) -> Option<bool> {
        let value = of.get(name)?;
        if value.as_bool().is_none() {
            self.refuse(of, name, "it must be true or false");
        }
        value.as_bool()
    }

    fn string<'a>(&mut self, of: &Object<'a>, name: &str) -> Option<&'a str> {
        let value = of.get(name)?;
        if value.as_str().is_none() {
            self.refuse(of, name, "it must be text");
        }
        value.as_str()
    }

    pub(super) fn count(&mut self, of: &Object<'_>, name: &str) -> Given<u64> {
        let Some(value) = of.get(name) else { return Given::Absent };
        match (value.as_u64(), value.as_i64()) {
            (Some(0), _) | (None, Some(_)) => Given::Off,
            (Some(count), _) => Given::Is(count),
            (None, None) => {
                self.refuse(of, name, "it must be a whole number");
                Given::Absent
            }
        }
    }

    pub(super) fn size(&mut self, of: &Object<'_>, name: &str) -> Given<u64> {
        let Some(value) = of.get(name) else { return Given::Absent };
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        if text.strip_prefix('-').is_some_and(|rest| Quantity::read(&Value::from(rest)).is_some()) {
            return Given::Off;
        }
        let bytes = Quantity::read(&Value::from(text.as_str()))
            .and_then(|quantity| quantity.divided_by(Quantity::UNIT, false))
            .and_then(|bytes| u64::try_from(bytes).ok());
        match bytes {
            None => {
                self.refuse(of, name, format!("{value} is no size; write it like 512Mi or 10Gi"));
                Given::Absent
            }
            Some(0) => Given::Off,
            Some(number) if number < BARE && text.bytes().all(|c| c.is_ascii_digit()) => {
                self.note(
                    of,
                    name,
                    &format!("{number} was taken for {number}Mi; write it so, or with a unit of your own"),
                );
                Given::Is(number * BARE)
            }
            Some(bytes) => Given::Is(bytes),
        }
    }

    /// No limit where it is 0.
    pub(super) fn duration(&mut self, of: &Object<'_>, name: &str) -> Option<Duration> {
        match duration::parse(self.string(of, name)?.trim()) {
            Ok(found) => Some(found).filter(|found| !found.is_zero()),
            Err(why) => {
                self.refuse(of, name, why.to_string());
                None
            }
        }
    }

    /// An absolute path, without a slash at its end.
    pub(super) fn directory(&mut self, of: &Object<'_>, name: &str) -> Option<String> {
        let text = self.string(of, name)?;
        let trimmed = text.trim_end_matches('/');
        let sound = trimmed.starts_with('/') && trimmed.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
        if text.is_empty() {
            return None;
        }
        if !sound {
            self.refuse(
                of,
                name,
                format!("{text:?} is no absolute path of a directory, like /var/lib/kubelet/checkpoints"),
            );
        }
        sound.then(|| trimmed.to_owned())
    }

    /// Names that something may have; others, as the original's sample has them (`<namespace>`), are noted.
    pub(super) fn names<const N: usize>(&mut self, of: &Object<'_>, names: [&str; N]) -> [String; N] {
        names.map(|name| {
            let text = self.string(of, name).unwrap_or_default();
            let possible = if name == "pod" { is_subdomain(text) } else { is_label(text) };
            if !possible {
                self.note(of, name, &format!("nothing can be called {text:?}, so this policy is for nothing"));
            }
            text.to_owned()
        })
    }
}
