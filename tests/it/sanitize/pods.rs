//! Pods and objects for the tests of `sanitize`.

use std::collections::BTreeMap;

use pod_checkpointer::pod::asset_refs::{Assets, Fetched, FetchedToken, ObjectKind, ObjectRef, TokenRef};
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::runtime::ImagePresence;
use pod_checkpointer::pod::sanitize::NodeFacts;
use serde_json::{Value, json};

pub const APISERVER: &str = include_str!("pods/apiserver.yaml");
pub const WEB: &str = include_str!("pods/web.yaml");
pub const BARE: &str = include_str!("pods/bare.yaml");

pub fn pod(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap()
}

/// A pod with nothing to hold against it, and this spec laid over it.
pub fn small(spec: &Value) -> Value {
    let mut pod = json!({
        "metadata": {
            "name": "p", "namespace": "ns", "uid": "u",
            "annotations": {"checkpointer.alpha.coreos.com/checkpoint": "true"},
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    });
    lay_over(&mut pod["spec"], spec);
    pod
}

/// The same, laid over its only container.
pub fn small_container(container: &Value) -> Value {
    let mut pod = small(&json!({}));
    lay_over(&mut pod["spec"]["containers"][0], container);
    pod
}

pub fn lay_over(base: &mut Value, over: &Value) {
    for (key, value) in over.as_object().unwrap() {
        base[key] = value.clone();
    }
}

/// The parent on the node that the object names.
pub fn parent(pod: &Value) -> Parent {
    let node = pod["spec"]["nodeName"].as_str().unwrap();
    Parent::from_api(pod, node).unwrap().expect("an annotated pod")
}

pub fn facts() -> NodeFacts {
    NodeFacts {
        node_name: "edge-1".to_owned(),
        api_host: "10.96.0.1".to_owned(),
        api_port: "443".to_owned(),
        ..NodeFacts::default()
    }
}

pub fn with_image(presence: ImagePresence) -> NodeFacts {
    NodeFacts { images: BTreeMap::from([("i".to_owned(), presence)]), ..facts() }
}

pub fn secret(name: &str) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Secret, name: name.to_owned() }
}

pub fn config_map(name: &str) -> ObjectRef {
    ObjectRef { kind: ObjectKind::ConfigMap, name: name.to_owned() }
}

pub fn token(account: &str, audience: &str) -> TokenRef {
    TokenRef { service_account: account.to_owned(), audience: audience.to_owned() }
}

/// Objects as they were fetched.
pub struct Fetching(Assets);

pub fn fetched() -> Fetching {
    Fetching(Assets::default())
}

impl Fetching {
    pub fn found(mut self, object: ObjectRef, data: &[(&str, &str)]) -> Self {
        let data = data.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect();
        self.0.objects.insert(object, Fetched::Found(data));
        self
    }

    pub fn binary(mut self, object: ObjectRef, key: &str, bytes: &[u8]) -> Self {
        match self.0.objects.entry(object).or_insert_with(|| Fetched::Found(BTreeMap::new())) {
            Fetched::Found(data) => data.insert(key.to_owned(), bytes.to_vec()),
            other => panic!("{other:?}"),
        };
        self
    }

    pub fn missing(mut self, object: ObjectRef) -> Self {
        self.0.objects.insert(object, Fetched::Missing);
        self
    }

    pub fn denied(mut self, object: ObjectRef) -> Self {
        self.0.objects.insert(object, Fetched::Denied("forbidden by RBAC".to_owned()));
        self
    }

    pub fn granted(mut self, token: TokenRef, jwt: &str) -> Self {
        self.0.tokens.insert(token, FetchedToken::Granted { token: jwt.to_owned(), expires_at: 1 });
        self
    }

    pub fn no_token(mut self, token: TokenRef) -> Self {
        self.0.tokens.insert(token, FetchedToken::Denied("forbidden by RBAC".to_owned()));
        self
    }

    pub fn assets(self) -> Assets {
        self.0
    }
}

/// What the three pods of the files read.
pub fn all_assets() -> Assets {
    fetched()
        .found(secret("kube-apiserver"), &[("apiserver.crt", "CERT"), ("apiserver.key", "SECRET-VALUE-1")])
        .found(config_map("audit-policy"), &[("policy.yaml", "rules: []")])
        .found(secret("web-tls"), &[("tls.key", "SECRET-VALUE-2"), ("ca.crt", "CA")])
        .found(config_map("settings"), &[("greeting", "hello $(USER) for $5"), ("page.size", "10")])
        .binary(config_map("settings"), "logo.png", &[0xff, 0xd8])
        .missing(config_map("overrides"))
        .found(config_map("kube-root-ca.crt"), &[("ca.crt", "ROOT"), ("other", "x")])
        .found(secret("broker"), &[("user", "meter"), ("password", "a$$b$(c)")])
        .granted(token("web", ""), "SECRET-VALUE-3")
        .no_token(token("web", "vault"))
        .assets()
}

/// Every volume as lines that a person can check: where, group, then mode, owner, path and content.
pub fn listing(volumes: &[pod_checkpointer::pod::checkpoint::AssetVolume]) -> Vec<String> {
    let mut lines = Vec::new();
    for volume in volumes {
        let group = volume.content.fs_group.map_or(String::new(), |g| format!(" group {g}"));
        lines.push(format!("{}/{}{group}", volume.tree.dir(), volume.name));
        for (path, file) in &volume.content.files {
            let owner = file.owner.map_or(String::new(), |o| format!(" owner {o}"));
            lines.push(format!("  {:04o}{owner} {path} = {:?}", file.mode, String::from_utf8_lossy(&file.bytes)));
        }
    }
    lines
}
