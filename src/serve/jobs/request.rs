//! What callers ask for: both documents' bodies become one [`CheckpointRequest`]. Pure; every name is checked here, since names
//! become paths, URLs and tags. Who may have it carried out is looked at elsewhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits;
use crate::dns_name::check_name;

/// Which of the two interfaces was used: what is done with an archive, and what the answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiFlavor {
    /// `POST /checkpoint/{ns}/{pod}/{container}`: one container, pushed as an image.
    Image,
    /// `POST …/pods/{pod}/checkpoint`: archives on the node, sealed where asked for.
    Archive,
}

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPath {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// One container, where the URL has it.
    pub container: Option<String>,
}

/// A checkpoint, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointRequest {
    /// The interface that it came by, which decides the form of the answer.
    #[serde(rename = "form")]
    pub flavor: ApiFlavor,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// One container; none is all of them.
    pub container: Option<String>,
    /// Delete the pod when everything else is durable.
    pub delete_pod: bool,
    /// Name of the Secret to whose certificate the archives are sealed.
    pub seal_to: Option<String>,
    /// Answer at once, with an identifier.
    pub asynchronous: bool,
    /// What one container's checkpoint may take, in seconds.
    pub timeout: Option<u64>,
}

impl CheckpointRequest {
    /// What one container's checkpoint may take.
    pub fn limit(&self) -> Duration {
        self.timeout.map_or(limits::CHECKPOINT, Duration::from_secs)
    }
}

/// A request that cannot be understood, or that nobody could carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not a name that Kubernetes gives.
    #[error("{what} {value:?} in the URL is not a Kubernetes name: lower case letters, digits and `-`")]
    Name {
        /// What of the URL it should name: pod, container, …
        what: &'static str,
        /// As it came, cut.
        value: String,
    },
    /// The body is no JSON object: why, and an example of one.
    #[error("the body is not a JSON object ({0}); send one like {1}")]
    NotJson(String, &'static str),
    /// A field of another type.
    #[error("{field} must be {wanted}")]
    Field {
        /// Name of the field in the body.
        field: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// Fields that do not go together.
    #[error("{0}")]
    Together(&'static str),
}

const IMAGE_EXAMPLE: &str = r#"{"deletePod": false, "async": false}"#;
const ARCHIVE_EXAMPLE: &str = r#"{"leaveRunning": true, "encrypt": true, "encryptionSecret": "NAME"}"#;

impl PodPath {
    /// Checks the names of a URL, already decoded.
    pub fn new(namespace: &str, pod: &str, container: Option<&str>) -> Result<Self, BadRequest> {
        label("the namespace", namespace)?;
        subdomain("the pod", pod)?;
        if let Some(container) = container {
            label("the container", container)?;
        }
        Ok(Self { namespace: namespace.to_owned(), pod: pod.to_owned(), container: container.map(str::to_owned) })
    }
}

/// Reads the body of a request for the place. No body is an empty object: everything has a default. Fields that are not
/// known are left alone, as the originals do.
pub fn parse(flavor: ApiFlavor, place: PodPath, body: &[u8]) -> Result<CheckpointRequest, BadRequest> {
    let fields = Fields(object(flavor, body)?);
    let timeout = fields.seconds("timeout")?;
    let plain = CheckpointRequest {
        flavor,
        namespace: place.namespace,
        pod: place.pod,
        container: place.container,
        delete_pod: false,
        seal_to: None,
        asynchronous: fields.flag("async")?.unwrap_or(false),
        timeout,
    };
    match flavor {
        ApiFlavor::Image => Ok(CheckpointRequest { delete_pod: fields.flag("deletePod")?.unwrap_or(false), ..plain }),
        ApiFlavor::Archive => {
            let container = fields.text("container")?;
            if let Some(container) = &container {
                label("container", container)?;
            }
            Ok(CheckpointRequest {
                delete_pod: !fields.flag("leaveRunning")?.unwrap_or(true),
                seal_to: fields.seal()?,
                container,
                ..plain
            })
        }
    }
}

fn object(flavor: ApiFlavor, body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    let example = match flavor {
        ApiFlavor::Image => IMAGE_EXAMPLE,
        ApiFlavor::Archive => ARCHIVE_EXAMPLE,
    };
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(BadRequest::NotJson("it is another JSON value".to_owned(), example)),
        Err(why) => Err(BadRequest::NotJson(why.to_string(), example)),
    }
}

/// A body's fields; `null` is the same as none.
struct Fields(Map<String, Value>);

impl Fields {
    fn flag(&self, field: &'static str) -> Result<Option<bool>, BadRequest> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(BadRequest::Field { field, wanted: "true or false, without quotes" }),
        }
    }

    /// An empty text is none: what the documents' defaults are.
    fn text(&self, field: &'static str) -> Result<Option<String>, BadRequest> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(BadRequest::Field { field, wanted: "a text in quotes" }),
        }
    }

    /// 0 is none.
    fn seconds(&self, field: &'static str) -> Result<Option<u64>, BadRequest> {
        let wanted = "a whole number of seconds from 0 (our own limit) to 3600";
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|n| *n <= limits::LONGEST_CHECKPOINT.as_secs()) {
                Some(seconds) => Ok(Some(seconds).filter(|seconds| *seconds > 0)),
                None => Err(BadRequest::Field { field, wanted }),
            },
        }
    }

    fn seal(&self) -> Result<Option<String>, BadRequest> {
        let secret = self.text("encryptionSecret")?;
        match (self.flag("encrypt")?, secret) {
            (Some(true), None) => Err(BadRequest::Together(
                "encrypt needs encryptionSecret: the name of a Secret of type kubernetes.io/tls in the pod's namespace",
            )),
            (Some(true), Some(secret)) => {
                subdomain("encryptionSecret", &secret)?;
                Ok(Some(secret))
            }
            // Who names a Secret and does not say whether means to be sealed; a plain archive would be a bad surprise.
            (None, Some(_)) => Err(BadRequest::Together(
                "encryptionSecret is given without encrypt: add \"encrypt\": true, or \"encrypt\": false for a plain checkpoint",
            )),
            (Some(false) | None, _) => Ok(None),
        }
    }
}

fn subdomain(what: &'static str, value: &str) -> Result<(), BadRequest> {
    check_name(what, value).map_err(|_| BadRequest::Name { what, value: value.chars().take(80).collect() })
}

/// Names of namespaces and containers: 63 characters, no dots.
fn label(what: &'static str, value: &str) -> Result<(), BadRequest> {
    if value.len() > 63 || value.contains('.') {
        return Err(BadRequest::Name { what, value: value.chars().take(80).collect() });
    }
    subdomain(what, value)
}

#[cfg(test)]
mod tests;
