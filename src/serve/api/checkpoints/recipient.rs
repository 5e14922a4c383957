//! What the caller names and we look up before a job is taken: the certificate to seal to, and the containers.

use jiff::Timestamp;

use super::super::api_status::ApiStatus;
use crate::clock;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::secret;
use crate::seal::Recipient;
use crate::serve::jobs::pod_target::Unfit;
use crate::serve::jobs::request::CheckpointRequest;

const TLS: &str = "kubernetes.io/tls";
const CERTIFICATE: &str = "tls.crt";

/// The certificate of the Secret, in PEM, if an archive can be sealed to it. The caller's right to the Secret must have been
/// reviewed: what is wrong with it says something about it.
pub(super) async fn certificate(api: &ApiClient, namespace: &str, name: &str) -> Result<String, ApiStatus> {
    let which = format!("Secret {namespace}/{name}");
    let found = secret::get(api, namespace, name, &[CERTIFICATE]).await.map_err(|why| match why {
        ApiError::Forbidden(why) => ApiStatus::internal(format!(
            "serve itself may not read {which}: bind its ServiceAccount to ClusterRole container-checkpoints-encryption in that \
             namespace ({why})"
        )),
        why => ApiStatus::unavailable(format!("{which} cannot be read: {why}")),
    })?;
    let secret = found.ok_or_else(|| ApiStatus::not_found(format!("there is no {which}")))?;
    if secret.kind != TLS {
        return Err(ApiStatus::bad_request(format!(
            "{which} is of type {}; encryptionSecret must be of type {TLS}",
            secret.kind
        )));
    }
    let pem = secret.value(CERTIFICATE).filter(|pem| !pem.is_empty());
    let pem = pem.ok_or_else(|| ApiStatus::bad_request(format!("{which} has no {CERTIFICATE}")))?;
    let now = Timestamp::from_second(clock::epoch_seconds()).unwrap_or(Timestamp::UNIX_EPOCH);
    Recipient::from_pem(pem, now).map_err(|why| ApiStatus::bad_request(format!("{which}: {why}")))?;
    String::from_utf8(pem.to_vec())
        .map_err(|_| ApiStatus::bad_request(format!("{which}: its {CERTIFICATE} is not text")))
}

/// A container that is not there is not found; one that does not run is there.
pub(super) fn unfit(request: &CheckpointRequest, why: &Unfit) -> ApiStatus {
    let said = format!("pod {}/{}: {why}", request.namespace, request.pod);
    match why {
        Unfit::NoContainer { .. } => ApiStatus::not_found(said),
        Unfit::NotRunning { .. } => ApiStatus::conflict(said),
        Unfit::Garbled(_) => ApiStatus::unavailable(said),
    }
}
