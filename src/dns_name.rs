//! Names as Kubernetes gives them: what cannot be one never becomes a path, a URL or a tag.

/// A name that the API server would refuse, so nothing that could become a path outside our directories.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not a DNS-1123 name; refusing to use it as a file name")]
pub struct InvalidName {
    /// Which of the names was bad.
    pub what: &'static str,
    /// The value as it came.
    pub value: String,
}

/// RFC 1123 subdomain as the API server checks names of pods, Secrets and ConfigMaps: 1..=253 of `[a-z0-9.-]`,
/// beginning and ending alphanumeric, no empty label.
pub fn check_name(what: &'static str, value: &str) -> Result<(), InvalidName> {
    let label = |l: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(l.chars().next())
            && edge(l.chars().last())
            && l.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if value.len() <= 253 && value.split('.').all(label) {
        Ok(())
    } else {
        Err(InvalidName { what, value: value.to_owned() })
    }
}
