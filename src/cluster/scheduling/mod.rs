//! Is the agent still meant to run on this node? Its DaemonSet and the Node, asked once each.

mod matching;

pub use matching::{Verdict, runs_on};

use std::time::Duration;

use super::client::ApiClient;
use super::error::ApiError;

/// What is known of the agent's DaemonSet. An API that cannot be asked is an error, never one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonSetState {
    /// It is there and wants this node (or nobody can say that it does not).
    Wanted,
    /// It is there and excludes this node.
    Excluded {
        /// By which of its rules.
        why: String,
    },
    /// 404.
    Gone,
    /// The right to read the DaemonSet or the Node is missing: it says nothing either way.
    NotAllowed {
        /// The server's words.
        why: String,
    },
}

/// Asks for the DaemonSet and, if it is there, for the Node.
pub async fn daemonset_state(
    client: &ApiClient,
    namespace: &str,
    name: &str,
    node: &str,
    limit: Duration,
) -> Result<DaemonSetState, ApiError> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}");
    let daemonset = match client.get(&path, "DaemonSet", limit).await {
        Ok(found) => found,
        Err(ApiError::NotFound(_)) => return Ok(DaemonSetState::Gone),
        Err(ApiError::Denied(why)) => return Ok(DaemonSetState::NotAllowed { why }),
        Err(other) => return Err(other),
    };
    match client.get(&format!("/api/v1/nodes/{node}"), "Node", limit).await {
        Ok(node) => Ok(match runs_on(&daemonset, &node) {
            Verdict::Runs => DaemonSetState::Wanted,
            Verdict::Excluded(why) => DaemonSetState::Excluded { why },
        }),
        Err(ApiError::Denied(why)) => Ok(DaemonSetState::NotAllowed { why }),
        // A Node that is not registered (yet) says nothing about where the DaemonSet belongs.
        Err(ApiError::NotFound(_)) => Ok(DaemonSetState::Wanted),
        Err(other) => Err(other),
    }
}
