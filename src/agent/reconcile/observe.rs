//! Observe: fills one [`Snapshot`] from the sources as they stand. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::agent::store::Store;
use crate::clock;
use crate::cluster::client::{ApiClient, LIMIT};
use crate::cluster::pods::PodReader;
use crate::cluster::scheduling::daemonset_state;
use crate::moment::Observation;
use crate::node::kubelet::KubeletDir;
use crate::node::runtime_watch::RuntimeWatch;
use crate::pod::key::{Lineage, PodKey};
use crate::pod::memory::Memory;
use crate::pod::runtime::NodePods;
use crate::pod::snapshot::{Answer, Api, CaptureFailure, Inventory, OwnInstance, Scheduling, Scope, Snapshot};

/// The sources of a leading agent.
pub struct Observer {
    /// The name by which the API server knows this node.
    pub node_name: String,
    /// Where active checkpoints go.
    pub manifests_dir: PathBuf,
    /// The instance that observes, where it runs in a pod.
    pub own: Option<OwnInstance>,
    /// Whose parents are kept.
    pub scope: Scope,
    /// Parents in the API.
    pub reader: PodReader,
    /// The API, for questions that the reader does not follow.
    pub client: ApiClient,
    /// What the container runtime's list and events say of the node's pods.
    pub runtime: RuntimeWatch,
    /// The kubelet's directory, whose files say how it is configured.
    pub kubelet: KubeletDir,
    /// The kubelet's kubeconfig, where it was given.
    pub kubelet_kubeconfig: Option<PathBuf>,
    /// The node's directories with our files.
    pub store: Arc<Store>,
    /// The latest of [`Self::runtime`].
    pub pods: watch::Receiver<Observation<NodePods>>,
    /// The directories as loaded last; `None`: load them again.
    pub inventory: Option<Observation<Inventory>>,
    /// What could not be had at the start and is done without.
    pub faults: Vec<String>,
    /// Parents that are being saved.
    pub capturing: BTreeSet<PodKey>,
    /// Captures that failed, by parent.
    pub captures: BTreeMap<PodKey, CaptureFailure>,
    /// The DaemonSet's answer, where it was asked for.
    pub scheduling: Option<Observation<Scheduling>>,
}

impl Observer {
    /// Asks whether the agent's own DaemonSet still wants it here.
    pub async fn ask_scheduling(&mut self, own: &Lineage) {
        let asked = daemonset_state(&self.client, &own.namespace, &own.name, &self.node_name, LIMIT).await;
        self.scheduling = Some(match asked {
            Ok(answer) => Observation::Seen(answer, clock::now()),
            Err(why) => Observation::Unavailable(why.to_string()),
        });
    }

    /// One look at everything. Reads memory and, after a change, the disk; waits for nobody.
    pub fn observe(&mut self, memory: &Memory) -> Snapshot {
        let inventory = self.inventory.get_or_insert_with(|| match self.store.load() {
            Ok(inventory) => Observation::Seen(inventory, clock::now()),
            Err(why) => Observation::Unavailable(why.to_string()),
        });
        let mut api = self.reader.latest();
        api.silent_for = silent_for(&api, memory, &self.store);
        Snapshot {
            node_name: self.node_name.clone(),
            manifests_dir: self.manifests_dir.clone(),
            own: self.own.clone(),
            scope: self.scope.clone(),
            api,
            cluster: self.reader.cluster_uid(),
            scheduling: self.scheduling.clone(),
            runtime: self.pods.borrow_and_update().clone(),
            kubelet: self.kubelet.identity(),
            kubelet_cluster: self.kubelet.cluster(self.kubelet_kubeconfig.as_deref()),
            disk: inventory.clone(),
            faults: self.faults.iter().cloned().chain(self.client.faults()).collect(),
            capturing: self.capturing.clone(),
            captures: self.captures.clone(),
        }
    }
}

/// How long the API has not answered: by this boot's clock where it answered in this boot, else by the wall clock and
/// the mark that a checkpoint with a `max-offline` has the agent leave on disk.
fn silent_for(api: &Api, memory: &Memory, store: &Store) -> Option<Duration> {
    if matches!(api.answer, Answer::Listed(_)) {
        return Some(Duration::ZERO);
    }
    if let Some(last) = memory.last_api_read {
        return Some(clock::now().since(last));
    }
    let marked = store.last_api_read().ok().flatten()?;
    u64::try_from(clock::epoch_seconds() - marked).ok().map(Duration::from_secs)
}
