//! Who we are to which registry: a `.dockerconfigjson`, as `docker login`, `kubectl create secret docker-registry` and
//! podman write it. An entry is for one host, or for the repositories below a path of it. Credential helpers are other
//! programs and are not run. Nothing here can be printed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::reference::{authority, host_and_port};

/// Logins by the place that they are for.
#[derive(Default)]
pub struct Credentials {
    /// By host and path; the path is empty for a whole host.
    logins: BTreeMap<(String, String), Login>,
    helpers: bool,
}

/// What a registry or its token server wants to hear.
pub enum Login {
    /// Name and password.
    Password {
        /// May stand in no log either: some are account numbers.
        user: String,
        /// The password, or an access token in its place.
        password: Zeroizing<String>,
    },
    /// A refresh token (OAuth 2.0), good for token servers only.
    Identity(Zeroizing<String>),
}

/// Why a text is no docker configuration. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredentials {
    /// It has another form.
    #[error(
        "no docker configuration (line {line}, column {column}); it must be JSON such as {{\"auths\": {{HOST: {{\"auth\": BASE64}}}}}}"
    )]
    Json {
        /// Where the reader stopped.
        line: usize,
        /// Where the reader stopped.
        column: usize,
    },
    /// An entry whose `auth` is not base64 of `name:password`.
    #[error("the docker configuration's entry for {0} has an \"auth\" that is not base64 of NAME:PASSWORD")]
    Auth(String),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity: Option<String>,
}

/// As found in the wild: with its padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Credentials {
    /// Nobody's: everything is asked for without a name.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a `.dockerconfigjson`. Entries that hold no login (a helper has it) and hosts that are none are left out.
    pub fn from_docker_config(json: &[u8]) -> Result<Self, BadCredentials> {
        // The parser's own message would quote the value that it did not like.
        let unread = |why: serde_json::Error| BadCredentials::Json { line: why.line(), column: why.column() };
        // The parser would take a list for an object with these fields in their order.
        if json.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(BadCredentials::Json { line: 1, column: 1 });
        }
        let file: File = serde_json::from_slice(json).map_err(unread)?;
        let helpers = file.store.is_some_and(|store| !store.is_empty()) || file.helpers.is_some_and(|h| !h.is_empty());
        let mut read = Self { logins: BTreeMap::new(), helpers };
        let mut plain = Vec::new();
        for (key, entry) in file.auths.unwrap_or_default() {
            let Some(place) = place(&key) else { continue };
            let Some(login) = login(&key, entry)? else { continue };
            if key.contains("://") {
                read.logins.insert(place, login);
            } else {
                plain.push((place, login));
            }
        }
        // A key without a scheme is the exact one, whatever else names the same host.
        read.logins.extend(plain);
        Ok(read)
    }

    /// The login for a repository at `HOST[:PORT]` (without the port that https implies); that of the longest path wins.
    pub fn login(&self, authority: &str, repository: &str) -> Option<&Login> {
        let mut path = repository;
        loop {
            if let Some(login) = self.logins.get(&(authority.to_owned(), path.to_owned())) {
                return Some(login);
            }
            if path.is_empty() {
                return None;
            }
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }

    /// Takes every secret, in every form in which it is sent, out of a text that somebody else wrote.
    pub(super) fn hide(&self, text: String) -> String {
        self.logins.values().fold(text, |text, login| login.hide(text))
    }

    /// Whether the file leaves logins to programs that are not run here.
    pub fn names_helpers(&self) -> bool {
        self.helpers
    }
}

/// Host and path that a key of `auths` stands for.
fn place(key: &str) -> Option<(String, String)> {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let (host, port) = host_and_port(host)?;
    let path = path.trim_end_matches('/');
    // Of the registry's interface, not of a repository.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    // Under which `docker login` keeps Docker Hub's.
    let hub = matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io");
    let host = if hub { "docker.io".to_owned() } else { host };
    Some((authority(&host, port.filter(|port| *port != 443)), path.to_owned()))
}

fn login(key: &str, entry: Entry) -> Result<Option<Login>, BadCredentials> {
    if let Some(token) = entry.identity.filter(|token| !token.is_empty()) {
        return Ok(Some(Login::Identity(Zeroizing::new(token))));
    }
    if let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()).map(Zeroizing::new) {
        let wrong = || BadCredentials::Auth(key.to_owned());
        let decoded = Zeroizing::new(LENIENT.decode(auth.trim()).map_err(|_| wrong())?);
        let text = std::str::from_utf8(&decoded).map_err(|_| wrong())?;
        let (user, password) = text.split_once(':').ok_or_else(wrong)?;
        // Some writers fill up with zeroes.
        let password = Zeroizing::new(password.trim_end_matches('\0').to_owned());
        return Ok(Some(Login::Password { user: user.to_owned(), password }));
    }
    let password = entry.password.map(Zeroizing::new);
    Ok(entry.username.zip(password).map(|(user, password)| Login::Password { user, password }))
}

impl Login {
    /// Value of an `Authorization` header with name and password (RFC 7617); none for a refresh token.
    pub(super) fn basic(&self) -> Option<Zeroizing<String>> {
        let Self::Password { user, password } = self else { return None };
        let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        Some(Zeroizing::new(format!("Basic {}", encoded.as_str())))
    }

    fn hide(&self, mut text: String) -> String {
        let secret = match self {
            Self::Identity(token) => token,
            Self::Password { password, .. } => password,
        };
        let basic = self.basic();
        let encoded = basic.as_ref().and_then(|basic| basic.strip_prefix("Basic "));
        for secret in [encoded, Some(secret.as_str())].into_iter().flatten().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "…");
        }
        text
    }
}

#[cfg(test)]
mod tests;
