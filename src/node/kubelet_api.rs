//! The kubelet's checkpoint API: one call, on this node's address, with this program's own identity. What the kubelet
//! says is told apart in [`errors`]; what is done about it is decided elsewhere. The call is never repeated here: a
//! kubelet that was asked goes on when its client is gone.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use zeroize::Zeroizing;

use crate::http_client::tls;
use crate::http_client::tls::{TlsError, Trust};
use crate::http_client::{ExchangeLimits, Host, HttpAnswer, WireError, exchange};

pub mod errors;

pub use errors::Fault;

const CONNECT: Duration = Duration::from_secs(5);
/// Its answers are a path or an error's text.
const LONGEST_ANSWER: usize = 64 << 10;

/// Whose certificate the kubelet may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletTrust {
    /// One of a CA in this file.
    Authority(PathBuf),
    /// One of the cluster's CA, else exactly the one that the kubelet made for itself (kubeadm's kubelets do).
    Node {
        /// The ServiceAccount's `ca.crt`.
        cluster: PathBuf,
        /// `<kubelet-dir>/pki/kubelet.crt`
        own: PathBuf,
    },
    /// Any. Only where an operator said so.
    Anyone,
}

/// Where the kubelet is and who we are to it. Files are read anew for each call: they are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletSettings {
    /// Address of this node, at which its kubelet listens.
    pub address: IpAddr,
    /// Port of the kubelet's HTTPS API.
    pub port: u16,
    /// How the kubelet's certificate is judged.
    pub trust: KubeletTrust,
    /// Path of our ServiceAccount's token.
    pub token: PathBuf,
    /// Client certificate and its key, used in place of the token where both files are there.
    pub certificate: (PathBuf, PathBuf),
}

/// The call got no archive.
#[derive(Debug, thiserror::Error)]
pub enum KubeletApiError {
    /// Nothing was asked: the kubelet did not begin.
    #[error("{0}; is the kubelet running, and is its port the one given?")]
    Unreachable(WireError),
    /// It shows another certificate than it should.
    #[error(
        "{0} (tried the cluster's CA, then {1}); give the kubelet's CA with --kubelet-ca, or set KUBELET_ALLOW_INSECURE=true"
    )]
    Stranger(WireError, String),
    /// Our own credentials, or whom to believe, cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token cannot be read or sent.
    #[error("the ServiceAccount's token in {path} cannot be used: {why}")]
    Token {
        /// Path of the file.
        path: PathBuf,
        /// Why it cannot be read, or what is wrong with it.
        why: String,
    },
    /// The kubelet answered, and the answer is no.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// It was asked and gave no answer: it may still be at work, and its archive may still come.
    #[error("the kubelet was asked and has not answered: {0}")]
    Unknown(WireError),
}

/// Asks this node's kubelet.
#[derive(Debug, Clone)]
pub struct KubeletApi(KubeletSettings);

impl KubeletApi {
    /// Asks nobody yet.
    pub fn new(settings: KubeletSettings) -> Self {
        Self(settings)
    }

    /// Has the kubelet checkpoint a container, and returns the path that it gives, which is only its word: names must
    /// be valid. It gets `timeout` for it; this call ends by `deadline`.
    pub async fn checkpoint(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        timeout: Duration,
        deadline: Duration,
    ) -> Result<String, KubeletApiError> {
        let path = format!("/checkpoint/{namespace}/{pod}/{container}?timeout={}", timeout.as_secs());
        let limits = ExchangeLimits { connect: CONNECT, answer: deadline, silence: CONNECT };
        let answer = match &self.0.trust {
            KubeletTrust::Anyone => self.ask(&path, Trust::Anyone, limits).await?,
            KubeletTrust::Authority(file) => {
                let trust = Trust::Authorities(tls::certificates_of(file)?);
                self.ask(&path, trust, limits).await.map_err(|why| named(why, file))?
            }
            KubeletTrust::Node { cluster, own } => self.ask_node(&path, cluster, own, limits).await?,
        };
        let status = answer.status();
        // From here on the kubelet has done its work or given up.
        let body = answer.bytes(LONGEST_ANSWER).await.map_err(KubeletApiError::Unknown)?;
        if status == StatusCode::OK { Ok(errors::path(&body)?) } else { Err(Fault::of(status.as_u16(), &body).into()) }
    }

    /// A kubelet whose certificate is not of the cluster's CA was not told anything yet, so it may be asked again.
    async fn ask_node(
        &self,
        path: &str,
        cluster: &Path,
        own: &Path,
        limits: ExchangeLimits,
    ) -> Result<HttpAnswer, KubeletApiError> {
        let mut stranger = None;
        if let Ok(authorities) = tls::certificates_of(cluster) {
            match self.ask(path, Trust::Authorities(authorities), limits).await {
                Err(KubeletApiError::Stranger(why, _)) => stranger = Some(why),
                other => return other,
            }
        }
        let certificate = match (tls::certificates_of(own), stranger) {
            (Ok(mut certificates), _) => certificates.swap_remove(0),
            (Err(unread), Some(why)) => return Err(KubeletApiError::Stranger(why, unread.to_string())),
            (Err(unread), None) => return Err(unread.into()),
        };
        self.ask(path, Trust::Exactly(certificate), limits).await.map_err(|why| named(why, own))
    }

    async fn ask(&self, path: &str, trust: Trust, limits: ExchangeLimits) -> Result<HttpAnswer, KubeletApiError> {
        let (certificate, key) = &self.0.certificate;
        let identity =
            if certificate.exists() && key.exists() { Some(tls::identity_of(certificate, key)?) } else { None };
        let mut request = Request::post(path);
        if identity.is_none() {
            request = request.header(header::AUTHORIZATION, self.token()?);
        }
        let token = self.0.token.clone();
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|why| KubeletApiError::Token { path: token, why: why.to_string() })?;
        let tls = tls::client(trust, identity)?;
        let host = Host { name: self.0.address.to_string(), port: self.0.port, tls: Some(tls) };
        exchange(&host, request, limits).await.map_err(|why| match why {
            WireError::Connect { .. } => KubeletApiError::Unreachable(why),
            WireError::Tls { .. } => KubeletApiError::Stranger(why, String::new()),
            other => KubeletApiError::Unknown(other),
        })
    }

    fn token(&self) -> Result<header::HeaderValue, KubeletApiError> {
        let path = &self.0.token;
        let unusable = |why: String| KubeletApiError::Token { path: path.clone(), why };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|why| unusable(why.to_string()))?);
        let value = Zeroizing::new(format!("Bearer {}", text.trim()));
        let mut value = header::HeaderValue::from_str(&value)
            .map_err(|_| unusable("it holds characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Says which file the kubelet's certificate was held against.
fn named(why: KubeletApiError, file: &Path) -> KubeletApiError {
    match why {
        KubeletApiError::Stranger(why, _) => KubeletApiError::Stranger(why, file.display().to_string()),
        other => other,
    }
}
