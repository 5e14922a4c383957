//! Saving a parent: fetch what it reads from the API, sanitise it, write it. The three are elsewhere; this is their
//! order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::agent::store::{Store, StoreError};
use crate::backoff;
use crate::clock;
use crate::cluster::client::{ApiClient, LIMIT};
use crate::cluster::objects::{ObjectCache, fetch};
use crate::cluster::requests;
use crate::cluster::tokens::TokenTerms;
use crate::node::cri::Cri;
use crate::node::kubelet::KubeletDir;
use crate::node::{environment, images};
use crate::pod::annotation;
use crate::pod::asset_refs::{Assets, FetchedToken, TokenRef, wanted};
use crate::pod::kubelet_version::KubeletVersion;
use crate::pod::parent::{Parent, Standing};
use crate::pod::sanitize::volume::refresh;
use crate::pod::sanitize::{NodeFacts, NotRestorable, fit_for_kubelet, hinges_on_the_kubelet, sanitize};
use crate::pod::service_variables;
use crate::pod::snapshot::Api;
use crate::pod::timings::Timings;

/// Why a parent was not saved, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The pod itself, or something that it needs and that this node lacks.
    #[error(transparent)]
    NotRestorable(#[from] NotRestorable),
    /// The saved copy stays good, though something of it could not be fetched again.
    #[error("{}", .0.join("; "))]
    Kept(Vec<String>),
    /// The API did not answer in the middle of it.
    #[error("cannot fetch what it is made of: {0}")]
    Api(String),
    /// The copy could not be written.
    #[error("cannot write it: {0}")]
    Store(#[from] StoreError),
}

impl CaptureError {
    /// For people, one line each.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::NotRestorable(why) => why.reasons.clone(),
            Self::Kept(reasons) => reasons.clone(),
            Self::Api(_) | Self::Store(_) => vec![self.to_string()],
        }
    }

    /// How long to wait after so many failures in a row before the same content is tried again.
    pub fn retry_after(&self, failures: u32, timings: &Timings) -> Duration {
        match self {
            // The image may be pulled, the object made: looked at again with every refresh.
            Self::NotRestorable(_) | Self::Kept(_) => timings.refresh,
            // Each try fetches Secrets: a disk that stays full must not cost one every ten seconds.
            Self::Api(_) | Self::Store(_) => backoff::after(failures, timings.capture_retry, timings.refresh),
        }
    }
}

/// What sanitising needs to know and the pod does not say.
#[derive(Debug, Clone)]
pub struct CaptureTerms {
    /// The name by which the API server knows this node.
    pub node_name: String,
    /// Host and port to freeze as `KUBERNETES_SERVICE_HOST` and `_PORT`.
    pub service: Option<(String, String)>,
    /// Where hostPath volumes point to.
    pub etc_dir: PathBuf,
    /// Prefixes of annotations to keep.
    pub keep_annotations: Vec<String>,
    /// Life of tokens to ask for.
    pub token_ttl: Duration,
}

/// Fetches what a parent needs and saves it as its newest copy.
pub struct Capturer {
    client: ApiClient,
    cri: Cri,
    kubelet: KubeletDir,
    store: Arc<Store>,
    terms: CaptureTerms,
    /// What the API says now: nothing is saved of a parent that has changed or gone meanwhile.
    latest: watch::Receiver<Api>,
    /// Tokens given in the life of this process, by namespace.
    tokens: BTreeMap<String, BTreeMap<TokenRef, String>>,
    round: ObjectCache,
    /// The API failed in this round: the other parents do not wait for it too.
    api_failed: Option<String>,
}

impl Capturer {
    /// With nothing fetched yet.
    pub fn new(
        client: ApiClient,
        cri: Cri,
        kubelet: KubeletDir,
        store: Arc<Store>,
        latest: watch::Receiver<Api>,
        terms: CaptureTerms,
    ) -> Self {
        let round = ObjectCache::new(token_terms(&terms));
        Self { client, cri, kubelet, store, terms, latest, tokens: BTreeMap::new(), round, api_failed: None }
    }

    /// The API does not say that the parent has changed or gone since it was asked to be saved.
    fn is_current(&self, parent: &Parent) -> bool {
        let latest = self.latest.borrow();
        latest.answer.parents().is_none_or(|parents| {
            parents.get(&parent.key).is_some_and(|now| {
                now.uid == parent.uid && now.digest == parent.digest && matches!(now.standing, Standing::Here { .. })
            })
        })
    }

    /// Begins a round in which each object is asked for once.
    pub fn begin_round(&mut self) {
        self.round = ObjectCache::new(token_terms(&self.terms));
        self.api_failed = None;
    }

    /// Saves the parent as it is now. Where that cannot be and a copy of the same content exists, what can be
    /// refreshed of it is, and the rest is kept.
    pub async fn capture(&mut self, parent: &Parent) -> Result<(), CaptureError> {
        let assets = self.fetch(parent).await?;
        let sanitized = sanitize(parent, &self.facts(parent).await, &assets);
        // A token that is no longer given must not take the saved one away.
        let complete = assets.tokens.values().all(|token| matches!(token, FetchedToken::Granted { .. }));
        let sanitized = match sanitized {
            Ok(checkpoint) if hinges_on_the_kubelet(&checkpoint) => {
                Ok(fit_for_kubelet(checkpoint, self.kubelet_version().await?))
            }
            other => other,
        };
        if !self.is_current(parent) {
            // The next pass decides on what is there now.
            return Ok(());
        }
        match sanitized {
            Ok(checkpoint) if complete || !self.is_saved(parent)? => {
                self.store.save(&parent.key, &checkpoint, clock::epoch_seconds())?;
                Ok(())
            }
            Ok(_) => self.keep(parent, &assets),
            Err(why) if self.is_saved(parent)? => {
                self.keep(parent, &assets)?;
                // Nothing is gone that the copy still has; what is wrong (an image) the copy lacks too.
                Err(why.into())
            }
            Err(why) => Err(why.into()),
        }
    }

    /// The copy on disk is of this very content.
    fn is_saved(&self, parent: &Parent) -> Result<bool, StoreError> {
        let saved = self.store.manifest(&parent.key)?;
        let digest = saved.as_ref().and_then(|m| m["metadata"]["annotations"][annotation::DIGEST].as_str());
        Ok(digest == Some(parent.digest.as_str()))
    }

    /// Writes what could be fetched; says what could not, of which the saved copy stays.
    fn keep(&self, parent: &Parent, assets: &Assets) -> Result<(), CaptureError> {
        let refreshed = refresh(parent, assets);
        self.store.write_assets(&parent.key, &refreshed.volumes)?;
        if refreshed.reasons.is_empty() { Ok(()) } else { Err(CaptureError::Kept(refreshed.reasons)) }
    }

    async fn fetch(&mut self, parent: &Parent) -> Result<Assets, CaptureError> {
        if let Some(why) = &self.api_failed {
            return Err(CaptureError::Api(why.clone()));
        }
        let namespace = parent.key.namespace();
        let held = self.tokens.entry(namespace.to_owned()).or_default();
        match fetch(&self.client, namespace, &wanted(&parent.object), held, &mut self.round).await {
            Ok(assets) => {
                for (token, fetched) in &assets.tokens {
                    if let FetchedToken::Granted { token: jwt, .. } = fetched {
                        held.insert(token.clone(), jwt.clone());
                    }
                }
                Ok(assets)
            }
            Err(why) => {
                self.api_failed = Some(why.to_string());
                Err(CaptureError::Api(why.to_string()))
            }
        }
    }

    /// Which release this node's kubelet is of; `None` where the Node does not say or may not be read.
    async fn kubelet_version(&self) -> Result<Option<KubeletVersion>, CaptureError> {
        match requests::get_node(&self.client, &self.terms.node_name, LIMIT).await {
            Ok(node) => Ok(KubeletVersion::of_node(&node)),
            Err(why) if why.is_outage() => Err(CaptureError::Api(why.to_string())),
            Err(_) => Ok(None),
        }
    }

    async fn facts(&self, parent: &Parent) -> NodeFacts {
        let images = images::look_up(&self.cri, &self.kubelet, &parent.images()).await;
        let wanted = service_variables::wanted(&parent.object);
        let service_variables = Box::pin(environment::look_up(&self.cri, &parent.uid, &wanted)).await;
        let (api_host, api_port) = self.terms.service.clone().unwrap_or_default();
        NodeFacts {
            node_name: self.terms.node_name.clone(),
            api_host,
            api_port,
            images,
            service_variables,
            etc_kubernetes: self.terms.etc_dir.clone(),
            keep_annotations: self.terms.keep_annotations.clone(),
        }
    }
}

fn token_terms(terms: &CaptureTerms) -> TokenTerms {
    TokenTerms { node: terms.node_name.clone(), ttl: terms.token_ttl, now: clock::epoch_seconds() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_lasts_is_tried_less_and_less_often() {
        let (error, timings) = (CaptureError::Api("503".to_owned()), Timings::default());
        let waits: Vec<u64> = (1..=7).map(|n| error.retry_after(n, &timings).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(error.retry_after(u32::MAX, &timings), timings.refresh);
    }
}
