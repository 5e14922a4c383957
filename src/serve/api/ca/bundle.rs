//! The APIService's `caBundle`: where the API server has been told of us, it is told whom to believe. An APIService is
//! opt-in; that there is none is no trouble.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::issue::Root;
use super::secret::pem;
use crate::cluster::client::{ApiClient, Call};
use crate::cluster::error::ApiError;

const PATH: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.checkpointer.alpha.coreos.com";
const LIMIT: Duration = Duration::from_secs(5);

/// Writes the bundle where it differs. What fails is tried again with the next look, so it is only told.
pub(super) async fn publish(client: &ApiClient, roots: &[Root]) {
    let service = match client.get(PATH, "APIService", LIMIT).await {
        Ok(service) => service,
        Err(ApiError::NotFound(_)) => return,
        Err(why) => {
            tracing::debug!(error = %why, "cannot look at the APIService");
            return;
        }
    };
    let bundle = STANDARD.encode(pem(roots));
    if service.pointer("/spec/caBundle").and_then(Value::as_str) == Some(bundle.as_str()) {
        return;
    }
    // The version makes two writers one after the other; the later one then sees that nothing is left to do.
    let patch = json!({
        "metadata": {"resourceVersion": service.pointer("/metadata/resourceVersion")},
        "spec": {"caBundle": bundle},
    });
    let call = Call::write(Method::PATCH, PATH, &patch, "application/merge-patch+json");
    match client.read(&call, LIMIT, |_| Ok(())).await {
        Ok(()) => tracing::info!("the APIService knows our CA now"),
        Err(why) => tracing::warn!(error = %why, "cannot write our CA into the APIService: it will not reach us"),
    }
}
