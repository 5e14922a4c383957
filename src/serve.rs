//! The composition root of `serve`: makes the parts, goes on with the jobs that are on disk, answers until it is told to
//! stop, and lets what runs come to its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cluster::client::ApiClient;
use crate::cluster::request_metrics::RequestMetrics;
use crate::cluster::reviews::Reviews;
use crate::openmetrics;
use crate::serve::api::ca::{CaSettings, CertificateAuthority};
use crate::serve::api::checkpoints;
use crate::serve::api::checkpoints::Checkpoints;
use crate::serve::api::forward::{Forwarder, ForwarderSettings};
use crate::serve::api::identity::{Authenticator, IdentitySettings};
use crate::serve::api::listener::{ListenerLimits, serve_https, serve_plain};
use crate::serve::api::{apiservice, tls_health};
use crate::serve::config::ServeConfig;
use crate::serve::jobs::limits;
use crate::serve::jobs::metrics::JobMetrics;
use crate::serve::jobs::worker::Worker;
use crate::serve::retention::metrics::RetentionMetrics;
use crate::serve::retention::sweeper::SweepTimings;
use crate::signals;

pub mod api;
pub mod config;
mod in_use;
pub mod jobs;
mod parts;
pub mod retention;

use in_use::Jobs;
use parts::worker;
pub use parts::{client_config, kubelet, publisher};

/// Name of the ServiceAccount of every instance.
const SERVICE_ACCOUNT_NAME: &str = "container-checkpoints";
/// Of the grace, what is left for those who wait to be told that nothing more comes.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Serves until a signal tells the process to stop.
///
/// # Errors
/// What cannot work here, with what to do; everything that can come back (API, kubelet, registry) is waited for.
pub async fn run(config: ServeConfig) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let stop = async move { tracing::info!("{}", stop.await) };
    let any: IpAddr =
        if config.node_ip.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let listener = TcpListener::bind((any, config.port)).await.with_context(|| {
        format!("cannot listen on port {} (--port): is another instance on this node?", config.port)
    })?;
    serve_on(listener, config, stop).await
}

/// Serves on a bound socket until `stop`, and then as long as what runs may take.
///
/// # Errors
/// As [`run`].
pub async fn serve_on(
    listener: TcpListener,
    config: ServeConfig,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    for line in &config.ignored {
        tracing::info!("{line}");
    }
    let service = Service::assemble(&config).await?;
    let address = listener.local_addr().context("the socket has no address")?;
    tracing::info!(%address, node = %config.node, plain_http = config.plain_http, "serving checkpoints");
    service.serve(listener, &config, stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Everything that `serve` counts, for its listener to encode.
pub fn registry(requests: &RequestMetrics, jobs: &JobMetrics, retention: &RetentionMetrics) -> Registry {
    let mut registry = openmetrics::registry("container_checkpoints");
    jobs.register(&mut registry);
    requests.register(&mut registry);
    retention.register(&mut registry);
    registry
}

struct Service {
    authority: Arc<CertificateAuthority>,
    authenticator: Arc<Authenticator>,
    worker: Arc<Worker>,
    router: axum::Router,
    leaving: watch::Sender<bool>,
    api: ApiClient,
    retention_metrics: RetentionMetrics,
}

impl Service {
    async fn assemble(config: &ServeConfig) -> anyhow::Result<Self> {
        let api = ApiClient::new(&client_config(config)).await?;
        let reviews = Reviews::new(api.clone());
        let settings =
            CaSettings { namespace: config.namespace.clone(), node: config.node.clone(), node_ip: config.node_ip };
        let authority = Arc::new(CertificateAuthority::new(api.clone(), settings)?);
        let settings = IdentitySettings {
            namespace: config.namespace.clone(),
            service_account: SERVICE_ACCOUNT_NAME.to_owned(),
            accept_api_tokens: config.accept_api_tokens,
        };
        let authenticator = Arc::new(Authenticator::new(api.clone(), reviews.clone(), settings));
        let forwarder = config.forwards.then(|| {
            let settings = ForwarderSettings {
                namespace: config.namespace.clone(),
                node: config.node.clone(),
                port: config.port,
                token_file: config.peer_token.clone(),
            };
            Forwarder::new(api.clone(), Arc::clone(&authority), settings)
        });
        let (job_metrics, retention_metrics) = (JobMetrics::default(), RetentionMetrics::default());
        let worker = worker(config, &api, &job_metrics)?;
        let (leaving, left) = watch::channel(false);
        let health = tls_health::Sources {
            authority: Arc::clone(&authority),
            authenticator: Arc::clone(&authenticator),
            worker: Arc::clone(&worker),
            registry: Arc::new(registry(api.requests(), &job_metrics, &retention_metrics)),
        };
        let checkpoints = Checkpoints {
            node: config.node.clone(),
            directory: config.checkpoints.clone(),
            authenticator: Arc::clone(&authenticator),
            reviews,
            api: api.clone(),
            worker: Arc::clone(&worker),
            forwarder,
            leaving: left,
        };
        let router =
            checkpoints::router(Arc::new(checkpoints)).merge(apiservice::router()).merge(tls_health::router(health));
        Ok(Self { authority, authenticator, worker, router, leaving, api, retention_metrics })
    }

    /// Until `stop`; then no new connections, and what runs has its grace.
    async fn serve(
        &self,
        listener: TcpListener,
        config: &ServeConfig,
        stop: impl Future<Output = ()> + Send + 'static,
    ) {
        let (stopping, stopped) = watch::channel(false);
        let ended = || {
            let mut stopped = stopped.clone();
            async move {
                // An error is a sender that is gone: the end as well.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            }
        };
        let ends = ended();
        let limits = ListenerLimits { drain: limits::GRACE, ..ListenerLimits::default() };
        let router = self.router.clone();
        let listening = async {
            if config.plain_http {
                tracing::warn!("--plain-http: tokens travel in clear on this port");
                serve_plain(listener, router, limits, ends).await;
            } else {
                serve_https(listener, self.authority.serving(), router, limits, ends).await;
            }
        };
        let working = async {
            stop.await;
            self.worker.queue().close();
            stopping.send_replace(true);
            self.worker.close(limits::GRACE.saturating_sub(LAST_WORDS)).await;
            self.leaving.send_replace(true);
        };
        let serving = async {
            tokio::join!(listening, working, self.retain(config, ended()));
        };
        tokio::select! {
            () = serving => {}
            never = self.authority.keep() => match never {},
            never = self.authenticator.keep() => match never {},
            never = self.worker.forget() => match never {},
            never = self.worker.look_out() => match never {},
        }
    }

    /// Holds the directory of archives to the policy, if there is one.
    async fn retain(&self, config: &ServeConfig, stop: impl Future<Output = ()>) {
        let options = retention::RetentionOptions {
            directory: config.checkpoints.clone(),
            state: config.storage.join("retention"),
            node: config.node.clone(),
            source: config.retention.clone(),
            pace: SweepTimings::default(),
        };
        let jobs = Arc::new(Jobs(self.worker.queue().clone()));
        // On the heap: it would be most of what `run` keeps on the stack.
        Box::pin(retention::start(options, Some(self.api.clone()), jobs, self.retention_metrics.clone(), stop)).await;
    }
}
