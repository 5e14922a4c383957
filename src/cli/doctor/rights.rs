//! The API server: reachable, and what this ServiceAccount may do there, asked by SelfSubjectAccessReview for each rule
//! of `rbac/`.

use std::time::Duration;

use serde_json::{Value, json};

use super::check::{Check, CheckOutcome};
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::requests::{self, Review};

pub(super) mod agent;
pub(super) mod serve;

const LIMIT: Duration = Duration::from_secs(5);

/// One right, and what is lost without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    /// `None`: in every namespace, or for a resource that has none.
    namespace: Option<String>,
    name: String,
    /// `None`: without it nothing works.
    without: Option<&'static str>,
}

/// Who asks: its rights, and what to say about them.
pub(super) struct RbacRole {
    rights: Vec<Right>,
    /// Against a missing right.
    remedy: &'static str,
    /// How to ask from inside its pod.
    command: &'static str,
    /// What follows when the API server does not accept its credentials.
    refused: &'static str,
    /// How bad an API server is that does not answer, and what follows.
    silent: (CheckOutcome, &'static str),
}

impl Right {
    fn review(&self) -> Value {
        let mut attributes = json!({ "verb": self.verb, "resource": self.resource });
        let optional = [
            ("group", self.group),
            ("subresource", self.subresource),
            ("namespace", self.namespace.as_deref().unwrap_or_default()),
            ("name", self.name.as_str()),
        ];
        for (field, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
            attributes[field] = json!(value);
        }
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": Review::SelfSubjectAccess.kind(),
            "spec": { "resourceAttributes": attributes },
        })
    }

    /// `get secrets in kube-system`, as a person would say it.
    fn words(&self) -> String {
        let resource = match self.subresource {
            "" => self.resource.to_owned(),
            sub => format!("{}/{sub}", self.resource),
        };
        let name = if self.name.is_empty() { String::new() } else { format!(" {}", self.name) };
        let place = self.namespace.as_ref().map_or(String::new(), |namespace| format!(" in {namespace}"));
        format!("{} {resource}{name}{place}", self.verb)
    }

    fn judge(&self, role: &RbacRole, answer: Result<Value, ApiError>) -> Check {
        let name = format!("right: {}", self.words());
        let allowed = match answer {
            Ok(review) => review.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false),
            Err(why) => return Check::warn(name, why, "could not be asked; see the checks above"),
        };
        match (allowed, self.without) {
            (true, _) => Check::ok(name, "yes"),
            (false, Some(lost)) => Check::warn(name, format!("no: {lost}"), role.remedy),
            (false, None) => Check::fail(name, "no", role.remedy),
        }
    }
}

const NAME: &str = "API server answers";

/// Reachability, then every right of a role, then servers that are not asked.
pub(super) async fn checks(client: &Result<ApiClient, String>, role: &RbacRole) -> Vec<Check> {
    let client = match client {
        Ok(client) => client,
        Err(why) => {
            return vec![Check::warn(NAME, why, format!("run doctor in the pod to see its rights: {}", role.command))];
        }
    };
    let mut checks = answers(client, role).await;
    checks.extend(client.faults().iter().map(|why| {
        Check::warn("API servers are asked over TLS", why, "correct `server:` in that kubeconfig, as the kubelet's own")
    }));
    checks
}

async fn answers(client: &ApiClient, role: &RbacRole) -> Vec<Check> {
    let mut checks = Vec::new();
    for right in &role.rights {
        let answer = requests::review(client, Review::SelfSubjectAccess, &right.review(), LIMIT).await;
        if let (Err(why), true) = (&answer, checks.is_empty()) {
            return vec![unreachable_or_refused(NAME, role, why)];
        }
        if checks.is_empty() {
            checks.push(Check::ok(NAME, client.address()));
        }
        checks.push(right.judge(role, answer));
    }
    checks
}

fn unreachable_or_refused(name: &str, role: &RbacRole, why: &ApiError) -> Check {
    if why.is_refusal() {
        return Check::fail(name, why, role.refused);
    }
    Check { outcome: role.silent.0, ..Check::fail(name, why, role.silent.1) }
}
