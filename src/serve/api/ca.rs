//! The certificates that the instances of `serve` believe of each other, and callers of them: one CA in a Secret, made by
//! whoever comes first, and a leaf of it for this node, in memory only. Until there is a CA, the port has a certificate that
//! nobody can check, which is enough for the kubelet's probes.

mod bundle;
mod issue;
mod rotation;
mod secret;
mod serving;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
pub use serving::ServingTls;

use super::poll::Poll;
use crate::clock;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::http_client::tls;
use crate::http_client::tls::Trust;
use issue::{Leaf, LeafSubject, Root};
use rotation::{LEAF_LIFE, Span};
use secret::StoredCa;

/// Name of the Secret, in our own namespace.
pub const SECRET: &str = "container-checkpoints-ca";
/// How often Secret and APIService are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Where the CA's Secret lies, and which names and addresses certificates are for.
#[derive(Debug, Clone)]
pub struct CaSettings {
    /// Where the Secret lives, ours.
    pub namespace: String,
    /// Name of this node.
    pub node: String,
    /// The address that other nodes' instances and the API server come to.
    pub node_ip: IpAddr,
}

/// Why there is no CA, or no certificate of it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key or certificate could not be made.
    #[error("cannot make a {what}: {why}")]
    Mint {
        /// CA, leaf, TLS configuration.
        what: &'static str,
        /// What the library says.
        why: String,
    },
    /// The Secret holds something else.
    #[error(
        "Secret {SECRET} cannot be used: {why}; delete it and a new one is made (callers then need its new ca.crt)"
    )]
    Unusable {
        /// What is wrong, without any of its content.
        why: String,
    },
    /// The API server did not do its part.
    #[error("Secret {SECRET}: {0}")]
    Api(#[from] ApiError),
    /// Somebody else changed it each time.
    #[error("Secret {SECRET} changes all the time: others write it too")]
    Contended,
}

/// The cluster's own CA for this port, kept in a Secret, and this instance's certificate from it. [`CertificateAuthority::keep`] must run beside the port.
pub struct CertificateAuthority {
    client: ApiClient,
    settings: CaSettings,
    serving: Arc<ServingTls>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    roots: Vec<Root>,
    trust: Option<Arc<rustls::ClientConfig>>,
    /// CA and life of the leaf that is shown.
    leaf: Option<(Root, Span)>,
    trouble: Option<String>,
}

impl CertificateAuthority {
    /// Asks nobody yet.
    pub fn new(client: ApiClient, settings: CaSettings) -> Result<Self, AuthorityError> {
        let (names, addresses) = identities(&settings);
        let subject = LeafSubject { name: &settings.node, names: &names, addresses: &addresses };
        let first = Leaf::self_signed(&subject, clock::epoch_seconds(), LEAF_LIFE)?;
        let serving = Arc::new(ServingTls::new(first.key)?);
        Ok(Self { client, settings, serving, state: Mutex::default() })
    }

    /// The certificate that the port serves, kept current.
    pub fn serving(&self) -> Arc<ServingTls> {
        Arc::clone(&self.serving)
    }

    /// For asking the other instances; none before the CA was read.
    pub fn trust(&self) -> Option<Arc<rustls::ClientConfig>> {
        self.lock().trust.clone()
    }

    /// Whether the port shows a certificate of the CA; why not, where it does not.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.lock();
        match (&state.leaf, &state.trouble) {
            (Some((_, span)), _) if !span.is_over(clock::epoch_seconds()) => Ok(()),
            (_, Some(why)) => Err(why.clone()),
            (_, None) => Err(format!("Secret {SECRET} has not been read yet")),
        }
    }

    /// Makes the CA where there is none, follows it, renews the leaf, and tells the APIService, until dropped.
    pub async fn keep(&self) -> Infallible {
        let mut rounds = Poll::new("the CA of the instances", LOOK);
        loop {
            let outcome = self.look().await.map_err(|why| why.to_string());
            self.lock().trouble = outcome.clone().err();
            tokio::time::sleep(rounds.after(outcome)).await;
        }
    }

    /// One round of [`CertificateAuthority::keep`].
    pub async fn look(&self) -> Result<(), AuthorityError> {
        let now = clock::epoch_seconds();
        let held = secret::ensure_ca(&self.client, &self.settings.namespace, now).await?;
        self.install(&held, now)?;
        bundle::publish(&self.client, &held.roots).await;
        Ok(())
    }

    fn install(&self, held: &StoredCa, now: i64) -> Result<(), AuthorityError> {
        let mut state = self.lock();
        if state.roots != held.roots || state.trust.is_none() {
            let roots = held.roots.iter().map(|root| root.der.clone()).collect();
            let trust = tls::client(Trust::Authorities(roots), None)
                .map_err(|why| AuthorityError::Unusable { why: why.to_string() })?;
            (state.roots, state.trust) = (held.roots.clone(), Some(trust));
        }
        let root = held.current.root()?;
        if !state.leaf.as_ref().is_some_and(|(issuer, span)| *issuer == root && !span.is_late(now)) {
            let (names, addresses) = identities(&self.settings);
            let subject = LeafSubject { name: &self.settings.node, names: &names, addresses: &addresses };
            let leaf = held.current.leaf(&subject, now, LEAF_LIFE)?;
            self.serving.show(leaf.key);
            state.leaf = Some((root, leaf.span));
        }
        Ok(())
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The Service's name is what the API server checks; the rest is for those who come straight.
fn identities(settings: &CaSettings) -> (Vec<String>, Vec<IpAddr>) {
    let service = format!("container-checkpoints.{}.svc", settings.namespace);
    let mut addresses = vec![settings.node_ip, Ipv4Addr::LOCALHOST.into()];
    addresses.dedup();
    (vec![settings.node.clone(), "localhost".to_owned(), service], addresses)
}
