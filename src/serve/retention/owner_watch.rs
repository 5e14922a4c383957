//! Asks the API, again and again, whether what archives are of is still there. Says so only of who was absent twice.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::orphans::{OwnerPresence, Suspects};
use super::policy::Owner;
use crate::backoff::spread;
use crate::clock;
use crate::cluster::client::{ApiClient, LIMIT};
use crate::cluster::error::ApiError;
use crate::cluster::requests;

/// Between two questions of a round, so that a node with thousands of pods' archives is no burden.
const BREATH: Duration = Duration::from_millis(50);

/// When what is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnerWatchTimings {
    /// Between two rounds.
    pub(super) round: Duration,
    /// Between the two answers that make one gone, at least.
    pub(super) apart: Duration,
}

/// Until nobody listens any more.
pub(super) async fn run(
    client: ApiClient,
    mut owners: watch::Receiver<BTreeSet<Owner>>,
    gone: mpsc::Sender<BTreeSet<Owner>>,
    pace: OwnerWatchTimings,
) {
    let mut suspects = Suspects::default();
    loop {
        let all = owners.borrow_and_update().clone();
        suspects.keep(&all);
        let mut answered = ask(&client, &all, &mut suspects, pace.apart).await;
        if suspects.suspected().next().is_some() {
            sleep(pace.apart).await;
            let again: BTreeSet<Owner> = suspects.suspected().cloned().collect();
            answered = ask(&client, &again, &mut suspects, pace.apart).await;
        }
        let found = suspects.take_gone();
        if !found.is_empty() && gone.send(found).await.is_err() {
            return;
        }
        // New archives may have new owners; but nobody is asked about more often than this, nor is an API that is away.
        sleep(spread(pace.apart.min(pace.round), 0.25, fastrand::f64())).await;
        let rest = if answered { pace.round } else { Duration::ZERO };
        if let Ok(Err(_)) = timeout(rest, owners.changed()).await {
            return;
        }
    }
}

/// False: nobody answered, and the round was broken off. Then nothing that was heard before it counts.
async fn ask(client: &ApiClient, owners: &BTreeSet<Owner>, suspects: &mut Suspects, apart: Duration) -> bool {
    for owner in owners {
        let Some(answer) = answer(client, owner).await else {
            *suspects = Suspects::default();
            return false;
        };
        suspects.hear(owner, answer, clock::now(), apart);
        sleep(BREATH).await;
    }
    true
}

/// Without a resource version, so the answer is not from a cache. `None`: no API server is to be had.
async fn answer(client: &ApiClient, owner: &Owner) -> Option<OwnerPresence> {
    let answer = match owner {
        Owner::Pod(namespace, pod) => requests::get_pod(client, namespace, pod, LIMIT).await,
        Owner::Namespace(namespace) => requests::get_namespace(client, namespace, LIMIT).await,
    };
    match answer {
        Ok(_) => Some(OwnerPresence::There),
        Err(ApiError::NotFound(_)) => Some(OwnerPresence::Absent),
        Err(why) => {
            tracing::debug!(%owner, %why, "cannot tell whether it is still there");
            (!why.is_outage()).then_some(OwnerPresence::Unknown)
        }
    }
}
