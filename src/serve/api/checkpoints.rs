//! The interface to checkpoints: who asks (401), what for (400), whether they may (403), of which pod (404), on which node;
//! then the worker accepts it, and the answer is written when it is done or when waiting has had its time. Nothing is
//! done here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::{Router, http};
use tokio::sync::watch;
use tokio::time::Instant;

use super::api_status::ApiStatus;
use super::forward::Forwarder;
use super::identity::{Authenticator, Identified, Via};
use super::listener::Peer;
use crate::checkpoint_api::{IDENTIFIER, waiting};
use crate::clock;
use crate::cluster::client::{ApiClient, LIMIT};
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::cluster::reviews::Reviews;
use crate::serve::jobs::job::{Identifier, Job, JobId, JobState};
use crate::serve::jobs::limits;
use crate::serve::jobs::pod_target::PodTarget;
use crate::serve::jobs::queue::{JobUpdates, RequestDenied, end_of};
use crate::serve::jobs::request;
use crate::serve::jobs::request::{ApiFlavor, CheckpointRequest, PodPath};
use crate::serve::jobs::worker::Worker;

mod answer;
mod recipient;
mod rights;
mod route;

use answer::{To, answer};
use route::Route;

/// What the interface stands on.
pub struct Checkpoints {
    /// Name of the node that this instance runs on.
    pub node: String,
    /// The kubelet's directory, as callers see it.
    pub directory: PathBuf,
    /// Says who asks.
    pub authenticator: Arc<Authenticator>,
    /// Asks the API server what callers may.
    pub reviews: Reviews,
    /// Where pods and Secrets are looked up.
    pub api: ApiClient,
    /// Accepts jobs and carries them out.
    pub worker: Arc<Worker>,
    /// The way to other nodes, unless it is closed.
    pub forwarder: Option<Forwarder>,
    /// Turns true when nobody can be kept waiting any more.
    pub leaving: watch::Receiver<bool>,
}

/// Every URL that is not somebody else's.
pub fn router(checkpoints: Arc<Checkpoints>) -> Router {
    Router::new().fallback(handle).with_state(checkpoints)
}

async fn handle(
    State(checkpoints): State<Arc<Checkpoints>>,
    Extension(peer): Extension<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiStatus> {
    let began = Instant::now();
    let who = checkpoints.authenticator.identify(&peer, &headers).await?;
    let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&uri)
        .map_err(|_| ApiStatus::bad_request("the query of the URL cannot be read"))?;
    let route = route::route(&method, uri.path(), &query)?;
    let asked = Asked { who, method, path: uri.path().to_owned(), query, body, began };
    match route {
        Route::Take(flavor, place) => checkpoints.take(asked, flavor, place).await,
        Route::Look(identifier, namespace) => checkpoints.look(asked, &identifier, namespace.as_deref()).await,
    }
}

/// A request whose sender is known.
struct Asked {
    who: Identified,
    method: Method,
    path: String,
    query: BTreeMap<String, String>,
    body: Bytes,
    began: Instant,
}

impl Asked {
    /// How long the caller is kept waiting: as they say, and never longer than the way that they came allows.
    fn patience(&self) -> Result<Duration, ApiStatus> {
        let wanted = route::wait(&self.query)?;
        let most = if self.who.via == Via::FrontProxy {
            limits::AGGREGATED.saturating_sub(self.began.elapsed())
        } else {
            limits::WAIT
        };
        Ok(wanted.map_or(most, |wanted| wanted.min(most)))
    }
}

impl Checkpoints {
    async fn take(&self, asked: Asked, flavor: ApiFlavor, place: PodPath) -> Result<Response, ApiStatus> {
        let patience = asked.patience()?;
        let request =
            request::parse(flavor, place, &asked.body).map_err(|why| ApiStatus::bad_request(why.to_string()))?;
        rights::may_take(&self.reviews, &asked.who.caller, &request).await?;
        let pod_target = self.pod_target(&request).await?;
        match &pod_target.node {
            Some(node) if *node == self.node => {}
            Some(node) => return self.forward(asked, &node.clone()).await,
            None => return Err(ApiStatus::conflict("the pod is on no node yet: there is nothing to checkpoint")),
        }
        let containers =
            pod_target.select(request.container.as_deref()).map_err(|why| recipient::unfit(&request, &why))?;
        let certificate = match &request.seal_to {
            Some(secret) => Some(recipient::certificate(&self.api, &request.namespace, secret).await?),
            None => None,
        };
        let now = clock::epoch_seconds();
        let job = Job {
            id: fresh()?,
            caller: asked.who.caller.user,
            pod_uid: pod_target.uid,
            containers,
            certificate,
            accepted: now,
            begun: None,
            changed: now,
            taken: Vec::new(),
            image: None,
            state: JobState::Accepted,
            request,
        };
        let asynchronous = job.request.asynchronous;
        let follower = self.worker.take(job).await.map_err(|why| declined(&why))?;
        let patience = if asynchronous { Duration::ZERO } else { patience };
        self.follow(follower, patience, To::Maker).await
    }

    async fn look(&self, asked: Asked, which: &Identifier, namespace: Option<&str>) -> Result<Response, ApiStatus> {
        let unknown = || ApiStatus::not_found(format!("there is no checkpoint {which}, or none that you may see"));
        let patience = asked.patience()?;
        if which.node != self.node {
            if asked.who.via == Via::Forwarded || self.forwarder.is_none() {
                return Err(unknown());
            }
            let answered = self.forward(asked, &which.node).await;
            return answered.map_err(|why| if why.code == http::StatusCode::NOT_FOUND { unknown() } else { why });
        }
        let follower = self.worker.queue().find(&which.job).ok_or_else(unknown)?;
        let job = Arc::clone(&follower.borrow());
        let elsewhere = namespace.is_some_and(|namespace| namespace != job.request.namespace);
        if elsewhere || !rights::may_look(&self.reviews, &asked.who.caller, &job).await? {
            return Err(unknown());
        }
        self.follow(follower, patience, To::Looker).await
    }

    /// Answers when the job is over, or with what is known when the caller's time is up.
    async fn follow(&self, mut follower: JobUpdates, patience: Duration, to: To) -> Result<Response, ApiStatus> {
        let mut leaving = self.leaving.clone();
        let told = tokio::select! {
            biased;
            ended = end_of(&mut follower, patience) => ended,
            _ = leaving.wait_for(|leaving| *leaving) => {
                let id = follower.borrow().id.clone();
                return Err(ApiStatus::unavailable(format!(
                    "this instance is being stopped; the next one goes on with it: ask for checkpoint {}:{id}", self.node
                )));
            }
        };
        let job = told.unwrap_or_else(|| Arc::clone(&follower.borrow()));
        Ok(answer(&job, to, &self.node, &self.directory))
    }

    async fn pod_target(&self, request: &CheckpointRequest) -> Result<PodTarget, ApiStatus> {
        let CheckpointRequest { namespace, pod, .. } = request;
        let object = requests::get_pod(&self.api, namespace, pod, LIMIT).await.map_err(|why| match why {
            ApiError::NotFound(_) => ApiStatus::not_found(format!("there is no pod {namespace}/{pod}")),
            why => ApiStatus::unavailable(format!("pod {namespace}/{pod} cannot be looked up: {why}")),
        })?;
        PodTarget::of(&object).map_err(|why| ApiStatus::unavailable(why.to_string()))
    }

    /// The instance on the node of the pod, or of the job, answers in our place. What was handed on once is not again.
    async fn forward(&self, asked: Asked, node: &str) -> Result<Response, ApiStatus> {
        let there = format!("the pod is on node {node}, and this is {}", self.node);
        if asked.who.via == Via::Forwarded {
            return Err(ApiStatus::conflict(format!("{there}: it has moved since another instance looked; ask again")));
        }
        let Some(forwarder) = &self.forwarder else {
            return Err(ApiStatus::conflict(format!("{there}: ask there, since DISABLE_ROUTE_FORWARD is set here")));
        };
        let mut patience = asked.patience()?;
        if asked.who.via == Via::FrontProxy {
            patience = patience.min(limits::AGGREGATED_NEXT.saturating_sub(asked.began.elapsed()));
        }
        let mut target = waiting(&asked.path, patience.as_secs());
        if let Some(identifier) = asked.query.get(IDENTIFIER) {
            // It has been read, so it holds nothing that a query would have to escape.
            target = format!("{target}&{IDENTIFIER}={identifier}");
        }
        let limit = patience + limits::NEXT_NODE;
        forwarder.send(node, &asked.who.caller, asked.method, &target, asked.body, limit).await
    }
}

/// Nobody can guess it: whoever knows an identifier was told it.
fn fresh() -> Result<JobId, ApiStatus> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| ApiStatus::internal("no random numbers are to be had"))?;
    Ok(JobId::of(u64::from_be_bytes(bytes)))
}

fn declined(why: &RequestDenied) -> ApiStatus {
    let after = u32::try_from(limits::RETRY_AFTER.as_secs()).unwrap_or(u32::MAX);
    match why {
        RequestDenied::Full(_) => ApiStatus::too_many(after, why.to_string()),
        RequestDenied::Closing => ApiStatus::unavailable(why.to_string()),
        RequestDenied::Record(_) | RequestDenied::Broken(_) => ApiStatus::internal(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::reviews::Caller;

    fn patience(via: Via, wait: Option<&str>, ago: u64) -> Duration {
        let caller = Caller { user: "jane".to_owned(), uid: None, groups: Vec::new(), extra: BTreeMap::new() };
        let query = wait.map(|wait| ("wait".to_owned(), wait.to_owned())).into_iter().collect();
        let began = Instant::now().checked_sub(Duration::from_secs(ago)).unwrap();
        let (method, path, body) = (Method::POST, String::new(), Bytes::new());
        Asked { who: Identified { caller, via }, method, path, query, body, began }.patience().unwrap()
    }

    #[test]
    fn through_the_api_server_nobody_waits_longer_than_it_does() {
        let limit = Duration::from_secs(60);
        for (wait, ago) in [(None, 0), (None, 20), (Some("3600"), 0), (Some("50"), 40), (None, 100)] {
            let whole = patience(Via::FrontProxy, wait, ago) + Duration::from_secs(ago);
            assert!(whole < limit || ago > 55, "{wait:?} after {ago} s: {whole:?}");
        }
        assert_eq!(patience(Via::FrontProxy, None, 100), Duration::ZERO);
        assert_eq!(patience(Via::FrontProxy, Some("2"), 0), Duration::from_secs(2));
    }

    #[test]
    fn straight_callers_wait_for_the_end_or_as_long_as_they_say() {
        assert_eq!(patience(Via::Token, None, 100), limits::WAIT);
        assert_eq!(patience(Via::Certificate, Some("7"), 0), Duration::from_secs(7));
        assert_eq!(patience(Via::Forwarded, Some("4000000000"), 0), limits::WAIT);
    }
}
