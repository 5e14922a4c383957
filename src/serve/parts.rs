//! The parts of `serve` that stand alone, made from its configuration: also for `doctor`, which asks as `serve` would.

use std::sync::Arc;

use anyhow::Context;

use crate::cluster::client::ApiClient;
use crate::cluster::config::ClientConfig;
use crate::config::ServiceEndpoint;
use crate::disk::rooted_dir::RootedDir;
use crate::node::kubelet_api::{KubeletApi, KubeletSettings, KubeletTrust};
use crate::serve::config::ServeConfig;
use crate::serve::jobs::archives::Archives;
use crate::serve::jobs::checkpoint::Checkpointer;
use crate::serve::jobs::metrics::JobMetrics;
use crate::serve::jobs::publish::Publisher;
use crate::serve::jobs::queue::Queue;
use crate::serve::jobs::records::Records;
use crate::serve::jobs::worker::Worker;

/// Who carries jobs out, with those that are on disk already.
pub(super) fn worker(config: &ServeConfig, api: &ApiClient, metrics: &JobMetrics) -> anyhow::Result<Arc<Worker>> {
    let storage = &config.storage;
    std::fs::create_dir_all(storage).with_context(|| {
        format!("cannot use {} (STORAGE_BASE_PATH); mount a directory of the node there", storage.display())
    })?;
    let records = Records::open(Box::new(RootedDir::new(storage)))?;
    let (queue, unended) = Queue::open(records, config.max_queue, metrics.clone())?;
    let checkpointer = Checkpointer {
        kubelet: kubelet(config),
        archives: Archives::new(&config.checkpoints),
        runtime_state: config.runtime_state.clone(),
        api: api.clone(),
        publisher: publisher(config, api, metrics),
    };
    let worker = Worker::new(queue, checkpointer, metrics.clone());
    worker.resume(unended);
    Ok(worker)
}

/// What pushes images, by the configuration.
pub fn publisher(config: &ServeConfig, api: &ApiClient, metrics: &JobMetrics) -> Publisher {
    Publisher {
        prefix: config.image_prefix.clone(),
        plain_http: config.registry.plain_http.clone(),
        ca: config.registry.ca.clone(),
        limit: config.registry.limit,
        namespace: config.namespace.clone(),
        secret: config.registry.pull_secret.clone(),
        api: api.clone(),
        metrics: metrics.clone(),
    }
}

/// This node's kubelet.
pub fn kubelet(config: &ServeConfig) -> KubeletApi {
    let kubelet = &config.kubelet;
    let trust = match &kubelet.ca {
        _ if kubelet.insecure => KubeletTrust::Anyone,
        Some(file) => KubeletTrust::Authority(file.clone()),
        None => KubeletTrust::Node {
            cluster: config.service_account.join("ca.crt"),
            own: kubelet.dir.join("pki/kubelet.crt"),
        },
    };
    KubeletApi::new(KubeletSettings {
        address: config.node_ip,
        port: kubelet.port,
        trust,
        token: config.service_account.join("token"),
        certificate: (kubelet.certificate.clone(), kubelet.key.clone()),
    })
}

/// How the API server is asked.
pub fn client_config(config: &ServeConfig) -> ClientConfig {
    let mut servers = config.api.servers.clone();
    servers.extend(config.api.service.as_ref().map(ServiceEndpoint::url));
    ClientConfig::in_pod(servers, &config.service_account, config.api.kubeconfig.clone())
}
