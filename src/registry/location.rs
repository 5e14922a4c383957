//! Where a registry sends its client on: `Location` headers and realms, resolved against where they came from. Which of
//! those places may be gone to, and with what, is for `ask` and `token`.

use http::Uri;

use super::digest::Digest;
use super::reference::{authority, host_and_port};
use crate::percent::component;

/// Scheme, host and port: what credentials are bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// https rather than plain HTTP.
    pub tls: bool,
    /// In lower case, an IPv6 address without its brackets.
    pub host: String,
    /// The one that is used, implied or not.
    pub port: u16,
}

/// A place to send a request to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host and port.
    pub origin: Origin,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// Why a text is no place to go to. The text is not repeated: signed ones are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLocation {
    /// No URL, or a very long one.
    #[error("it is no URL")]
    Url,
    /// Not one of HTTP's schemes.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// Names or passwords in a URL are a trick of those who harvest.
    #[error("it has a user in it")]
    User,
}

/// Signed URLs have a few kilobytes.
const LONGEST: usize = 8 << 10;

impl Origin {
    fn implied(tls: bool) -> u16 {
        if tls { 443 } else { 80 }
    }

    /// Of a host as an operator wrote it.
    pub fn new(tls: bool, host: &str, port: Option<u16>) -> Self {
        Self { tls, host: host.to_owned(), port: port.unwrap_or(Self::implied(tls)) }
    }

    /// `HOST[:PORT]` without the port that the scheme implies.
    pub fn authority(&self) -> String {
        authority(&self.host, Some(self.port).filter(|port| *port != Self::implied(self.tls)))
    }

    /// For people.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl Target {
    /// A path of a server.
    pub fn new(origin: Origin, path: impl Into<String>) -> Self {
        Self { origin, path: path.into() }
    }

    /// A whole URL.
    pub fn parse(url: &str) -> Result<Self, BadLocation> {
        // The parser drops what follows `#`, as it should: that is never sent.
        let uri: Uri =
            Some(url).filter(|url| url.len() <= LONGEST).and_then(|url| url.parse().ok()).ok_or(BadLocation::Url)?;
        let tls = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(BadLocation::Scheme),
        };
        let written = uri.authority().ok_or(BadLocation::Url)?.as_str();
        if written.contains('@') {
            return Err(BadLocation::User);
        }
        let (host, port) = host_and_port(written).ok_or(BadLocation::Url)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { origin: Origin::new(tls, &host, port), path: format!("{slash}{path}") })
    }

    /// Where `location` in an answer from here leads (RFC 3986 §5.2; dots in a path are left to the server).
    pub fn resolve(&self, location: &str) -> Result<Self, BadLocation> {
        let location = location.trim();
        let scheme = if self.origin.tls { "https" } else { "http" };
        let own = self.path.split('?').next().unwrap_or_default();
        let path = if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        } else if location.starts_with('/') {
            location.to_owned()
        } else if location.is_empty() {
            return Err(BadLocation::Url);
        } else if location.starts_with('?') {
            format!("{own}{location}")
        } else if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            return Self::parse(location);
        } else {
            let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{location}")
        };
        // Checked as part of a URL: a path alone may not begin with two slashes.
        let whole = Self::parse(&format!("{}{path}", self.origin.url()))?;
        if whole.origin == self.origin { Ok(whole) } else { Err(BadLocation::Url) }
    }

    /// The same with another parameter in its query.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(key);
        self.path.push('=');
        self.path.push_str(&component(value));
        self
    }

    /// The same with the digest of what is uploaded.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        self.with("digest", &digest.to_string())
    }
}

#[cfg(test)]
mod tests;
