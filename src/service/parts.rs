//! The parts of `serve` that stand alone, made from its configuration: also for `doctor`, which asks as `serve` would.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::cluster::client::ApiClient;
use crate::cluster::config::ClientConfig;
use crate::config::ServiceEndpoint;
use crate::config::serve::ServeConfig;
use crate::container::archives::Archives;
use crate::container::checkpoint::Checkpointer;
use crate::container::counts::Counts;
use crate::container::desk::Desk;
use crate::container::publish::Publisher;
use crate::container::records::Records;
use crate::container::workshop::Workshop;
use crate::disk::beneath::Beneath;
use crate::node::kubelet_api::{KubeletApi, KubeletSettings, KubeletTrust};

/// Who carries jobs out, with those that are on disk already.
pub(super) fn workshop(config: &ServeConfig, api: &ApiClient, counts: &Arc<Counts>) -> anyhow::Result<Arc<Workshop>> {
    let storage = &config.storage;
    std::fs::create_dir_all(storage).with_context(|| {
        format!("cannot use {} (STORAGE_BASE_PATH); mount a directory of the node there", storage.display())
    })?;
    let records = Records::open(Box::new(Beneath::new(storage)))?;
    let (desk, unended) = Desk::open(records, config.max_queue)?;
    let hands = Checkpointer {
        kubelet: kubelet(config),
        archives: Archives::new(&config.checkpoints),
        runtime_state: config.runtime_state.clone(),
        api: api.clone(),
        publisher: publisher(config, api, counts),
    };
    let workshop = Workshop::new(desk, hands, Arc::clone(counts));
    workshop.resume(unended);
    Ok(workshop)
}

/// Who pushes images.
pub fn publisher(config: &ServeConfig, api: &ApiClient, counts: &Arc<Counts>) -> Publisher {
    Publisher {
        prefix: config.image_prefix.clone(),
        plain_http: config.registry.plain_http.clone(),
        ca: config.registry.ca.clone(),
        limit: config.registry.limit,
        namespace: config.namespace.clone(),
        secret: config.registry.pull_secret.clone(),
        api: api.clone(),
        counts: Arc::clone(counts),
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
    let credential = |name: &str| Some(config.service_account.join(name)).filter(|path: &PathBuf| path.exists());
    ClientConfig {
        servers,
        ca_file: credential("ca.crt"),
        token_file: credential("token"),
        kubeconfig: config.api.kubeconfig.clone(),
    }
}
