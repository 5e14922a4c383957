//! `checkpoint`: a checkpoint of a pod's containers, asked for from a workstation. Says what is to be made (`order`) and what
//! came of it (`outcome`); the making is `serve`'s.

mod order;
mod outcome;

use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::output::{self, Format};
use super::progress::Progress;
use super::service_api::{self, AskError, ClusterArgs, Reply};
use super::{DONE, FAILED, MISUSED, runtime};
use crate::checkpoint_api;
use crate::cluster::requests;
use order::Order;

/// Shown below `checkpoint --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  # archives of all containers, kept on the pod's node
  pod-checkpointer checkpoint default/counter

  # an image of one container, pushed to the registry that `serve` is set up with; prints its name
  pod-checkpointer checkpoint default/counter/counter --image

  # the same, and the pod goes once the image is safe
  pod-checkpointer checkpoint default/counter/counter --image --delete-pod

  # encrypted to the certificate in a Secret of the pod's namespace
  pod-checkpointer checkpoint default/counter --encryption-secret test-secret

It asks through the API server (APIService v1alpha1.checkpointer.alpha.coreos.com), as whoever the kubeconfig says. \
Needed: `create` on `pods/checkpoint` in group checkpointer.alpha.coreos.com; `delete` on pods for --delete-pod; `get` on the \
Secret for --encryption-secret.
Exit codes: 0 done; 1 failed; 2 flags that make no sense or a kubeconfig that cannot be used.";

/// What is to be made, and of what.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct CheckpointArgs {
    /// Pod, or one container of it
    #[arg(value_name = "NAMESPACE/POD[/CONTAINER]")]
    target: String,
    /// Make an image and push it, instead of leaving an archive on the node
    #[arg(long)]
    image: bool,
    /// With --image: print the checkpoint's identifier at once and do not wait
    #[arg(long = "async", requires = "image")]
    no_wait: bool,
    /// With --image: every container of the pod, one after the other (archives are of all containers anyway)
    #[arg(long, requires = "image")]
    all: bool,
    /// Delete the pod once everything is safe
    #[arg(long)]
    delete_pod: bool,
    /// `false` is the same as --delete-pod
    #[arg(long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set, conflicts_with = "delete_pod")]
    leave_running: bool,
    /// Encrypt the archives to the certificate in this Secret (kubernetes.io/tls, in the pod's namespace)
    #[arg(long, value_name = "NAME", conflicts_with = "image")]
    encryption_secret: Option<String>,
    /// What the node may take for one archive, in seconds [default: the node's own limit]
    #[arg(long, value_name = "SECONDS", conflicts_with = "image")]
    timeout: Option<u32>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Asks, waits, prints.
pub(super) fn run(args: &CheckpointArgs) -> u8 {
    let order = match Order::of(args) {
        Ok(order) => order,
        Err(why) => return output::failed(&why, MISUSED),
    };
    match runtime() {
        Ok(runtime) => runtime.block_on(carry_out(args, &order)),
        Err(why) => output::failed(&why, FAILED),
    }
}

async fn carry_out(args: &CheckpointArgs, order: &Order) -> u8 {
    let client = match args.cluster.client().await {
        Ok(client) => client,
        Err(why) => return output::failed(&why, MISUSED),
    };
    let containers = match containers(&client, order).await {
        Ok(containers) => containers,
        Err(why) => return output::failed(&why, FAILED),
    };
    let mut made = Vec::new();
    for container in containers {
        match one(&client, order, container.as_deref()).await {
            Ok(value) => made.push(value),
            Err(why) => {
                // What was made before is there all the same.
                print(args.output, &made);
                return output::failed(&why, FAILED);
            }
        }
    }
    print(args.output, &made)
}

fn print(format: Format, made: &[Value]) -> u8 {
    match (format, made) {
        (_, []) => DONE,
        (Format::Json, [one]) => output::print_json(one),
        (Format::Json, several) => output::print_json(&several),
        (Format::Table, several) => output::print_bytes(outcome::text(several).as_bytes()),
    }
}

/// Which containers a request each is for; none in the list is all of them in one.
async fn containers(client: &kube::Client, order: &Order) -> Result<Vec<Option<String>>, String> {
    if !order.needs_containers() {
        return Ok(vec![order.target.container.clone()]);
    }
    let path = requests::pod_path(&order.target.namespace, &order.target.pod);
    let reply = service_api::ask(client, Method::GET, &path, Bytes::new()).await.map_err(|why| why.to_string())?;
    let pod = reply.json().filter(|_| reply.status.is_success());
    let pod = pod.ok_or_else(|| format!("cannot see which containers the pod has: {}", outcome::why(&reply, order)))?;
    order.containers_of(&pod).map(|names| names.into_iter().map(Some).collect())
}

async fn one(client: &kube::Client, order: &Order, container: Option<&str>) -> Result<Value, String> {
    let (path, body) = order.request(container);
    let progress = Progress::waiting(&order.told(container));
    let asked = service_api::ask(client, Method::POST, &path, body.to_string().into()).await;
    let reply = asked.map_err(|why| doubt(&why))?;
    let Some(identifier) = reply.identifier() else { return finished(&reply, order) };
    if order.no_wait() {
        return reply.json().ok_or_else(|| "the answer is not JSON".to_owned());
    }
    let path = checkpoint_api::checkpoint_url(&order.target.namespace, &identifier);
    let settled = service_api::settled(client, &path, None).await;
    drop(progress);
    let later = || format!("; it may go on: ask again with `kubectl get --raw {path}`");
    let reply = settled.map_err(|why| format!("{why}{}", later()))?;
    finished(&reply, order)
}

/// Nobody knows whether a request without an answer was carried out.
fn doubt(why: &AskError) -> String {
    match why {
        AskError::Silent(_) => {
            format!("{why}; the checkpoint may have been made all the same: look before asking again")
        }
        _ => why.to_string(),
    }
}

fn finished(reply: &Reply, order: &Order) -> Result<Value, String> {
    match reply.json() {
        Some(value) if reply.status.is_success() => Ok(value),
        _ => Err(outcome::why(reply, order)),
    }
}
