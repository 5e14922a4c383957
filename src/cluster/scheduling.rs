//! Is the agent still meant to run on this node? Its DaemonSet and the Node, asked once each.

mod matching;

pub use matching::{Scheduled, runs_on};

use std::time::Duration;

use super::client::ApiClient;
use super::error::ApiError;
use super::requests;
use crate::pod::snapshot::Scheduling;

/// Asks for the DaemonSet. An API that cannot be asked is an error. And, if it is there, for the Node.
pub async fn daemonset_state(
    client: &ApiClient,
    namespace: &str,
    name: &str,
    node: &str,
    limit: Duration,
) -> Result<Scheduling, ApiError> {
    let daemonset = match requests::get_daemon_set(client, namespace, name, limit).await {
        Ok(found) => found,
        Err(ApiError::NotFound(_)) => return Ok(Scheduling::Deleted),
        Err(ApiError::Forbidden(why)) => return Ok(Scheduling::NotAllowed(why)),
        Err(other) => return Err(other),
    };
    match requests::get_node(client, node, limit).await {
        Ok(node) => Ok(match runs_on(&daemonset, &node) {
            Scheduled::Runs => Scheduling::Wanted,
            Scheduled::Excluded(why) => Scheduling::Excluded(why),
        }),
        Err(ApiError::Forbidden(why)) => Ok(Scheduling::NotAllowed(why)),
        // A Node that is not registered (yet) says nothing about where the DaemonSet belongs.
        Err(ApiError::NotFound(_)) => Ok(Scheduling::Wanted),
        Err(other) => Err(other),
    }
}
