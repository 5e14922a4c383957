//! From an archive to an image in the operator's registry, with the credentials of the pull secret, which is read anew for
//! each push.

use std::path::PathBuf;
use std::time::Duration;

use super::archives::FoundArchive;
use super::job::JobId;
use super::metrics::JobMetrics;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::secret;
use crate::http_client::tls;
use crate::http_client::tls::TlsError;
use crate::image::push::{PushError, push};
use crate::registry::credentials::{BadCredentials, Credentials};
use crate::registry::reference::{BadReference, ImageReference};
use crate::registry::{Digest, Registry, RegistryError, RegistryLimits, RegistryOptions};

/// Key of a Secret of type kubernetes.io/dockerconfigjson.
const CONFIG: &str = ".dockerconfigjson";

/// Where images go, and as whom.
pub struct Publisher {
    /// `HOST[:PORT]/REPOSITORY`
    pub prefix: String,
    /// Registries that speak plain HTTP.
    pub plain_http: Vec<String>,
    /// CA besides the public ones.
    pub ca: Option<PathBuf>,
    /// What a push may take.
    pub limit: Duration,
    /// Where the Secret is.
    pub namespace: String,
    /// Name of the Secret with the docker configuration.
    pub secret: String,
    /// The API server, for reading the Secret.
    pub api: ApiClient,
    /// Counts what was pushed.
    pub metrics: JobMetrics,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum PublishFault {
    /// The address is none.
    #[error("CHECKPOINT_IMAGE_PREFIX: {0}")]
    ImageReference(#[from] BadReference),
    /// Credentials that are there and cannot be had.
    #[error("Secret {namespace}/{name} cannot be read: {why}")]
    Secret {
        /// Namespace of the Secret, which is our own.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// What the API says.
        why: ApiError,
    },
    /// Credentials that cannot be understood.
    #[error("Secret {namespace}/{name} holds no usable .dockerconfigjson: {why}")]
    Credentials {
        /// Namespace of the Secret, which is our own.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// What is wrong, without any of its content.
        why: BadCredentials,
    },
    /// The registry's CA cannot be read or used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The registry cannot be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The archive cannot be an image, or did not get there in time.
    #[error(transparent)]
    Push(#[from] PushError),
}

impl Publisher {
    /// Pushes the archive under the job's tag, and returns the image's reference. Doing it again changes nothing.
    pub async fn publish(&self, job: &JobId, archive: FoundArchive) -> Result<String, PublishFault> {
        let reference = ImageReference::parse(&format!("{}:{job}", self.prefix))?;
        let registry = self.registry(self.limit).await?;
        let pushed = push(&registry, &reference, archive.content, &archive.metadata, &|_| {}).await?;
        self.metrics.pushed(pushed.bytes);
        tracing::info!(%job, image = %pushed.reference, digest = %pushed.digest, bytes = pushed.bytes, "pushed");
        Ok(pushed.reference)
    }

    /// Whether the registry answers and lets us in: asks for a blob that nobody has, and stores nothing.
    pub async fn try_registry(&self, limit: Duration) -> Result<(), PublishFault> {
        let reference = ImageReference::parse(&format!("{}:{:016x}", self.prefix, 0))?;
        self.registry(limit).await?.has_blob(&reference, Digest::of(self.prefix.as_bytes())).await?;
        Ok(())
    }

    async fn registry(&self, limit: Duration) -> Result<Registry, PublishFault> {
        Ok(Registry::new(RegistryOptions {
            plain_http: self.plain_http.clone(),
            ca: self.ca.as_deref().map(tls::certificates_of).transpose()?.unwrap_or_default(),
            credentials: self.credentials().await?,
            limits: RegistryLimits { total: limit, ..RegistryLimits::default() },
        })?)
    }

    /// None where there is no such Secret; anything else that keeps it from being read is no reason to go without.
    async fn credentials(&self) -> Result<Credentials, PublishFault> {
        let (namespace, name) = (self.namespace.clone(), self.secret.clone());
        match secret::get(&self.api, &namespace, &name, &[CONFIG]).await {
            Ok(None) => Ok(Credentials::none()),
            Ok(Some(found)) => {
                let config = found.value(CONFIG).unwrap_or_default();
                let read = Credentials::from_docker_config(config);
                read.map_err(|why| PublishFault::Credentials { namespace, name, why })
            }
            Err(why) => Err(PublishFault::Secret { namespace, name, why }),
        }
    }
}
