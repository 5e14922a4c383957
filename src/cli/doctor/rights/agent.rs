//! What the agent (`run`) may do, rule by rule of `rbac/`.

use super::super::check::CheckOutcome;
use super::{RbacRole, Right};
use crate::pod::snapshot::Scope;

/// The agent, for the namespaces that are kept and its own ServiceAccount and DaemonSet.
pub(crate) fn role(scope: &Scope, own_namespace: &str) -> RbacRole {
    RbacRole {
        rights: rights(scope, own_namespace),
        remedy: "kubectl apply -f rbac/, with a RoleBinding in each --namespace",
        command: "kubectl -n kube-system exec ds/pod-checkpointer -- /pod-checkpointer doctor",
        refused: "nothing is saved or retired; check the ServiceAccount and its token",
        silent: (CheckOutcome::Warn, "what is saved is brought back without it; nothing new is saved until it answers"),
    }
}

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
        Some("being excluded from this Node is noticed late, and its kubelet is taken for the oldest supported"),
    ));
    rights.push(Right {
        name: guarded.clone(),
        ..right("get", "namespaces", Some(&guarded), Some("another cluster behind the same address (a fresh etcd) is not told from this one, and checkpoints would be retired"))
    });
    rights
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::unreachable_or_refused;
    use super::*;
    use crate::cluster::error::ApiError;

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
        let role = role(&only(&["a"]), "a");
        let rights = &role.rights;
        let no = || Ok(json!({"status": {"allowed": false}}));
        let secrets = rights.iter().find(|r| r.resource == "secrets").unwrap();
        assert_eq!(secrets.judge(&role, no()).outcome, CheckOutcome::Fail);
        let nodes = rights.iter().find(|r| r.resource == "nodes").unwrap();
        assert_eq!(nodes.judge(&role, no()).outcome, CheckOutcome::Warn);
        assert_eq!(nodes.judge(&role, Ok(json!({"status": {"allowed": true}}))).outcome, CheckOutcome::Ok);
    }

    #[test]
    fn an_api_server_that_is_away_is_what_this_program_is_for() {
        assert_eq!(
            unreachable_or_refused("api", &role(&Scope::All, "a"), &ApiError::Unavailable("refused".to_owned()))
                .outcome,
            CheckOutcome::Warn
        );
        assert_eq!(
            unreachable_or_refused("api", &role(&Scope::All, "a"), &ApiError::Unauthorized("401".to_owned())).outcome,
            CheckOutcome::Fail
        );
    }
}
