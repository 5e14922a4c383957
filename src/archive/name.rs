//! `checkpoint-<pod>_<namespace>-<container>-<time>.tar`: what the kubelet's name for an archive says, and what it cannot.
//! Source of the form: `CheckpointContainer` in the kubelet; the time is Go's RFC 3339 in the node's own zone.

use jiff::Timestamp;

/// Ending of a sealed archive, after that of the plain one.
pub const SEALED: &str = ".age";
const PLAIN: &str = ".tar";
const PREFIX: &str = "checkpoint-";
/// `2026-11-21T07:12:53Z`, and the same with `+01:00`.
const UTC: usize = 20;
const OFFSET: usize = 25;
/// Longest name of a namespace or a container: a DNS label.
const LONGEST_LABEL: usize = 63;

/// What can be known from a file's name. Namespaces and containers may both have hyphens, so `a-b-c` is `a` and `b-c`, or
/// `a-b` and `c`: whose the archive is stands in it, not on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveName {
    /// Name of the pod; an underscore, which no name can have, ends it.
    pub pod: String,
    /// When the kubelet asked for it, to the second.
    pub at: Timestamp,
    /// Whether it is sealed.
    pub sealed: bool,
    /// `<namespace>-<container>`.
    rest: String,
}

impl ArchiveName {
    /// Reads a name without directories; `None`: it is not of this form.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (plain, sealed) = match file_name.strip_suffix(SEALED) {
            Some(plain) => (plain, true),
            None => (file_name, false),
        };
        let stem = plain.strip_suffix(PLAIN)?.strip_prefix(PREFIX)?;
        let (stem, at) = time(stem)?;
        let (pod, rest) = stem.split_once('_')?;
        let name = Self { pod: pod.to_owned(), at, sealed, rest: rest.to_owned() };
        (is_subdomain(pod) && name.readings().next().is_some()).then_some(name)
    }

    /// Whether it may be an archive of this container. Another one's whose names join to the same text may be too.
    pub fn may_be_of(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.pod == pod && self.readings().any(|reading| reading == (namespace, container))
    }

    /// Namespace and container, where there is one way only to read them.
    pub fn namespace_and_container(&self) -> Option<(&str, &str)> {
        let mut readings = self.readings();
        let first = readings.next()?;
        readings.next().is_none().then_some(first)
    }

    fn readings(&self) -> impl Iterator<Item = (&str, &str)> {
        let split = |(at, _)| (&self.rest[..at], &self.rest[at + 1..]);
        self.rest
            .match_indices('-')
            .map(split)
            .filter(|(namespace, container)| is_label(namespace) && is_label(container))
    }
}

/// The time at the end of a stem, and what stands before it and its hyphen.
fn time(stem: &str) -> Option<(&str, Timestamp)> {
    let length = if stem.ends_with('Z') { UTC } else { OFFSET };
    let at = stem.len().checked_sub(length)?;
    let (before, time) = (stem.get(..at)?, stem.get(at..)?);
    let form = if length == UTC { "0000-00-00T00:00:00Z" } else { "0000-00-00T00:00:00+00:00" };
    let fits = |(is, form): (char, char)| match form {
        '0' => is.is_ascii_digit(),
        '+' => matches!(is, '+' | '-'),
        _ => is == form,
    };
    time.chars().zip(form.chars()).all(fits).then_some(())?;
    Some((before.strip_suffix('-')?, time.parse().ok()?))
}

/// A DNS label, as namespaces and containers are named (RFC 1123).
pub(crate) fn is_label(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty()
        && name.len() <= LONGEST_LABEL
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A DNS subdomain, as pods are named.
pub(crate) fn is_subdomain(name: &str) -> bool {
    const LONGEST: usize = 253;
    let part = |part: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= LONGEST && name.split('.').all(part)
}
