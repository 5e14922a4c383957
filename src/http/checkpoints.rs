//! The interface to checkpoints: who asks (401), what for (400), whether they may (403), of which pod (404), on which node;
//! then the workshop takes it, and the answer is written when it is done or when waiting has had its time. Nothing is
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

use super::forward::Forwarder;
use super::identity::{Authenticator, Identified, Via};
use super::listener::Peer;
use super::refusal::Refusal;
use crate::clock;
use crate::cluster::client::{ApiClient, LIMIT};
use crate::cluster::error::ApiError;
use crate::cluster::reviews::Reviews;
use crate::container::desk::{Declined, Follower, end_of};
use crate::container::job::{Identifier, Job, JobId, State as JobState};
use crate::container::limits;
use crate::container::request::{self, Form, Order, Place};
use crate::container::subject::Subject;
use crate::container::workshop::Workshop;

mod answer;
mod recipient;
mod rights;
mod route;

use answer::{To, answer};
use route::Route;

/// What the interface stands on.
pub struct Checkpoints {
    /// This node.
    pub node: String,
    /// The kubelet's directory, as callers see it.
    pub directory: PathBuf,
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// What they may.
    pub reviews: Reviews,
    /// Where pods and Secrets are looked up.
    pub api: ApiClient,
    /// Who does it.
    pub workshop: Arc<Workshop>,
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
) -> Result<Response, Refusal> {
    let began = Instant::now();
    let who = checkpoints.authenticator.identify(&peer, &headers).await?;
    let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&uri)
        .map_err(|_| Refusal::bad_request("the query of the URL cannot be read"))?;
    let route = route::route(&method, uri.path(), &query)?;
    let asked = Asked { who, method, path: uri.path().to_owned(), query, body, began };
    match route {
        Route::Take(form, place) => checkpoints.take(asked, form, place).await,
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
    fn patience(&self) -> Result<Duration, Refusal> {
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
    async fn take(&self, asked: Asked, form: Form, place: Place) -> Result<Response, Refusal> {
        let patience = asked.patience()?;
        let order = request::order(form, place, &asked.body).map_err(|why| Refusal::bad_request(why.to_string()))?;
        rights::may_take(&self.reviews, &asked.who.caller, &order).await?;
        let subject = self.subject(&order).await?;
        match &subject.node {
            Some(node) if *node == self.node => {}
            Some(node) => return self.hand_on(asked, &node.clone()).await,
            None => return Err(Refusal::conflict("the pod is on no node yet: there is nothing to checkpoint")),
        }
        let containers = subject.select(order.container.as_deref()).map_err(|why| recipient::unfit(&order, &why))?;
        let certificate = match &order.seal_to {
            Some(secret) => Some(recipient::certificate(&self.api, &order.namespace, secret).await?),
            None => None,
        };
        let now = clock::epoch_seconds();
        let job = Job {
            id: fresh()?,
            caller: asked.who.caller.user,
            pod_uid: subject.uid,
            containers,
            certificate,
            accepted: now,
            begun: None,
            changed: now,
            taken: Vec::new(),
            image: None,
            state: JobState::Accepted,
            order,
        };
        let asynchronous = job.order.asynchronous;
        let follower = self.workshop.take(job).await.map_err(|why| declined(&why))?;
        let patience = if asynchronous { Duration::ZERO } else { patience };
        self.follow(follower, patience, To::Maker).await
    }

    async fn look(&self, asked: Asked, which: &Identifier, namespace: Option<&str>) -> Result<Response, Refusal> {
        let unknown = || Refusal::not_found(format!("there is no checkpoint {which}, or none that you may see"));
        let patience = asked.patience()?;
        if which.node != self.node {
            if asked.who.via == Via::Forwarded || self.forwarder.is_none() {
                return Err(unknown());
            }
            let answered = self.hand_on(asked, &which.node).await;
            return answered.map_err(|why| if why.code == http::StatusCode::NOT_FOUND { unknown() } else { why });
        }
        let follower = self.workshop.desk().find(&which.job).ok_or_else(unknown)?;
        let job = Arc::clone(&follower.borrow());
        let elsewhere = namespace.is_some_and(|namespace| namespace != job.order.namespace);
        if elsewhere || !rights::may_look(&self.reviews, &asked.who.caller, &job).await? {
            return Err(unknown());
        }
        self.follow(follower, patience, To::Looker).await
    }

    /// Answers when the job is over, or with what is known when the caller's time is up.
    async fn follow(&self, mut follower: Follower, patience: Duration, to: To) -> Result<Response, Refusal> {
        let mut leaving = self.leaving.clone();
        let told = tokio::select! {
            biased;
            ended = end_of(&mut follower, patience) => ended,
            _ = leaving.wait_for(|leaving| *leaving) => {
                let id = follower.borrow().id.clone();
                return Err(Refusal::unavailable(format!(
                    "this instance is being stopped; the next one goes on with it: ask for checkpoint {}:{id}", self.node
                )));
            }
        };
        let job = told.unwrap_or_else(|| Arc::clone(&follower.borrow()));
        Ok(answer(&job, to, &self.node, &self.directory))
    }

    async fn subject(&self, order: &Order) -> Result<Subject, Refusal> {
        let Order { namespace, pod, .. } = order;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
        let object = self.api.get(&path, "Pod", LIMIT).await.map_err(|why| match why {
            ApiError::NotFound(_) => Refusal::not_found(format!("there is no pod {namespace}/{pod}")),
            why => Refusal::unavailable(format!("pod {namespace}/{pod} cannot be looked up: {why}")),
        })?;
        Subject::of(&object).map_err(|why| Refusal::unavailable(why.to_string()))
    }

    /// The instance on the node of the pod, or of the job, answers in our place. What was handed on once is not again.
    async fn hand_on(&self, asked: Asked, node: &str) -> Result<Response, Refusal> {
        let there = format!("the pod is on node {node}, and this is {}", self.node);
        if asked.who.via == Via::Forwarded {
            return Err(Refusal::conflict(format!("{there}: it has moved since another instance looked; ask again")));
        }
        let Some(forwarder) = &self.forwarder else {
            return Err(Refusal::conflict(format!("{there}: ask there, since DISABLE_ROUTE_FORWARD is set here")));
        };
        let mut patience = asked.patience()?;
        if asked.who.via == Via::FrontProxy {
            patience = patience.min(limits::AGGREGATED_NEXT.saturating_sub(asked.began.elapsed()));
        }
        let mut target = format!("{}?wait={}", asked.path, patience.as_secs());
        if let Some(identifier) = asked.query.get("checkpointIdentifier") {
            // It has been read, so it holds nothing that a query would have to escape.
            target = format!("{target}&checkpointIdentifier={identifier}");
        }
        let limit = patience + limits::NEXT_NODE;
        forwarder.send(node, &asked.who.caller, asked.method, &target, asked.body, limit).await
    }
}

/// Nobody can guess it: whoever knows an identifier was told it.
fn fresh() -> Result<JobId, Refusal> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Refusal::internal("no random numbers are to be had"))?;
    Ok(JobId::of(u64::from_be_bytes(bytes)))
}

fn declined(why: &Declined) -> Refusal {
    let after = u32::try_from(limits::RETRY_AFTER.as_secs()).unwrap_or(u32::MAX);
    match why {
        Declined::Full(_) => Refusal::too_many(after, why.to_string()),
        Declined::Closing => Refusal::unavailable(why.to_string()),
        Declined::Record(_) | Declined::Broken(_) => Refusal::internal(why.to_string()),
    }
}
