//! Sends to the API what retention did on this node: its part of the resources' status, and Events. Nothing waits for it,
//! and what cannot be sent is not kept: the log has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::effective_policy::{EffectivePolicy, PolicyOrigin};
use super::resource::CUSTOM_KIND;
use super::status::{self, DeletedArchive, Since, SweepStatus};
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::requests;

/// One request.
const LIMIT: Duration = Duration::from_secs(10);
/// Events for one round of deletions; the log has all of them.
const EVENTS: usize = 5;
const COMPONENT: &str = "pod-checkpointer";

/// What there is to tell.
pub struct StatusInputs {
    /// Which resources there are.
    pub effective: watch::Receiver<Arc<EffectivePolicy>>,
    /// The nodes that say something of themselves on the one that counts; `None`: the API has not said yet.
    pub reporting: watch::Receiver<Option<BTreeSet<String>>>,
    /// How the sweeper stands.
    pub sweep_status: watch::Receiver<Arc<SweepStatus>>,
    /// Between two changes of the status, where few nodes have a part in it; see [`status::pause`].
    pub pause: Duration,
    /// Deletions, a round at a time; what finds no place is in the log alone.
    pub done: mpsc::Receiver<Vec<DeletedArchive>>,
}

impl StatusInputs {
    fn pause(&self) -> Duration {
        status::pause(self.pause, self.reporting.borrow().as_ref().map_or(0, BTreeSet::len))
    }

    /// A change of policy reaches all nodes at once, and so does power: where they are many, they do not answer it at once.
    fn spread(&self) -> Duration {
        let pause = self.pause();
        if pause == self.pause { Duration::ZERO } else { pause.mul_f64(fastrand::f64()) }
    }

    fn has_place(&self, node: &str) -> bool {
        let reporting = self.reporting.borrow();
        reporting.as_ref().is_none_or(|reporting| status::has_place(reporting, node, &self.sweep_status.borrow()))
    }
}

/// Until nothing can come any more.
pub async fn run(client: ApiClient, node: String, mut inputs: StatusInputs) {
    let mut teller = Teller { client, node, since: Since::default(), sent: BTreeMap::new() };
    let mut listed = inputs.reporting.borrow().is_some();
    let mut due = listed.then(Instant::now);
    let mut next = Instant::now();
    loop {
        tokio::select! {
            changed = inputs.sweep_status.changed() => match changed {
                Ok(()) => due = due.or(listed.then_some(next)),
                Err(_) => return,
            },
            true = async { inputs.reporting.wait_for(Option::is_some).await.is_ok() }, if !listed => {
                listed = true;
                due = Some(Instant::now() + inputs.spread());
            }
            changed = inputs.effective.changed() => match changed {
                Ok(()) => due = listed.then(|| Instant::now() + inputs.spread()),
                Err(_) => return,
            },
            Some(done) = inputs.done.recv() => teller.events(&inputs, &done).await,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let sent = teller.status(&inputs).await;
                next = Instant::now() + inputs.pause();
                due = if sent { None } else { Some(next) };
            }
        }
    }
}

struct Teller {
    client: ApiClient,
    node: String,
    since: Since,
    /// By UID, what was last sent.
    sent: BTreeMap<String, Value>,
}

impl Teller {
    /// True if everything is as it should be there now.
    async fn status(&mut self, inputs: &StatusInputs) -> bool {
        let (effective, sweep_status) =
            (Arc::clone(&inputs.effective.borrow()), Arc::clone(&inputs.sweep_status.borrow()));
        let Some(origin) = effective.origin.as_ref().filter(|_| inputs.has_place(&self.node)) else { return true };
        self.since.at(Timestamp::now());
        let object = status::of_origin(origin, &effective, &sweep_status, &self.node, &mut self.since);
        let mut sent = self.apply(origin, object).await;
        for other in &effective.others {
            let object = status::of_other(other, origin, &self.node, &mut self.since);
            sent &= self.apply(other, object).await;
        }
        self.sent.retain(|uid, _| *uid == origin.uid || effective.others.iter().any(|other| other.uid == *uid));
        sent
    }

    /// By server-side apply: each node owns its part, and no node overwrites another's.
    async fn apply(&mut self, origin: &PolicyOrigin, object: Value) -> bool {
        if self.sent.get(&origin.uid) == Some(&object) {
            return true;
        }
        let (place, manager) =
            ((origin.namespace.as_str(), origin.name.as_str()), format!("{COMPONENT}-{}", self.node));
        match requests::apply_status(&self.client, CUSTOM_KIND, place, &manager, &object, LIMIT).await {
            Ok(()) => {
                self.sent.insert(origin.uid.clone(), object);
                true
            }
            Err(ApiError::NotFound(_)) => true,
            Err(why) => {
                tracing::debug!(%why, "cannot say in the resource's status how retention stands");
                false
            }
        }
    }

    async fn events(&self, inputs: &StatusInputs, done: &[DeletedArchive]) {
        let origin = inputs.effective.borrow().origin.clone();
        let mut groups: BTreeMap<(&str, &str), Vec<&DeletedArchive>> = BTreeMap::new();
        for done in done {
            groups.entry((&done.of, &done.why)).or_default().push(done);
        }
        for done in groups.into_values().take(EVENTS) {
            let Some(event) = status::event(origin.as_ref(), &self.node, &done, COMPONENT) else { continue };
            let namespace = event["metadata"]["namespace"].as_str().unwrap_or("default");
            if let Err(why) = requests::create_event(&self.client, namespace, &event, LIMIT).await {
                tracing::debug!(%why, "cannot make an Event of a deletion");
                return;
            }
        }
    }
}
