//! What container checkpoints need of this node and cluster: a runtime that writes and restores them, and an APIService
//! that answers.

use std::time::Duration;

use serde_json::Value;

use super::check::{Check, Outcome};
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::node::cri::{Cri, CriError};
use crate::node::criu::{Ability, abilities};

const LIMIT: Duration = Duration::from_secs(5);
const APISERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.checkpointer.alpha.coreos.com";
const APISERVICE_CHECK: &str = "APIService answers";

/// The runtime, by what it tells of itself.
pub(super) async fn runtime(cri: &Result<Cri, String>) -> Vec<Check> {
    match cri {
        Ok(cri) => ask(cri).await.unwrap_or_else(|why| vec![unseen(&why.to_string())]),
        Err(why) => vec![unseen(why)],
    }
}

async fn ask(cri: &Cri) -> Result<Vec<Check>, CriError> {
    let version = cri.version().await?;
    let config = cri.configuration().await?;
    let found = abilities(&version.name, &version.version, config.as_ref());
    let shown = format!("{} {}", version.name, version.version);
    Ok(vec![
        judge("runtime writes checkpoints", &shown, found.checkpoint, Outcome::Fail),
        judge("runtime restores checkpoints", &shown, found.restore, Outcome::Warn),
    ])
}

fn unseen(why: &str) -> Check {
    Check::warn(
        "runtime writes checkpoints",
        why,
        "cannot be seen from here; run this on the node, or mount the runtime's socket",
    )
}

/// `bad` is how bad it is if it cannot: restoring may be another node's business.
fn judge(name: &str, shown: &str, ability: Ability, bad: Outcome) -> Check {
    match ability {
        Ability::Yes => Check::ok(name, shown),
        Ability::No(remedy) => Check { outcome: bad, ..Check::fail(name, format!("{shown} does not"), remedy) },
        Ability::Unknown(why) => Check::warn(name, format!("{shown} does not tell"), why),
    }
}

/// The way for people. One that is there and broken is worse than none: the API server cannot delete any namespace then.
pub(super) async fn apiservice(client: &Result<ApiClient, String>) -> Check {
    match client {
        Ok(client) => judge_apiservice(client.get(APISERVICE, "APIService", LIMIT).await),
        Err(why) => Check::warn(APISERVICE_CHECK, why, "not asked"),
    }
}

fn judge_apiservice(answer: Result<Value, ApiError>) -> Check {
    let object = match answer {
        Ok(object) => object,
        Err(ApiError::NotFound(_)) => {
            return Check::warn(
                APISERVICE_CHECK,
                "it is not installed",
                "people reach serve with any kubeconfig through it: kubectl apply -f manifests/apiservice/",
            );
        }
        Err(why) => return Check::warn(APISERVICE_CHECK, why, "could not be asked; see the checks above"),
    };
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let available = conditions.and_then(|all| all.iter().find(|c| c["type"] == "Available"));
    let word = |field: &str| available.and_then(|c| c[field].as_str()).unwrap_or_default().to_owned();
    if word("status") == "True" {
        return Check::ok(APISERVICE_CHECK, "it is available");
    }
    Check::fail(
        APISERVICE_CHECK,
        format!("it is not available: {} {}", word("reason"), word("message")),
        "no namespace can be deleted while it is broken: see that its pods are Ready and reachable from the API server, \
         or take it away: kubectl delete apiservice v1alpha1.checkpointer.alpha.coreos.com",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_runtime_that_writes_none_fails_and_one_that_restores_none_is_to_know() {
        let no = || Ability::No("update it".to_owned());
        let check = judge("runtime writes checkpoints", "containerd 1.7", no(), Outcome::Fail);
        assert_eq!((check.outcome, check.remedy.as_deref()), (Outcome::Fail, Some("update it")));
        assert_eq!(judge("runtime restores checkpoints", "containerd 2.4", no(), Outcome::Warn).outcome, Outcome::Warn);
        assert_eq!(judge("x", "y", Ability::Yes, Outcome::Fail).outcome, Outcome::Ok);
    }

    #[test]
    fn a_broken_apiservice_is_worse_than_none() {
        let with = |status: &str| json!({"status": {"conditions": [{"type": "Available", "status": status, "reason": "MissingEndpoints", "message": "m"}]}});
        assert_eq!(judge_apiservice(Ok(with("True"))).outcome, Outcome::Ok);
        let broken = judge_apiservice(Ok(with("False")));
        assert_eq!(broken.outcome, Outcome::Fail);
        assert!(broken.finding.contains("MissingEndpoints") && broken.remedy.unwrap().contains("no namespace"));
        assert_eq!(judge_apiservice(Err(ApiError::NotFound("no".to_owned()))).outcome, Outcome::Warn);
        assert_eq!(judge_apiservice(Ok(json!({}))).outcome, Outcome::Fail);
    }
}
