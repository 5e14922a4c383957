//! Who may have what done: the questions that are put to the API server's authorizers, in the order in which a caller may
//! learn the answers. An authorizer that cannot be asked has not said yes.

use super::super::api_status::ApiStatus;
use crate::checkpoint_api::GROUP;
use crate::cluster::error::ApiError;
use crate::cluster::reviews::{Access, AccessReview, Caller, Reviews};
use crate::serve::jobs::job::Job;
use crate::serve::jobs::request::CheckpointRequest;

/// What the order needs, the first thing first.
fn needed(request: &CheckpointRequest) -> Vec<Access> {
    let pods = |verb, group, subresource| Access {
        verb,
        group,
        resource: "pods",
        subresource,
        namespace: request.namespace.clone(),
        name: Some(request.pod.clone()),
    };
    let mut all = vec![pods("create", GROUP, Some("checkpoint"))];
    if request.delete_pod {
        all.push(pods("delete", "", None));
    }
    all.extend(request.seal_to.as_ref().map(|secret| Access {
        verb: "get",
        group: "",
        resource: "secrets",
        subresource: None,
        namespace: request.namespace.clone(),
        name: Some(secret.clone()),
    }));
    all
}

/// Goes on only if the caller may have all of it done.
pub(super) async fn may_take(reviews: &Reviews, caller: &Caller, request: &CheckpointRequest) -> Result<(), ApiStatus> {
    for access in needed(request) {
        if let AccessReview::Denied(why) = reviews.allowed(caller, &access).await.map_err(|why| unknown(&why))? {
            return Err(denied(caller, &access, &why));
        }
    }
    Ok(())
}

/// Whether the caller may know of the job: who may read checkpoints there, and who had it taken and still could.
pub(super) async fn may_look(reviews: &Reviews, caller: &Caller, job: &Job) -> Result<bool, ApiStatus> {
    let reads = Access {
        verb: "get",
        group: GROUP,
        resource: "checkpoints",
        subresource: None,
        namespace: job.request.namespace.clone(),
        name: Some(job.id.to_string()),
    };
    if reviews.allowed(caller, &reads).await.map_err(|why| unknown(&why))? == AccessReview::Allowed {
        return Ok(true);
    }
    let Some(takes) = needed(&job.request).into_iter().next().filter(|_| caller.user == job.caller) else {
        return Ok(false);
    };
    Ok(reviews.allowed(caller, &takes).await.map_err(|why| unknown(&why))? == AccessReview::Allowed)
}

fn denied(caller: &Caller, access: &Access, why: &str) -> ApiStatus {
    let Access { verb, group, resource, subresource, namespace, name } = access;
    let what = subresource.map_or((*resource).to_owned(), |sub| format!("{resource}/{sub}"));
    let group = if group.is_empty() { String::new() } else { format!(" of group {group}") };
    let name = name.as_deref().unwrap_or("any");
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    ApiStatus::forbidden(format!("{} may not {verb} {what}{group} in namespace {namespace} ({name}){why}", caller.user))
}

fn unknown(why: &ApiError) -> ApiStatus {
    tracing::warn!("a caller's rights cannot be found out: {why}");
    ApiStatus::unavailable(
        "whether you may do that cannot be found out now: the API server does not answer our review; try again",
    )
}
