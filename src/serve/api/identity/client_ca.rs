//! Whose certificates are believed: the front proxy's CA and the CA of clients, as the API server publishes them for servers
//! like us in ConfigMap `extension-apiserver-authentication`.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use serde_json::Value;

use super::certificate;
use super::request_header::IdentityHeaders;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::cluster::reviews::Caller;
use crate::http_client::tls;

/// Namespace and name, for people.
pub(super) const PATH: &str = "kube-system/extension-apiserver-authentication";
const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const LIMIT: Duration = Duration::from_secs(5);

/// Verifiers for both kinds of client certificates. Every certificate is judged anew with each request: it may be over by now.
pub(super) struct ClientCas {
    front_proxy: Option<Arc<dyn ClientCertVerifier>>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// Common names of the front proxy; empty is any.
    allowed: Vec<String>,
    pub(super) names: IdentityHeaders,
}

impl ClientCas {
    /// As it stands in the cluster now.
    pub(super) async fn read(client: &ApiClient) -> Result<Self, ApiError> {
        let map = requests::get_config_map(client, NAMESPACE, NAME, LIMIT).await?;
        Self::parse(&map).map_err(|why| ApiError::Unavailable(format!("ConfigMap {PATH}: {why}")))
    }

    /// A CA that is not given believes nobody; one that cannot be read is an error.
    pub(super) fn parse(map: &Value) -> Result<Self, String> {
        let field = |key: &str| map.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
        let list = |key: &str, default: &[&str]| match field(key) {
            None => Ok(default.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()),
            Some(text) => serde_json::from_str::<Vec<String>>(text).map_err(|why| format!("{key}: {why}")),
        };
        let lower = |key, default: &[&str]| {
            list(key, default).map(|names| names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>())
        };
        Ok(Self {
            front_proxy: judge(field("requestheader-client-ca-file"), "requestheader-client-ca-file")?,
            clients: judge(field("client-ca-file"), "client-ca-file")?,
            allowed: list("requestheader-allowed-names", &[])?,
            names: IdentityHeaders {
                user: lower("requestheader-username-headers", &["x-remote-user"])?,
                uid: lower("requestheader-uid-headers", &["x-remote-uid"])?,
                groups: lower("requestheader-group-headers", &["x-remote-group"])?,
                extra: lower("requestheader-extra-headers-prefix", &["x-remote-extra-"])?,
            },
        })
    }

    /// Whether this is the API server speaking for others. Where one CA is both, an empty list of names would make every
    /// client a front proxy: then nobody is.
    pub(super) fn is_front_proxy(&self, chain: &[CertificateDer<'static>]) -> bool {
        if !believed(self.front_proxy.as_ref(), chain) {
            return false;
        }
        if self.allowed.is_empty() {
            return !believed(self.clients.as_ref(), chain);
        }
        let names = chain.first().and_then(certificate::names);
        names.is_some_and(|names| self.allowed.contains(&names.common))
    }

    /// Whom a client certificate names.
    pub(super) fn certified(&self, chain: &[CertificateDer<'static>]) -> Option<Caller> {
        if !believed(self.clients.as_ref(), chain) {
            return None;
        }
        let names = certificate::names(chain.first()?)?;
        let mut groups = names.organisations;
        groups.push("system:authenticated".to_owned());
        Some(Caller { user: names.common, uid: None, groups, extra: std::collections::BTreeMap::new() })
    }
}

fn judge(pem: Option<&str>, what: &str) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let Some(pem) = pem.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in tls::certificates(pem.as_bytes(), what).map_err(|why| why.to_string())? {
        roots.add(certificate).map_err(|why| format!("{what}: {why}"))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    judge.map(Some).map_err(|why| format!("{what}: {why}"))
}

fn believed(judge: Option<&Arc<dyn ClientCertVerifier>>, chain: &[CertificateDer<'static>]) -> bool {
    let (Some(judge), Some((leaf, rest))) = (judge, chain.split_first()) else { return false };
    judge.verify_client_cert(leaf, rest, UnixTime::now()).is_ok()
}
