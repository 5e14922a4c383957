//! Callers with certificates: CAs made for a test, and what they sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pod_checkpointer::http_client::tls;
use pod_checkpointer::http_client::tls::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::support::api::FakeApi;

/// A CA of callers.
pub struct Ca {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate says.
#[derive(Clone)]
pub struct Says {
    pub common: &'static str,
    pub groups: &'static [&'static str],
    /// Years from which and to which it is good.
    pub years: (i32, i32),
    pub usage: ExtendedKeyUsagePurpose,
}

pub const GOOD: Says =
    Says { common: "jane", groups: &["devs"], years: (2020, 2090), usage: ExtendedKeyUsagePurpose::ClientAuth };

impl Ca {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub fn signs(&self, says: &Says) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for group in says.groups {
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 10]), *group);
        }
        if !says.common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, says.common);
        }
        (params.not_before, params.not_after) = (date_time_ymd(says.years.0, 1, 1), date_time_ymd(says.years.1, 1, 1));
        params.extended_key_usages = vec![says.usage.clone()];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Identity { chain: vec![certificate.der().clone()], key }
    }
}

/// The two CAs that a cluster publishes.
pub struct Cluster {
    pub clients: Ca,
    pub front_proxy: Ca,
}

impl Cluster {
    /// Published in `api`, with the front proxy's names as given.
    pub fn in_api(api: &FakeApi, names: &Value) -> Self {
        let cluster = Self { clients: Ca::new("clients"), front_proxy: Ca::new("front-proxy") };
        publish(api, &cluster.clients.pem, &cluster.front_proxy.pem, names);
        cluster
    }
}

pub fn publish(api: &FakeApi, clients: &str, front_proxy: &str, names: &Value) {
    let data = json!({
        "client-ca-file": clients,
        "requestheader-client-ca-file": front_proxy,
        "requestheader-allowed-names": names.to_string(),
        "requestheader-username-headers": "[\"X-Remote-User\"]",
        "requestheader-uid-headers": "[\"X-Remote-Uid\"]",
        "requestheader-group-headers": "[\"X-Remote-Group\"]",
        "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
    });
    let map = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": data});
    api.add("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", map);
}

/// The certificates under a key of a Secret.
pub fn certificates_of(secret: &Value, key: &str) -> Vec<CertificateDer<'static>> {
    let text = STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
    tls::certificates(&text, key).unwrap()
}
