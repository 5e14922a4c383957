//! What `serve` may do, rule by rule of `rbac/serve/`.

use super::super::check::CheckOutcome;
use super::{RbacRole, Right};
use crate::checkpoint_api::APISERVICE;

/// `serve`, installed in `own_namespace`.
pub(crate) fn role(own_namespace: &str) -> RbacRole {
    RbacRole {
        rights: rights(own_namespace),
        remedy: "kubectl apply -f rbac/serve/",
        command: "kubectl -n kube-system exec ds/container-checkpoints -- /pod-checkpointer doctor --for serve",
        refused: "nobody is served; check the ServiceAccount and its token",
        silent: (CheckOutcome::Fail, "nobody can be told from anybody else without it, so nobody is served"),
    }
}

fn rights(own_namespace: &str) -> Vec<Right> {
    let own = || Some(own_namespace.to_owned());
    let right = |verb, resource, without| Right {
        verb,
        group: "",
        resource,
        subresource: "",
        namespace: None,
        name: String::new(),
        without,
    };
    vec![
        Right { subresource: "checkpoint", ..right("create", "nodes", None) },
        Right { group: "authentication.k8s.io", ..right("create", "tokenreviews", None) },
        Right { group: "authorization.k8s.io", ..right("create", "subjectaccessreviews", None) },
        right("get", "pods", None),
        right("delete", "pods", Some("deletePod and leaveRunning=false are refused")),
        right("get", "nodes", Some("requests for pods of other nodes are not forwarded")),
        Right { namespace: own(), ..right("list", "pods", Some("requests for pods of other nodes are not forwarded")) },
        Right { namespace: own(), name: "container-checkpoints-ca".to_owned(), ..right("get", "secrets", None) },
        Right {
            namespace: Some("kube-system".to_owned()),
            name: "extension-apiserver-authentication".to_owned(),
            ..right(
                "get",
                "configmaps",
                Some("neither the APIService nor client certificates are accepted, only tokens"),
            )
        },
        Right {
            group: "apiregistration.k8s.io",
            name: APISERVICE.to_owned(),
            ..right("patch", "apiservices", Some("the APIService is not given our CA and stays unavailable"))
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_of_every_secret_or_of_a_nodes_proxy() {
        let words: Vec<String> = rights("kube-system").iter().map(Right::words).collect();
        assert!(words.contains(&"create nodes/checkpoint".to_owned()), "{words:?}");
        assert!(words.contains(&"get secrets container-checkpoints-ca in kube-system".to_owned()), "{words:?}");
        assert!(
            !words.iter().any(|w| w.contains("proxy") || w.starts_with("list secrets") || w == "get secrets"),
            "{words:?}"
        );
    }
}
