//! The APIService's `caBundle`: where the API server has been told of us, it is told whom to believe. An APIService is
//! opt-in; that there is none is no trouble.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::issue::Root;
use super::secret::pem;
use crate::checkpoint_api::APISERVICE;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::requests;

const LIMIT: Duration = Duration::from_secs(5);

/// Writes the bundle where it differs. What fails is tried again with the next look, so it is only told.
pub(super) async fn publish(client: &ApiClient, roots: &[Root]) {
    let service = match requests::get_api_service(client, APISERVICE, LIMIT).await {
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
    match requests::patch_api_service(client, APISERVICE, &patch, LIMIT).await {
        Ok(()) => tracing::info!("the APIService knows our CA now"),
        Err(why) => tracing::warn!(error = %why, "cannot write our CA into the APIService: it will not reach us"),
    }
}
