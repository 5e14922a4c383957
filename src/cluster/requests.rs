//! What is asked of the API server, one function for each thing: paths of its API stand in this file and nowhere else. Every
//! name must be valid, which is for the asker to check.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::client::{ApiClient, Call, Verb};
use super::error::ApiError;

const JSON: &str = "application/json";

/// A kind of object that a CustomResourceDefinition or we ourselves define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomKind {
    /// API group.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Name in paths: lower case, plural.
    pub plural: &'static str,
}

/// A question that the API server answers with an object of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// Who holds a token.
    Token,
    /// What somebody may do.
    SubjectAccess,
    /// What we may do ourselves.
    SelfSubjectAccess,
}

impl Review {
    /// `kind` of the object.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Token => "TokenReview",
            Self::SubjectAccess => "SubjectAccessReview",
            Self::SelfSubjectAccess => "SelfSubjectAccessReview",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Token => "/apis/authentication.k8s.io/v1/tokenreviews",
            Self::SubjectAccess => "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            Self::SelfSubjectAccess => "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        }
    }
}

/// Where all objects of a kind are listed and watched, those of every namespace.
pub fn custom_path(kind: CustomKind) -> String {
    format!("/apis/{}/{}/{}", kind.group, kind.version, kind.plural)
}

/// Where pods are listed and watched: those of a namespace, or all.
pub fn pods_path(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "/api/v1/pods".to_owned(), |namespace| format!("/api/v1/namespaces/{namespace}/pods"))
}

/// Where a pod is, for who asks with a client that is not ours.
pub fn pod_path(namespace: &str, pod: &str) -> String {
    format!("{}/{pod}", pods_path(Some(namespace)))
}

/// Reads a pod.
pub async fn get_pod(client: &ApiClient, namespace: &str, pod: &str, limit: Duration) -> Result<Value, ApiError> {
    client.get(&pod_path(namespace, pod), "Pod", limit).await
}

/// Has a pod deleted, if it still is the one with this UID; [`ApiError::Conflict`] if it is another.
pub async fn delete_pod(
    client: &ApiClient,
    namespace: &str,
    pod: &str,
    uid: &str,
    limit: Duration,
) -> Result<(), ApiError> {
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}});
    write(client, Method::DELETE, pod_path(namespace, pod), &body, JSON, limit).await
}

/// The pods with label `app` on a node, as `parse` reads their list.
pub async fn list_pods_of_app<T>(
    client: &ApiClient,
    namespace: &str,
    app: &str,
    node: &str,
    limit: Duration,
    parse: impl Fn(&[u8]) -> Result<T, String> + Sync,
) -> Result<T, ApiError> {
    let pods = pods_path(Some(namespace));
    let path = format!("{pods}?labelSelector=app%3D{app}&fieldSelector=spec.nodeName%3D{node}");
    client.read(&Call::get(path, Verb::List), limit, parse).await
}

/// Reads a Node.
pub async fn get_node(client: &ApiClient, name: &str, limit: Duration) -> Result<Value, ApiError> {
    client.get(&format!("/api/v1/nodes/{name}"), "Node", limit).await
}

/// Reads a Namespace.
pub async fn get_namespace(client: &ApiClient, name: &str, limit: Duration) -> Result<Value, ApiError> {
    client.get(&format!("/api/v1/namespaces/{name}"), "Namespace", limit).await
}

/// A DaemonSet.
pub async fn get_daemon_set(
    client: &ApiClient,
    namespace: &str,
    name: &str,
    limit: Duration,
) -> Result<Value, ApiError> {
    client.get(&format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"), "DaemonSet", limit).await
}

/// A ConfigMap.
pub async fn get_config_map(
    client: &ApiClient,
    namespace: &str,
    name: &str,
    limit: Duration,
) -> Result<Value, ApiError> {
    client.get(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}"), "ConfigMap", limit).await
}

/// A Secret, with everything that it holds.
pub async fn get_secret(client: &ApiClient, namespace: &str, name: &str, limit: Duration) -> Result<Value, ApiError> {
    client.get(&secret_path(namespace, name), "Secret", limit).await
}

/// Makes a Secret; [`ApiError::Conflict`] if there is one.
pub async fn create_secret(
    client: &ApiClient,
    namespace: &str,
    secret: &Value,
    limit: Duration,
) -> Result<(), ApiError> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    write(client, Method::POST, path, secret, JSON, limit).await
}

/// Writes a Secret anew; [`ApiError::Conflict`] if it is not of the version any more that `secret` has.
pub async fn replace_secret(
    client: &ApiClient,
    namespace: &str,
    name: &str,
    secret: &Value,
    limit: Duration,
) -> Result<(), ApiError> {
    write(client, Method::PUT, secret_path(namespace, name), secret, JSON, limit).await
}

fn secret_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}

/// A token of a ServiceAccount: the answer to a TokenRequest.
pub async fn create_token(
    client: &ApiClient,
    namespace: &str,
    service_account: &str,
    request: &Value,
    limit: Duration,
) -> Result<Value, ApiError> {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token");
    client.post(&path, request, "TokenRequest", limit).await
}

/// Has something reviewed; the answer's `status` says what came of it.
pub async fn review(client: &ApiClient, kind: Review, body: &Value, limit: Duration) -> Result<Value, ApiError> {
    client.post(kind.path(), body, kind.kind(), limit).await
}

/// Makes an Event.
pub async fn create_event(client: &ApiClient, namespace: &str, event: &Value, limit: Duration) -> Result<(), ApiError> {
    write(client, Method::POST, format!("/api/v1/namespaces/{namespace}/events"), event, JSON, limit).await
}

/// An APIService.
pub async fn get_api_service(client: &ApiClient, name: &str, limit: Duration) -> Result<Value, ApiError> {
    client.get(&api_service_path(name), "APIService", limit).await
}

/// Changes an APIService by a merge patch.
pub async fn patch_api_service(client: &ApiClient, name: &str, patch: &Value, limit: Duration) -> Result<(), ApiError> {
    write(client, Method::PATCH, api_service_path(name), patch, "application/merge-patch+json", limit).await
}

fn api_service_path(name: &str) -> String {
    format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}")
}

/// Sets `manager`'s part of an object's status by server-side apply: no other manager's part is touched.
pub async fn apply_status(
    client: &ApiClient,
    kind: CustomKind,
    (namespace, name): (&str, &str),
    manager: &str,
    object: &Value,
    limit: Duration,
) -> Result<(), ApiError> {
    let CustomKind { group, version, plural } = kind;
    let path = format!(
        "/apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}/status?fieldManager={manager}&force=true"
    );
    write(client, Method::PATCH, path, object, "application/apply-patch+yaml", limit).await
}

/// What came of it is the status code alone.
async fn write(
    client: &ApiClient,
    method: Method,
    path: String,
    body: &Value,
    content_type: &'static str,
    limit: Duration,
) -> Result<(), ApiError> {
    client.read(&Call::write(method, path, body, content_type), limit, |_| Ok(())).await
}
