//! This node's pods behind [`super::PodReader`]: what a list and a watch say of them is published, and who asks is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::ReaderConfig;
use super::pod_cache::{PodCache, WatchOutcome, all_same};
use super::pod_list::{self, PodFilter};
use crate::clock;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::identity::{ClusterMatch, Guard};
use crate::cluster::list_watch::event::WatchEvent;
use crate::cluster::list_watch::{Collection, Disconnect, ListWatch, Listed, Page, WatchHandler};
use crate::cluster::requests;
use crate::moment::BootInstant;
use crate::pod::snapshot::{Answer, Api, Scope};

/// What is known of the pods, and who is to know it.
struct Follower {
    client: ApiClient,
    /// Of each collection; none where there is one of all namespaces.
    namespaces: Vec<String>,
    /// Namespaces that were refused by the last list, and why.
    refused: BTreeMap<String, String>,
    filter: PodFilter,
    guard: Arc<Guard>,
    cache: PodCache,
    publish: watch::Sender<Api>,
    asks: mpsc::Receiver<oneshot::Sender<Api>>,
    pending: Vec<oneshot::Sender<Api>>,
    /// Told when something was published for the first time.
    first: Option<oneshot::Sender<()>>,
}

/// Until the handle is dropped. `first` is told when something was published.
pub(super) async fn run(
    client: ApiClient,
    config: ReaderConfig,
    guard: Arc<Guard>,
    publish: watch::Sender<Api>,
    asks: mpsc::Receiver<oneshot::Sender<Api>>,
    first: oneshot::Sender<()>,
) {
    let pods = |namespace| Collection::all(requests::pods_path(namespace)).on_node(&config.node);
    let collections = match &config.scope {
        Scope::All => vec![pods(None)],
        Scope::Only(all) => all.iter().map(|namespace| pods(Some(namespace.as_str()))).collect(),
    };
    let list_watch = ListWatch::new(client.clone(), collections, config.pace);
    let namespaces = match &config.scope {
        Scope::All => Vec::new(),
        Scope::Only(all) => all.iter().cloned().collect(),
    };
    let mut follower = Follower {
        client,
        namespaces,
        filter: PodFilter { node: config.node, keep_annotations: config.keep_annotations },
        guard,
        cache: PodCache::default(),
        refused: BTreeMap::new(),
        publish,
        asks,
        pending: Vec::new(),
        first: Some(first),
    };
    list_watch.run(&mut follower).await;
}

impl Page for pod_list::Page {
    fn version(&self) -> &str {
        &self.version
    }

    fn more(&self) -> Option<&str> {
        self.more.as_deref()
    }
}

impl WatchHandler for Follower {
    type Page = pod_list::Page;

    fn read_page(&self, answer: &[u8]) -> Result<pod_list::Page, String> {
        pod_list::read(answer, &self.filter)
    }

    /// Another cluster's list says nothing about our pods.
    async fn check_server(&self, client: &ApiClient, limit: Duration) -> Result<(), ApiError> {
        match self.guard.check(client, limit).await? {
            ClusterMatch::Another(why) => Err(ApiError::OtherCluster(why)),
            ClusterMatch::Same(_) | ClusterMatch::Unguarded => Ok(()),
        }
    }

    fn connecting(&mut self) {
        self.guard.look_again();
    }

    fn listed(&mut self, outcome: Result<Listed<pod_list::Page>, ApiError>) {
        self.publish_list(outcome);
        if let Some(first) = self.first.take() {
            // Nobody waits only where the handle is already gone.
            let _ = first.send(());
        }
    }

    fn watched(&mut self, event: Option<WatchEvent>, alive_at: BootInstant) -> Result<(), String> {
        let changed = match event.map(|event| self.cache.apply(&event, &self.filter)) {
            Some(WatchOutcome::Complaint(complaint)) => {
                warn!(%complaint, "a pod object of the API server cannot be read; its last readable version stands");
                false
            }
            None | Some(WatchOutcome::Alive) => false,
            Some(WatchOutcome::Changed) => true,
        };
        let cache = &self.cache;
        self.publish.send_if_modified(|api| {
            api.at = alive_at;
            if changed {
                api.answer = Answer::Listed(cache.pods().clone());
            }
            changed
        });
        Ok(())
    }

    /// The list that comes next says how the API server stands.
    fn disconnected(&mut self, _: &Disconnect) {}

    async fn list_wanted(&mut self) -> bool {
        let ask = self.asks.recv().await;
        let listening = ask.is_some();
        self.pending.extend(ask);
        listening
    }
}

impl Follower {
    /// Publishes the outcome of a list and answers everyone who asked before it ended.
    fn publish_list(&mut self, outcome: Result<Listed<pod_list::Page>, ApiError>) {
        let answer = match outcome {
            Ok(listed) => {
                for complaint in self.cache.replace(listed.pages) {
                    warn!(%complaint, "a pod object of the API server cannot be read; it is left out");
                }
                self.note_refused(listed.refused);
                Answer::Listed(self.cache.pods().clone())
            }
            Err(ApiError::OtherCluster(why)) => Answer::OtherCluster(why),
            Err(e) if e.is_refusal() => Answer::Refused(e.to_string()),
            // A 404 or 400 for a list of pods comes from no API server worth the name.
            Err(e) => Answer::Unavailable(e.to_string()),
        };
        let at = clock::now();
        let refused = &self.refused;
        self.publish.send_if_modified(|api| {
            let changed = differs(&api.answer, &answer) || api.refused != *refused;
            if std::mem::discriminant(&api.answer) != std::mem::discriminant(&answer) {
                log_turn(&answer, &self.client);
            }
            *api = Api { answer, refused: refused.clone(), at, silent_for: None };
            changed
        });
        while let Ok(ask) = self.asks.try_recv() {
            self.pending.push(ask);
        }
        for ask in self.pending.drain(..) {
            // An asker that gave up waiting is fine.
            let _ = ask.send(self.publish.borrow().clone());
        }
    }
}

impl Follower {
    /// One namespace that is refused says nothing of the others.
    fn note_refused(&mut self, refused: Vec<(usize, ApiError)>) {
        let by_namespace =
            |(index, why): (usize, ApiError)| Some((self.namespaces.get(index)?.clone(), why.to_string()));
        let refused: BTreeMap<String, String> = refused.into_iter().filter_map(by_namespace).collect();
        for (namespace, why) in refused.iter().filter(|(namespace, _)| !self.refused.contains_key(*namespace)) {
            warn!(%namespace, %why, "a namespace is refused: nothing in it is saved or retired; see rbac/");
        }
        self.refused = refused;
    }
}

/// Worth waking those who wait. The words of an unavailability change with every attempt.
fn differs(before: &Answer, after: &Answer) -> bool {
    match (before, after) {
        (Answer::Unavailable(_), Answer::Unavailable(_)) => false,
        (Answer::Listed(before), Answer::Listed(after)) => !all_same(before, after),
        _ => before != after,
    }
}

fn log_turn(answer: &Answer, client: &ApiClient) {
    match answer {
        Answer::Listed(pods) => info!(server = client.address(), parents = pods.len(), "the API server answers"),
        Answer::Refused(why) | Answer::OtherCluster(why) | Answer::Unavailable(why) => {
            warn!(%why, "the API server gives no answer to rely on");
        }
    }
}
