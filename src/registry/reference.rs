//! Where an image goes: `HOST[:PORT]/REPOSITORY[:TAG]`. The host must be there: a name that means one place here and
//! another there is no address for the memory of a process. Names are those of the OCI distribution spec; hosts as others
//! tell them from the first part of a repository: with a dot or a port, or `localhost`. `oci-spec`
//! would put Docker Hub where no host is.

use std::fmt;

/// An image's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// A name in lower case or an IP address, an IPv6 one without its brackets.
    pub host: String,
    /// None is the one that the scheme implies.
    pub port: Option<u16>,
    /// Without host and tag.
    pub repository: String,
    /// `latest` where none was written.
    pub tag: String,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Nothing says which registry.
    #[error(
        "{0:?} names no registry: write HOST/REPOSITORY:TAG, such as docker.io/USER/NAME:TAG or 10.0.0.5:5000/NAME:TAG"
    )]
    NoHost(String),
    /// What stands before the first `/` is no host.
    #[error("{0:?} is no host: a name, an IPv4 address or an IPv6 one in brackets, with or without :PORT")]
    Host(String),
    /// What stands between host and tag is no repository.
    #[error(
        "{0:?} is no repository: lower-case letters and digits in parts apart by /, within a part also . _ - between them"
    )]
    Repository(String),
    /// Docker Hub keeps nothing at its top.
    #[error("docker.io/{0} belongs to nobody: write docker.io/USER/{0}")]
    NoUser(String),
    /// What stands after the last `:` is no tag.
    #[error("{0:?} is no tag: at most 128 letters, digits, . _ -, not beginning with . or -")]
    Tag(String),
    /// A digest cannot be chosen.
    #[error("{0:?} has a digest: what is pushed gets its own; write a tag")]
    Digest(String),
    /// Longer than any registry takes.
    #[error("the address is {0} bytes long: host and repository may have 255 together")]
    Long(usize),
}

/// What the common clients keep to.
const LONGEST: usize = 255;
const LONGEST_TAG: usize = 128;
/// Of the DNS (RFC 1035).
const LONGEST_LABEL: usize = 63;

impl ImageReference {
    /// Reads `HOST[:PORT]/REPOSITORY[:TAG]`.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        if text.len() > LONGEST + LONGEST_TAG + 1 {
            return Err(BadReference::Long(text.len()));
        }
        if text.contains('@') {
            return Err(BadReference::Digest(text.to_owned()));
        }
        let none = || BadReference::NoHost(text.to_owned());
        let (authority, path) = text.split_once('/').ok_or_else(none)?;
        let named = authority.contains(['.', ':', '[']) || authority.eq_ignore_ascii_case("localhost");
        if !named {
            return Err(none());
        }
        let (host, port) = host_and_port(authority).ok_or_else(|| BadReference::Host(authority.to_owned()))?;
        let (repository, tag) = path.split_once(':').unwrap_or((path, "latest"));
        if !is_repository(repository) {
            return Err(BadReference::Repository(repository.to_owned()));
        }
        if host == "docker.io" && !repository.contains('/') {
            return Err(BadReference::NoUser(repository.to_owned()));
        }
        if !is_tag(tag) {
            return Err(BadReference::Tag(tag.to_owned()));
        }
        if authority.len() + 1 + repository.len() > LONGEST {
            return Err(BadReference::Long(authority.len() + 1 + repository.len()));
        }
        Ok(Self { host, port, repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// `HOST[:PORT]`, by which credentials and plain HTTP are named.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.authority(), self.repository, self.tag)
    }
}

/// `HOST[:PORT]` as it is written.
pub fn authority(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    port.map_or(host.clone(), |port| format!("{host}:{port}"))
}

/// Reads `HOST[:PORT]`; the host in lower case, an IPv6 one without its brackets.
pub fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        (address.to_string(), rest.strip_prefix(':').or(rest.is_empty().then_some("")))
    } else {
        let (host, port) = text.split_once(':').map_or((text, ""), |(host, port)| (host, port));
        let port = if text.ends_with(':') { None } else { Some(port) };
        (is_host(host).then(|| host.to_ascii_lowercase())?, port)
    };
    match port? {
        "" if !text.ends_with(':') => Some((host, None)),
        // Digits alone: the parser takes a sign too.
        port if port.bytes().all(|b| b.is_ascii_digit()) => {
            Some((host, Some(port.parse().ok().filter(|port| *port != 0)?)))
        }
        _ => None,
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let ends = label.bytes().next().zip(label.bytes().last());
        label.len() <= LONGEST_LABEL
            && ends.is_some_and(|(a, z)| a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // What ends in a number is an IPv4 address or nothing (as the URL standard has it).
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    name.len() <= LONGEST && name.split('.').all(label) && (!number || name.parse::<std::net::Ipv4Addr>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, parts apart by `/` (OCI distribution spec, "Pulling manifests").
pub fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let between = separators.filter(|s| !s.is_empty());
        let inside = !part.starts_with(['.', '_', '-']) && !part.ends_with(['.', '_', '-']);
        let mut between_fit = between.map(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'));
        !part.is_empty() && inside && between_fit.all(|fits| fits)
    };
    text.split('/').all(part)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (the same).
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests;
