//! Retention: the kubelet's directory of archives within a policy, on every node. What is wanted (`resource`, `spec`, `policy`,
//! `effective_policy`, `policy_watch`), what is there (`inspect`, `index`, `index_file`, `owner_watch`, `orphans`), what goes and
//! why (`select`), who does it (`archive_dir`, `sweeper`) and who says so (`status`, `status_writer`). Archives are not taken
//! here, nor read beyond their headers.

pub mod archive_dir;
pub mod effective_policy;
pub mod index;
pub mod index_file;
mod inspect;
pub mod metrics;
pub mod orphans;
mod owner_watch;
pub mod policy;
pub mod policy_watch;
pub mod resource;
pub mod select;
pub mod spec;
pub mod status;
pub mod status_writer;
pub mod sweeper;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::cluster::client::ApiClient;

/// Rounds of deletions that may wait to be told; what finds no place is in the log alone.
const UNTOLD: usize = 16;

/// Where the policy is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// The resources of the cluster.
    Resources,
    /// A file in YAML, read again and again.
    File(PathBuf),
}

/// What retention has to know of its node.
#[derive(Debug, Clone)]
pub struct RetentionOptions {
    /// The kubelet's directory of archives, as it is mounted here.
    pub directory: PathBuf,
    /// A directory of its own, on a disk: the index and the last good policy. It is made if it is not there.
    pub state: PathBuf,
    /// The name by which the API server knows the node.
    pub node: String,
    /// Where the policy is from.
    pub source: PolicySource,
    /// When what is done.
    pub pace: sweeper::SweepTimings,
}

/// All of retention, until `stop` is over; then what is under way is brought to its end and the index written down. Without
/// `api` there are no resources, no orphans, and nobody is told but the log.
pub async fn start(
    options: RetentionOptions,
    api: Option<ApiClient>,
    in_use: Arc<dyn sweeper::InUse>,
    metrics: metrics::RetentionMetrics,
    stop: impl Future<Output = ()>,
) {
    let RetentionOptions { directory, state, node, source, pace } = options;
    let own = state.clone();
    if let Ok(Err(why)) = tokio::task::spawn_blocking(move || archive_dir::prepare(&own)).await {
        tracing::warn!(%why, "retention remembers nothing between runs");
    }
    let first = if source == PolicySource::Resources {
        policy_watch::at_first(&state)
    } else {
        effective_policy::EffectivePolicy::default()
    };
    let (effective, effective_changes) = watch::channel(Arc::new(first));
    let (reporting, reports) = watch::channel((source != PolicySource::Resources).then(BTreeSet::new));
    let (sweep_status, hears) = watch::channel(Arc::default());
    let (done, dones) = mpsc::channel(UNTOLD);
    let follows = async {
        match (source, api.clone()) {
            (PolicySource::File(path), _) => policy_watch::file(path, effective).await,
            (PolicySource::Resources, Some(api)) => {
                let findings = policy_watch::PolicySinks { effective, reporting };
                policy_watch::resources(api, state.clone(), findings).await;
            }
            (PolicySource::Resources, None) => {}
        }
        // Whatever happens to the policy's source, the sweeper decides when it is over.
        std::future::pending::<()>().await;
    };
    let tells = async {
        if let Some(api) = api.clone() {
            let inputs = status_writer::StatusInputs {
                effective: effective_changes.clone(),
                reporting: reports,
                sweep_status: hears,
                pause: pace.status,
                done: dones,
            };
            status_writer::run(api, node, inputs).await;
        }
        std::future::pending::<()>().await;
    };
    let sweeper = sweeper::Sweeper {
        directory,
        state: state.clone(),
        pace,
        effective: effective_changes.clone(),
        in_use,
        api: api.clone(),
        sweep_status,
        done,
        metrics,
    };
    tokio::select! {
        () = sweeper.run(stop) => {}
        () = follows => {}
        () = tells => {}
    }
}
