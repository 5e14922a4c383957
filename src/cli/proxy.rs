//! `proxy`: both source documents' URLs on localhost, with the caller's kubeconfig: what `kubectl proxy` is for the API server,
//! and the checkpoint service's own port. Whoever reaches these ports acts as the kubeconfig's user, so they are on loopback
//! and answer to its names alone (`guard`). No crate for reverse proxies: what passes goes through the client that the kubeconfig makes.

mod guard;
mod literal;
mod through;

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::service_api::ClusterArgs;
use super::{DONE, FAILED, MISUSED, output, runtime};
use crate::checkpoint_api::{ARCHIVES_OF_CORE, CHECKPOINT_OF_SERVICE, IMAGE_OF_SERVICE};
use crate::signals;
use guard::Hosts;

/// Shown below `proxy --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  # in one terminal
  pod-checkpointer proxy

  # in another: the checkpoint service's own URLs
  curl http://localhost:3333/checkpoint/default/timer-sleep/timer -H 'Content-Type: application/json' -d '{\"deletePod\": true}'
  curl 'http://localhost:3333/checkpoint?checkpointIdentifier=...'

  # and the pod's checkpoint as if the API server had it; every other path goes to the API server
  curl http://localhost:8001/api/v1/namespaces/default/pods/counter/checkpoint -X POST \\
    -H 'Content-Type: application/json' -d '{\"leaveRunning\": true, \"encrypt\": true, \"encryptionSecret\": \"test-secret\"}'
  curl http://localhost:8001/api/v1/namespaces/default/pods

Whoever can connect to these addresses acts as your kubeconfig's user. Upgraded connections (exec, attach, port-forward) are not \
passed on: use kubectl for them.";

/// Where it listens, and as whom it asks.
#[derive(Debug, clap::Args)]
pub(super) struct ProxyArgs {
    /// Address in place of the API server's
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// Address in place of the checkpoint service's
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3333")]
    service_listen: SocketAddr,
    /// Another host name or address that requests may be for, besides localhost, 127.0.0.1 and [::1]; needed where
    /// --listen is not on loopback. Repeatable
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    accept_host: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Serves until it is told to stop.
pub(super) fn run(args: &ProxyArgs) -> u8 {
    for address in [args.listen, args.service_listen] {
        if !address.ip().is_loopback() && args.accept_host.is_empty() {
            let why = format!(
                "{address} is not on loopback: whoever reaches it would act as you. If that is meant, say --accept-host HOST, the name \
                 that they will ask for"
            );
            return output::failed(&why, MISUSED);
        }
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return output::failed(&why, FAILED),
    };
    let code = runtime.block_on(serve(args));
    runtime.shutdown_background();
    code
}

async fn serve(args: &ProxyArgs) -> u8 {
    let client = match args.cluster.client().await {
        Ok(client) => client,
        Err(why) => return output::failed(&why, MISUSED),
    };
    let mut bound = Vec::new();
    for address in [args.listen, args.service_listen] {
        match TcpListener::bind(address).await {
            Ok(listener) => bound.push(listener),
            Err(why) => {
                return output::failed(&format!("cannot listen on {address}: {why}; another may do: --help"), FAILED);
            }
        }
    }
    let proxy = Proxy { client, made: Arc::default(), hosts: Arc::new(Hosts::new(&args.accept_host)) };
    let (stopping, stop) = watch::channel(false);
    let mut running = tokio::task::JoinSet::new();
    for (listener, router) in bound.into_iter().zip([cluster_router(proxy.clone()), service_router(proxy)]) {
        if let Ok(address) = listener.local_addr() {
            // Nothing can be told to somebody who closed stderr.
            let _ = writeln!(std::io::stderr(), "listening on http://{address}");
        }
        let mut stop = stop.clone();
        let stopped = async move {
            // An error says that the sender is gone, which is the end too.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        running.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
    }
    told_to_stop().await;
    stopping.send_replace(true);
    // Watches never end by themselves.
    let _ = tokio::time::timeout(Duration::from_secs(2), async { while running.join_next().await.is_some() {} }).await;
    DONE
}

async fn told_to_stop() {
    let Ok(stop) = signals::stop() else { return std::future::pending().await };
    stop.await;
}

/// What the handlers of all requests share.
#[derive(Clone)]
struct Proxy {
    client: kube::Client,
    /// Namespaces of the checkpoints that were begun through us.
    made: Arc<Mutex<Made>>,
    hosts: Arc<Hosts>,
}

/// So many identifiers are remembered; of another, the API server is asked without its namespace.
const REMEMBERED: usize = 1024;

#[derive(Default)]
struct Made {
    namespaces: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Proxy {
    fn remember(&self, identifier: &str, namespace: &str) {
        let mut made = self.made.lock();
        if made.namespaces.insert(identifier.to_owned(), namespace.to_owned()).is_none() {
            made.order.push_back(identifier.to_owned());
        }
        if made.order.len() > REMEMBERED
            && let Some(oldest) = made.order.pop_front()
        {
            made.namespaces.remove(&oldest);
        }
    }

    fn namespace_of(&self, identifier: &str) -> Option<String> {
        self.made.lock().namespaces.get(identifier).cloned()
    }
}

fn cluster_router(proxy: Proxy) -> Router {
    Router::new()
        .route(ARCHIVES_OF_CORE, post(literal::archives))
        .fallback(through::pass)
        .layer(from_fn_with_state(Arc::clone(&proxy.hosts), guard::check))
        .with_state(proxy)
}

fn service_router(proxy: Proxy) -> Router {
    Router::new()
        .route(IMAGE_OF_SERVICE, post(literal::image))
        .route(CHECKPOINT_OF_SERVICE, get(literal::state))
        .fallback(literal::unknown)
        .layer(from_fn_with_state(Arc::clone(&proxy.hosts), guard::check))
        .with_state(proxy)
}
