//! Saving a parent: fetch what it reads from the API, sanitise it, write it. The three are elsewhere; this is their
//! order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::parent::Parent;
use super::sanitize::{NodeFacts, NotRestorable, sanitize};
use super::store::{Store, StoreError};
use super::wanted::{Fetched, ObjectKind, wanted};
use crate::clock;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::objects::{ObjectCache, fetch};
use crate::cluster::tokens::TokenTerms;
use crate::node::cri::Cri;
use crate::node::images;
use crate::node::kubelet::KubeletDir;

/// Why a parent was not saved.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The pod itself, or something that it needs and that this node lacks.
    #[error("not restorable: {}", .0.reasons.join("; "))]
    NotRestorable(#[from] NotRestorable),
    /// The API did not answer in the middle of it.
    #[error("cannot fetch what it needs: {0}")]
    Api(#[from] ApiError),
    /// The disk.
    #[error("cannot write it: {0}")]
    Store(#[from] StoreError),
    /// Objects that are gone from the API: the saved copies stay.
    #[error("{}: gone from the API; the saved copy is kept", .0.join(", "))]
    Kept(Vec<String>),
}

/// What sanitising needs to know and the pod does not say.
#[derive(Debug, Clone)]
pub struct CaptureTerms {
    /// Name of this node.
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

/// Saves parents.
pub struct Capturer {
    /// The API.
    pub client: ApiClient,
    /// The runtime, for images.
    pub cri: Cri,
    /// The kubelet, for its records of pulls.
    pub kubelet: KubeletDir,
    /// The disk.
    pub store: Arc<Store>,
    /// What the pods do not say.
    pub terms: CaptureTerms,
    cache: ObjectCache,
}

impl Capturer {
    /// With an empty cache.
    pub fn new(client: ApiClient, cri: Cri, kubelet: KubeletDir, store: Arc<Store>, terms: CaptureTerms) -> Self {
        let cache = ObjectCache::new(token_terms(&terms));
        Self { client, cri, kubelet, store, terms, cache }
    }

    /// Begins a round in which each object is asked for once.
    pub fn begin_round(&mut self) {
        self.cache = ObjectCache::new(token_terms(&self.terms));
    }
}
