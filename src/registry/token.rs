//! Who may ask for what: answers a registry's challenge with name and password or with a token, and keeps that until it
//! expires. Credentials go to the registry that they are for, or to a token server that has an entry of its own; never to
//! whom a challenge names just so, and in clear only to a host that an operator named as one of plain HTTP.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::credentials::{Credentials, Login};
use super::location::{Origin, Target};
use super::reference::authority;
use crate::percent::component;

/// A repository of a registry, as it is asked.
#[derive(Debug, Clone)]
pub(super) struct RepositoryPath {
    /// The server of the API.
    pub(super) origin: Origin,
    /// The host by which credentials know it.
    pub(super) authority: String,
    /// Name of the repository within the registry, without the host.
    pub(super) repository: String,
    /// Another one that is read too.
    pub(super) also: Option<String>,
}

impl RepositoryPath {
    /// A path of the repository.
    pub(super) fn target(&self, path: &str) -> Target {
        Target::new(self.origin.clone(), format!("/v2/{}/{path}", self.repository))
    }
}

/// The value of an `Authorization` header.
#[derive(Clone)]
pub(super) struct AuthorizationHeader {
    pub(super) header: Zeroizing<String>,
    until: Option<Instant>,
}

impl AuthorizationHeader {
    /// One that does not expire.
    pub(super) fn lasting(header: Zeroizing<String>) -> Self {
        Self { header, until: None }
    }
}

/// How a token is asked for.
pub(super) struct BearerTokenRequest {
    /// The token server's address.
    pub(super) target: Target,
    /// `Authorization`, if it has one.
    pub(super) header: Option<Zeroizing<String>>,
    /// A form to be posted; a GET without.
    pub(super) form: Option<Zeroizing<String>>,
}

/// What to do about a challenge.
pub(super) enum AuthPlan {
    /// An `Authorization` that is there already.
    Use(AuthorizationHeader),
    /// Ask a token server first.
    Fetch(BearerTokenRequest),
    /// Nobody here has a name that could be given.
    Nobody,
    /// The challenge names another server.
    Foreign(Origin),
    /// The realm is no place to go to.
    Nowhere,
}

/// A token that says no other is good for so long (the distribution project's token specification).
const USUAL: Duration = Duration::from_secs(60);
/// Not used any more so long before it expires, or a quarter of its life if that is less: a request takes its time.
const MARGIN: Duration = Duration::from_secs(10);
/// One process pushes to a few repositories. More are no reason to grow.
const MOST: usize = 64;

/// Rights that were given, by server and scope.
#[derive(Default)]
pub(super) struct GrantedRights(Mutex<HashMap<(Origin, String), AuthorizationHeader>>);

impl GrantedRights {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Origin, String), AuthorizationHeader>> {
        // Nothing that could panic happens while it is held.
        self.0.lock()
    }

    /// What was given for this repository, unless it is about to expire.
    pub(super) fn get(&self, place: &RepositoryPath) -> Option<AuthorizationHeader> {
        let all = self.lock();
        let access = all.get(&(place.origin.clone(), place.scope()))?;
        access.until.is_none_or(|until| until > Instant::now()).then(|| access.clone())
    }

    /// Remembers what the repository takes, until it expires.
    pub(super) fn put(&self, place: &RepositoryPath, access: &AuthorizationHeader) {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((place.origin.clone(), place.scope()), access.clone());
    }

    /// It was not accepted.
    pub(super) fn forget(&self, place: &RepositoryPath) {
        self.lock().remove(&(place.origin.clone(), place.scope()));
    }

    /// Takes what is held out of a text.
    pub(super) fn hide(&self, mut text: String) -> String {
        for access in self.lock().values() {
            let secret = access.header.split_once(' ').map_or(access.header.as_str(), |(_, secret)| secret);
            text = text.replace(secret, "…");
        }
        text
    }
}

impl RepositoryPath {
    /// In the words of token servers.
    fn scope(&self) -> String {
        let own = format!("repository:{}:pull,push", self.repository);
        self.also.as_ref().map_or(own.clone(), |also| format!("{own} repository:{also}:pull"))
    }
}

/// What to do about `challenge`. Scopes are ours: a registry cannot have a token made for something else.
pub(super) fn plan(place: &RepositoryPath, challenge: &Challenge, credentials: &Credentials) -> AuthPlan {
    let own = credentials.login(&place.authority, &place.repository);
    let Challenge::Bearer { realm, service } = challenge else {
        let header = own.and_then(Login::basic);
        return header.map_or(AuthPlan::Nobody, |header| AuthPlan::Use(AuthorizationHeader::lasting(header)));
    };
    let base = Target::new(place.origin.clone(), "/");
    let Ok(mut target) = base.resolve(realm) else { return AuthPlan::Nowhere };
    let Ok(login) = login_for(place, &target.origin, own, credentials) else { return AuthPlan::Foreign(target.origin) };
    let scope = place.scope();
    if let Some(Login::Identity(token)) = login {
        let service = service.as_deref().map(component).unwrap_or_default();
        let form = format!(
            "grant_type=refresh_token&client_id=pod-checkpointer&service={service}&scope={}&refresh_token={}",
            component(&scope),
            Zeroizing::new(component(token)).as_str(),
        );
        return AuthPlan::Fetch(BearerTokenRequest { target, header: None, form: Some(Zeroizing::new(form)) });
    }
    if let Some(service) = service {
        target = target.with("service", service);
    }
    target = scope.split(' ').fold(target, |target, scope| target.with("scope", scope));
    AuthPlan::Fetch(BearerTokenRequest { target, header: login.and_then(Login::basic), form: None })
}

/// Whose login a realm may see: the registry's, if it is the registry itself (or Docker Hub's one token server); its own.
fn login_for<'a>(
    place: &RepositoryPath,
    realm: &Origin,
    own: Option<&'a Login>,
    credentials: &'a Credentials,
) -> Result<Option<&'a Login>, ()> {
    // Documented at https://distribution.github.io/distribution/spec/auth/token/.
    let hub = place.authority == "docker.io" && *realm == Origin::new(true, "auth.docker.io", None);
    if *realm == place.origin || hub {
        return Ok(own);
    }
    // In plain text only with its port: what is kept for an https host is not meant by it.
    let named = if realm.tls { realm.authority() } else { authority(&realm.host, Some(realm.port)) };
    match credentials.login(&named, "") {
        Some(login) => Ok(Some(login)),
        // Nobody's name can be given to anybody.
        None if own.is_none() => Ok(None),
        None => Err(()),
    }
}

#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Reads a token server's answer; `now` is when it was asked.
pub(super) fn read(answer: &[u8], now: Instant) -> Option<AuthorizationHeader> {
    let given: Given = serde_json::from_slice(answer).ok()?;
    let token = Zeroizing::new(given.token.filter(|token| !token.is_empty()).or(given.access_token)?);
    let fits = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    let lasts = given.expires_in.map_or(USUAL, Duration::from_secs).min(Duration::from_secs(24 * 3600));
    let until = now + lasts.saturating_sub(MARGIN.min(lasts / 4));
    fits.then(|| AuthorizationHeader {
        header: Zeroizing::new(format!("Bearer {}", token.as_str())),
        until: Some(until),
    })
}

#[cfg(test)]
mod tests;
