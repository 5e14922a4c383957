//! Who holds a token, and what they may do: the API server's TokenReview and SubjectAccessReview. What is then done about it
//! is decided by who asked. Whatever is not a clear yes is a no, and an API server that gives no answer is an error.

mod cache;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::client::ApiClient;
use super::error::ApiError;
use super::requests::{self, Review};
use cache::{Cache, Key};

/// An answer is used again for so long. A right that was taken away ends no later.
pub const CACHED_FOR: Duration = Duration::from_secs(10);
/// Answers of each kind that are remembered.
pub const CACHED_MOST: usize = 1024;
/// Questions under way at a time: strangers with made-up tokens must not become a flood for the API server.
const AT_ONCE: usize = 16;
/// Waiting for one's turn and for the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// No token of a cluster is longer; anything longer is not looked at.
const LONGEST_TOKEN: usize = 16 << 10;

/// Somebody whom the cluster knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// As in RBAC, e.g. `system:serviceaccount:default:ci`.
    pub user: String,
    /// Where the authenticator says one.
    pub uid: Option<String>,
    /// In the authenticator's order.
    pub groups: Vec<String>,
    /// Whatever else authorizers look at; keys in lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// One thing that somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Access {
    /// As in RBAC: `create`, `delete`, `get`.
    pub verb: &'static str,
    /// API group; empty is the core group.
    pub group: &'static str,
    /// Plural, e.g. `pods`.
    pub resource: &'static str,
    /// E.g. `checkpoint`.
    pub subresource: Option<&'static str>,
    /// Never all namespaces: those are not asked for here.
    pub namespace: String,
    /// One object; none is any of them.
    pub name: Option<String>,
}

/// What came of asking for access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessReview {
    /// Go on.
    Allowed,
    /// No, and what the authorizer says about it (may be empty).
    Denied(String),
}

/// Asks the API server. Cheap to clone; clones share what was answered.
#[derive(Clone)]
pub struct Reviews(Arc<Inner>);

struct Inner {
    client: ApiClient,
    turns: Semaphore,
    callers: Cache<Option<Caller>>,
    verdicts: Cache<AccessReview>,
}

impl Reviews {
    /// Nothing is asked yet. Needs `create` on tokenreviews and subjectaccessreviews.
    pub fn new(client: ApiClient) -> Self {
        let (callers, verdicts) = (Cache::new(CACHED_MOST, CACHED_FOR), Cache::new(CACHED_MOST, CACHED_FOR));
        Self(Arc::new(Inner { client, turns: Semaphore::new(AT_ONCE), callers, verdicts }))
    }

    /// Who holds `token`; none where it is nobody's, over, or meant for others than `audience`. Without an audience it is
    /// one of the API server's own.
    pub async fn authenticate(&self, token: &str, audience: Option<&str>) -> Result<Option<Caller>, ApiError> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Ok(None);
        }
        let key = Key::of(&(token, audience));
        if let Some(known) = self.0.callers.get(&key) {
            return Ok(known);
        }
        let audiences: Vec<&str> = audience.into_iter().collect();
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": Review::Token.kind(),
            "spec": {"token": token, "audiences": audiences},
        });
        let answer = self.ask(Review::Token, &review).await?;
        let caller = holder(&answer, audience)?;
        self.0.callers.put(key, caller.clone());
        Ok(caller)
    }

    /// Whether `caller` may do that.
    pub async fn allowed(&self, caller: &Caller, access: &Access) -> Result<AccessReview, ApiError> {
        let key = Key::of(&(caller, access));
        if let Some(known) = self.0.verdicts.get(&key) {
            return Ok(known);
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": Review::SubjectAccess.kind(),
            "spec": {
                "user": caller.user,
                "uid": caller.uid,
                "groups": caller.groups,
                "extra": caller.extra,
                "resourceAttributes": {
                    "verb": access.verb,
                    "group": access.group,
                    "resource": access.resource,
                    "subresource": access.subresource,
                    "namespace": access.namespace,
                    "name": access.name,
                },
            },
        });
        let verdict = verdict(&self.ask(Review::SubjectAccess, &review).await?)?;
        self.0.verdicts.put(key, verdict.clone());
        Ok(verdict)
    }

    async fn ask(&self, kind: Review, review: &Value) -> Result<Value, ApiError> {
        let asking = async {
            // The semaphore is never closed.
            let _turn = self.0.turns.acquire().await;
            requests::review(&self.0.client, kind, review, LIMIT).await
        };
        let late = || ApiError::Unavailable(format!("no turn to ask for a {} within {LIMIT:?}", kind.kind()));
        tokio::time::timeout(LIMIT + Duration::from_millis(100), asking).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The API server lists the audiences that fit among those asked for. One that knows no audiences lists none: its yes
/// says nothing about ours.
fn holder(answer: &Value, audience: Option<&str>) -> Result<Option<Caller>, ApiError> {
    let nonsense = |what: &str| ApiError::Unavailable(format!("answered a TokenReview {what}"));
    let status = answer.get("status").and_then(Value::as_object).ok_or_else(|| nonsense("without a status"))?;
    if status.get("authenticated").and_then(Value::as_bool) != Some(true) {
        return Ok(None);
    }
    if let Some(audience) = audience {
        let fitting = status.get("audiences").and_then(Value::as_array);
        if !fitting.is_some_and(|all| all.iter().any(|a| a.as_str() == Some(audience))) {
            return Ok(None);
        }
    }
    let user: User = status
        .get("user")
        .and_then(|user| serde_json::from_value(user.clone()).ok())
        .ok_or_else(|| nonsense("with a user that cannot be read"))?;
    if user.username.is_empty() {
        return Err(nonsense("with a user without a name"));
    }
    let uid = user.uid.filter(|uid| !uid.is_empty());
    let (groups, extra) = (user.groups.unwrap_or_default(), user.extra.unwrap_or_default());
    Ok(Some(Caller { user: user.username, uid, groups, extra }))
}

/// `UserInfo` of authentication.k8s.io/v1.
#[derive(Deserialize)]
struct User {
    username: String,
    uid: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

fn verdict(answer: &Value) -> Result<AccessReview, ApiError> {
    let said = |field: &str| answer.pointer(&format!("/status/{field}"));
    let allowed = said("allowed")
        .and_then(Value::as_bool)
        .ok_or_else(|| ApiError::Unavailable("answered a SubjectAccessReview without a verdict".to_owned()))?;
    let denied = said("denied").and_then(Value::as_bool).unwrap_or(false);
    if allowed && !denied {
        return Ok(AccessReview::Allowed);
    }
    let words = ["reason", "evaluationError"].map(|field| said(field).and_then(Value::as_str).unwrap_or_default());
    let words: Vec<&str> = words.into_iter().filter(|text| !text.is_empty()).collect();
    Ok(AccessReview::Denied(words.join("; ").chars().take(500).collect()))
}

#[cfg(test)]
mod tests;
