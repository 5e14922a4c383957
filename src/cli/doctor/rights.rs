//! The API server: reachable, and what this ServiceAccount may do there, asked by SelfSubjectAccessReview for each rule
//! of `rbac/`.

use std::time::Duration;

use serde_json::{Value, json};

use super::check::Check;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::pod::snapshot::Scope;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const LIMIT: Duration = Duration::from_secs(5);

/// One right, and what is lost without it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Right {
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

/// Every right, for the namespaces that are kept and for the agent's own ServiceAccount and DaemonSet.
fn rights(scope: &Scope, own_namespace: &str) -> Vec<Right> {
    let namespaces: Vec<Option<String>> = match scope {
        Scope::All => vec![None],
        Scope::Only(names) => names.iter().cloned().map(Some).collect(),
    };
    let right = |verb, resource, namespace: Option<&String>, without| Right {
        verb,
        group: "",
        resource,
        subresource: "",
        namespace: namespace.cloned(),
        name: String::new(),
        without,
    };
    let mut rights = Vec::new();
    for namespace in &namespaces {
        for verb in ["get", "list", "watch"] {
            rights.push(right(verb, "pods", namespace.as_ref(), None));
        }
        for resource in ["secrets", "configmaps"] {
            rights.push(right("get", resource, namespace.as_ref(), None));
        }
    }
    let own = own_namespace.to_owned();
    let guarded = "kube-system".to_owned();
    let agent = || "pod-checkpointer".to_owned();
    rights.push(Right {
        subresource: "token",
        name: agent(),
        ..right("create", "serviceaccounts", Some(&own), Some("no token is kept for the agent's own checkpoint: after a reboot it waits for the API server's node to know it again"))
    });
    rights.push(Right {
        group: "apps",
        name: agent(),
        ..right("get", "daemonsets", Some(&own), Some("that it was uninstalled is noticed only after 10 minutes"))
    });
    rights.push(right(
        "get",
        "nodes",
        None,
        Some("tokens are not bound to this Node, and being excluded from it is noticed late"),
    ));
    rights.push(Right {
        name: guarded.clone(),
        ..right("get", "namespaces", Some(&guarded), Some("another cluster behind the same address (a fresh etcd) is not told from this one, and checkpoints would be retired"))
    });
    rights
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
            "kind": "SelfSubjectAccessReview",
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

    fn judge(&self, answer: Result<Value, ApiError>) -> Check {
        let name = format!("right: {}", self.words());
        let allowed = match answer {
            Ok(review) => review.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false),
            Err(why) => return Check::warn(name, why, "could not be asked; see the checks above"),
        };
        match (allowed, self.without) {
            (true, _) => Check::ok(name, "yes"),
            (false, Some(lost)) => Check::warn(name, format!("no: {lost}"), "kubectl apply -f rbac/"),
            (false, None) => Check::fail(name, "no", "kubectl apply -f rbac/, with a RoleBinding in each --namespace"),
        }
    }
}

/// Reachability, then every right.
pub(super) async fn checks(client: &Result<ApiClient, String>, scope: &Scope, own_namespace: &str) -> Vec<Check> {
    const NAME: &str = "API server answers";
    let client = match client {
        Ok(client) => client,
        Err(why) => {
            return vec![Check::warn(
                NAME,
                why,
                "run doctor in the agent's pod to see its rights: kubectl -n kube-system exec ds/pod-checkpointer -- /pod-checkpointer doctor",
            )];
        }
    };
    let mut checks = Vec::new();
    for right in rights(scope, own_namespace) {
        let answer = client.post(REVIEWS, &right.review(), "SelfSubjectAccessReview", LIMIT).await;
        if let (Err(why), true) = (&answer, checks.is_empty()) {
            return vec![unreachable_or_refused(NAME, why)];
        }
        if checks.is_empty() {
            checks.push(Check::ok(NAME, client.address()));
        }
        checks.push(right.judge(answer));
    }
    checks
}

fn unreachable_or_refused(name: &str, why: &ApiError) -> Check {
    if why.is_refusal() {
        return Check::fail(name, why, "nothing is saved or retired; check the ServiceAccount and its token");
    }
    Check::warn(name, why, "what is saved is brought back without it; nothing new is saved until it answers")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::check::Outcome;
    use super::*;

    fn only(namespaces: &[&str]) -> Scope {
        Scope::Only(namespaces.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>())
    }

    #[test]
    fn each_kept_namespace_needs_its_own_rights() {
        let words: Vec<String> = rights(&only(&["a", "b"]), "kube-system").iter().map(Right::words).collect();
        for expected in
            ["watch pods in a", "get secrets in b", "create serviceaccounts/token pod-checkpointer in kube-system"]
        {
            assert!(words.iter().any(|w| w == expected), "{expected} is not among {words:?}");
        }
        let everywhere: Vec<String> = rights(&Scope::All, "ops").iter().map(Right::words).collect();
        assert!(everywhere.contains(&"list pods".to_owned()), "{everywhere:?}");
    }

    #[test]
    fn a_review_names_what_the_api_server_would_check() {
        let token = rights(&only(&["a"]), "ops").into_iter().find(|r| r.subresource == "token").unwrap();
        let attributes = &token.review()["spec"]["resourceAttributes"];
        let expected = json!({"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "ops", "name": "pod-checkpointer"});
        assert_eq!(*attributes, expected);
    }

    #[test]
    fn a_missing_right_fails_only_where_nothing_works_without_it() {
        let rights = rights(&only(&["a"]), "a");
        let no = || Ok(json!({"status": {"allowed": false}}));
        let secrets = rights.iter().find(|r| r.resource == "secrets").unwrap();
        assert_eq!(secrets.judge(no()).outcome, Outcome::Fail);
        let nodes = rights.iter().find(|r| r.resource == "nodes").unwrap();
        assert_eq!(nodes.judge(no()).outcome, Outcome::Warn);
        assert_eq!(nodes.judge(Ok(json!({"status": {"allowed": true}}))).outcome, Outcome::Ok);
    }

    #[test]
    fn an_api_server_that_is_away_is_what_this_program_is_for() {
        assert_eq!(unreachable_or_refused("api", &ApiError::Unavailable("refused".to_owned())).outcome, Outcome::Warn);
        assert_eq!(unreachable_or_refused("api", &ApiError::Refused("401".to_owned())).outcome, Outcome::Fail);
    }
}
