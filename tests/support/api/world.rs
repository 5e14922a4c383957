//! What the fake server knows: objects by API path, the history that watches replay, and who asked for what.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query, decoded.
    pub query: BTreeMap<String, String>,
    /// Bearer token.
    pub token: Option<String>,
    /// JSON body, or null.
    pub body: Value,
}

impl Call {
    /// A watch of pods.
    pub fn is_watch(&self) -> bool {
        self.query.contains_key("watch")
    }

    /// A list of pods.
    pub fn is_list(&self) -> bool {
        self.method == "GET" && self.path.ends_with("/pods") && !self.is_watch()
    }
}

/// Something a watch may say.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A pod came, changed or went.
    Pod { kind: &'static str, object: Value },
    /// A line as it is, for every watch.
    Raw(String),
}

/// Everything.
pub struct World {
    pub version: u64,
    /// Watches that continue from before this are told 410.
    pub oldest: u64,
    pub objects: BTreeMap<String, Value>,
    pub history: Vec<(u64, Entry)>,
    pub forbidden: Vec<String>,
    pub page_size: usize,
    pub watch_life: Option<Duration>,
    /// Watches of an older epoch end.
    pub epoch: u64,
    pub open_watches: usize,
    pub calls: Vec<Call>,
    pub unexpected: Vec<String>,
    pub register: super::reviews::Register,
}

pub fn pod_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

impl World {
    pub fn new() -> Self {
        let uid = format!("cluster-{:08x}", fastrand::u32(..));
        let kube_system = json!({"kind": "Namespace", "apiVersion": "v1",
            "metadata": {"name": "kube-system", "uid": uid}});
        Self {
            version: 10,
            oldest: 0,
            objects: BTreeMap::from([("/api/v1/namespaces/kube-system".to_owned(), kube_system)]),
            history: Vec::new(),
            forbidden: Vec::new(),
            page_size: usize::MAX,
            watch_life: None,
            epoch: 0,
            open_watches: 0,
            calls: Vec::new(),
            unexpected: Vec::new(),
            register: super::reviews::Register::default(),
        }
    }

    pub fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub fn log(&mut self, entry: Entry) {
        self.history.push((self.version, entry));
    }

    pub fn put_pod(&mut self, kind: &'static str, mut pod: Value) {
        pod["metadata"]["resourceVersion"] = json!(self.next_version().to_string());
        let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
        self.objects.insert(pod_path(&text("namespace"), &text("name")), pod.clone());
        self.log(Entry::Pod { kind, object: pod });
    }

    pub fn delete_pod(&mut self, namespace: &str, name: &str) {
        let mut pod = self.objects.remove(&pod_path(namespace, name)).expect("a pod to delete");
        pod["metadata"]["resourceVersion"] = json!(self.next_version().to_string());
        self.log(Entry::Pod { kind: "DELETED", object: pod });
    }

    /// Pods below a collection's path that the field selector lets through.
    pub fn pods(&self, namespace: Option<&str>, node: Option<&str>) -> Vec<Value> {
        let pods = self.objects.iter().filter(|(path, _)| path.contains("/pods/")).map(|(_, pod)| pod);
        pods.filter(|pod| selected(pod, namespace, node)).cloned().collect()
    }
}

pub fn selected(pod: &Value, namespace: Option<&str>, node: Option<&str>) -> bool {
    namespace.is_none_or(|ns| pod["metadata"]["namespace"] == ns) && node.is_none_or(|n| pod["spec"]["nodeName"] == n)
}
