//! Which cluster answers: the UID of namespace kube-system, which lives as long as a cluster's etcd. Guards against
//! an empty etcd behind the same address, where everything would look deleted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::warn;

use super::client::ApiClient;
use super::error::ApiError;
use super::requests;
use crate::pod::key::Uid;

const NAMESPACE: &str = "kube-system";

/// What the guard says of the cluster that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterMatch {
    /// The one we know, or the first one seen.
    Same(Uid),
    /// We may not look: the guard is off.
    Unguarded,
    /// Not the one that the checkpoints were made from.
    Another(String),
}

/// Remembers which cluster has answered, so that another one is noticed.
pub struct Guard {
    known: Mutex<Option<Uid>>,
    off: AtomicBool,
    told: AtomicBool,
}

impl Guard {
    /// `expected` is what an earlier run recorded.
    pub fn new(expected: Option<Uid>) -> Self {
        Self { known: Mutex::new(expected), off: AtomicBool::new(false), told: AtomicBool::new(false) }
    }

    /// The cluster's identity, once known.
    pub fn uid(&self) -> Option<Uid> {
        self.known.lock().clone()
    }

    /// The right to look is missing.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// With a new connection: the right may have been given meanwhile.
    pub fn look_again(&self) {
        self.off.store(false, Ordering::Relaxed);
    }

    /// Asks who is there. An error says that nobody could be asked.
    pub async fn check(&self, client: &ApiClient, limit: Duration) -> Result<ClusterMatch, ApiError> {
        if self.is_off() {
            return Ok(ClusterMatch::Unguarded);
        }
        match requests::get_namespace(client, NAMESPACE, limit).await {
            Ok(namespace) => {
                let uid = namespace.pointer("/metadata/uid").and_then(|u| u.as_str());
                let uid = uid.ok_or_else(|| ApiError::Unavailable("namespace kube-system has no uid".to_owned()))?;
                Ok(self.compare(Uid::from(uid)))
            }
            Err(ApiError::Forbidden(why)) => {
                self.off.store(true, Ordering::Relaxed);
                if !self.told.swap(true, Ordering::Relaxed) {
                    warn!(%why, "cannot tell clusters apart: allow `get` on namespace kube-system to guard against an emptied etcd");
                }
                Ok(ClusterMatch::Unguarded)
            }
            // A cluster makes this namespace before anything else can live in it.
            Err(ApiError::NotFound(_)) => {
                Ok(ClusterMatch::Another("another cluster answers: it has no namespace kube-system (yet)".to_owned()))
            }
            Err(other) => Err(other),
        }
    }

    fn compare(&self, seen: Uid) -> ClusterMatch {
        let mut known = self.known.lock();
        match known.as_ref() {
            Some(expected) if *expected != seen => ClusterMatch::Another(format!(
                "another cluster answers: namespace kube-system has UID {seen}, the checkpoints here belong to \
                 {expected}; if that is intended, remove /etc/kubernetes/checkpoint-cluster and restart the agent"
            )),
            Some(_) => ClusterMatch::Same(seen),
            None => {
                *known = Some(seen.clone());
                ClusterMatch::Same(seen)
            }
        }
    }
}
