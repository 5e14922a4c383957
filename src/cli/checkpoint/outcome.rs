//! What came of it, for people: names of images and archives, or what is wrong and what would help.

use http::StatusCode;
use serde_json::Value;

use super::order::Order;
use crate::checkpoint_api::{APISERVICE, GROUP};
use crate::cli::service_api::Reply;

/// One line for each thing that was made: an image's name, an archive's path on its node, or the identifier of what is
/// still being made.
pub(super) fn text(made: &[Value]) -> String {
    let mut lines = Vec::new();
    for value in made {
        let items = value.get("items").and_then(Value::as_array).into_iter().flatten();
        let names = ["containerImageName", "checkpointIdentifier"].into_iter().filter_map(|key| value.get(key));
        lines.extend(items.chain(names).filter_map(Value::as_str).map(|line| format!("{line}\n")));
    }
    lines.concat()
}

/// Why not, in the words of whoever said no, and what to do about it.
pub(super) fn why(reply: &Reply, order: &Order) -> String {
    let Some(status) = reply.json().filter(|body| body["kind"] == "Status") else {
        return stranger(reply);
    };
    let message = status["message"].as_str().unwrap_or("no reason was given");
    let namespace = &order.target.namespace;
    let remedy = match reply.status {
        // Of a group that nobody serves, the API server says so in general words.
        StatusCode::NOT_FOUND if message == "the server could not find the requested resource" => return missing(),
        StatusCode::FORBIDDEN if order.delete_pod => format!(
            "you need `create` on `pods/checkpoint` (group {GROUP}) and `delete` on pods in namespace {namespace}"
        ),
        StatusCode::FORBIDDEN if order.encrypts() => format!(
            "you need `create` on `pods/checkpoint` (group {GROUP}) and `get` on that Secret in namespace {namespace}"
        ),
        StatusCode::FORBIDDEN => format!(
            "bind ClusterRole container-checkpoints-user to yourself in namespace {namespace}: it has `create` on `pods/checkpoint`, \
             group {GROUP}"
        ),
        StatusCode::UNAUTHORIZED => "the kubeconfig's credentials are over or of another cluster".to_owned(),
        StatusCode::SERVICE_UNAVAILABLE => unavailable(),
        _ => return message.to_owned(),
    };
    format!("{message}; {remedy}")
}

fn unavailable() -> String {
    format!("see `kubectl get apiservice {APISERVICE}` and the logs of DaemonSet container-checkpoints")
}

/// An answer that is none of ours: the API server's own, about the way to us.
fn stranger(reply: &Reply) -> String {
    match reply.status {
        StatusCode::NOT_FOUND => missing(),
        status if status.is_success() => {
            "the answer is not what `serve` says; is something else behind the APIService?".to_owned()
        }
        status => {
            let said: String = String::from_utf8_lossy(&reply.body).trim().chars().take(300).collect();
            format!("the API server answered {status}: {said}; {}", unavailable())
        }
    }
}

fn missing() -> String {
    format!(
        "this cluster does not serve checkpoints: apply manifests/serve and manifests/apiservice, then see `kubectl get apiservice \
         {APISERVICE}`"
    )
}
