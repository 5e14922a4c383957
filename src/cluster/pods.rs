//! The parents of this node, kept current by one task: list, watch, list again. [`PodReader`] is its handle.
//!
//! What it publishes is what was answered, and when. It does not judge: a pod that is gone from a list is simply not
//! in the map any more.

mod follow;
mod pod_cache;
mod pod_list;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::client::ApiClient;
use super::identity::Guard;
pub use super::list_watch::ListWatchTimings as PodWatchTimings;
use crate::clock;
use crate::dns_name::{InvalidName, check_name};
use crate::pod::key::Uid;
use crate::pod::snapshot::{Answer, Api, Scope};

/// Questions waiting for the task; more wait in their askers.
const ASKS: usize = 16;

/// Which pods a [`PodReader`] follows, of which cluster, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderConfig {
    /// Name of this node.
    pub node: String,
    /// The namespaces whose pods are followed.
    pub scope: Scope,
    /// The cluster's identity as recorded by an earlier run.
    pub expected: Option<Uid>,
    /// `--keep-annotation`: prefixes of annotations that enter checkpoints, so that a change of one is a change.
    pub keep_annotations: Vec<String>,
    /// Deadlines, waits and the lives of watches.
    pub pace: PodWatchTimings,
}

/// The handle. Dropping it ends the task.
pub struct PodReader {
    latest: watch::Receiver<Api>,
    asks: mpsc::Sender<oneshot::Sender<Api>>,
    guard: Arc<Guard>,
    limit: Duration,
    task: JoinHandle<()>,
}

impl PodReader {
    /// Starts following and waits for the first outcome (at most one list's limit; with no route at all
    /// `boot_patience` longer), so that "not asked yet" can never be taken for "unavailable".
    pub async fn start(client: ApiClient, config: ReaderConfig) -> Result<Self, InvalidName> {
        check_name("node name", &config.node)?;
        if let Scope::Only(all) = &config.scope {
            all.iter().try_for_each(|ns| check_name("namespace", ns))?;
        }
        let guard = Arc::new(Guard::new(config.expected.clone()));
        let limit = config.pace.limit;
        let (publish, latest) = watch::channel(nobody("the API server has not been asked yet"));
        let (asks, asked) = mpsc::channel(ASKS);
        let (first, started) = oneshot::channel();
        let task = tokio::spawn(follow::run(client, config, guard.clone(), publish, asked, first));
        // An error means that the task ended; then `latest` says "unavailable", which is so.
        let _ = started.await;
        Ok(Self { latest, asks, guard, limit, task })
    }

    /// What was last answered; its `at` moves with every sign of life of the watch.
    pub fn latest(&self) -> Api {
        self.latest.borrow().clone()
    }

    /// For waiting until the answer changes; signs of life alone do not wake it.
    pub fn subscribe(&self) -> watch::Receiver<Api> {
        self.latest.clone()
    }

    /// One fresh, consistent list, whose outcome is published too. Those who ask meanwhile share it.
    pub async fn ask(&self) -> Api {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.asks.send(reply).await.ok()?;
            answer.await.ok()
        };
        // The task may be opening watches at a server that just vanished; the asker's patience is not longer for it.
        match tokio::time::timeout(self.limit + self.limit / 4, exchange).await {
            Ok(Some(api)) => api,
            Ok(None) => nobody("following the API server has ended"),
            Err(_) => nobody("the API server did not answer in time"),
        }
    }

    /// UID of namespace kube-system, once it was seen or where it was expected.
    pub fn cluster_uid(&self) -> Option<Uid> {
        self.guard.uid()
    }

    /// Clusters cannot be told apart: the right to read namespace kube-system is missing.
    pub fn unguarded(&self) -> bool {
        self.guard.is_off()
    }
}

impl Drop for PodReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// See [`super::fuzzed`].
#[cfg(fuzzing)]
pub(super) fn fuzzed(page: &[u8], lines: &[u8]) -> Option<usize> {
    use super::list_watch::event::read_line;
    let filter = pod_list::PodFilter { node: "n1".to_owned(), keep_annotations: vec!["cni.example/".to_owned()] };
    let page = pod_list::read(page, &filter).ok()?;
    let (version, mut cache) = (page.version.clone(), pod_cache::PodCache::default());
    let parents = page.parents.len();
    cache.replace([page]);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Ok(Some(event)) = read_line(line, &version) {
            cache.apply(&event, &filter);
        }
    }
    Some(parents)
}

fn nobody(why: &str) -> Api {
    let refused = std::collections::BTreeMap::new();
    Api { answer: Answer::Unavailable(why.to_owned()), refused, at: clock::now(), silent_for: None }
}
