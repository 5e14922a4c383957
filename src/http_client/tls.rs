//! Whom a client believes, as configurations of the TLS library.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Which server is the right one.
#[derive(Debug, Clone)]
pub enum Trust {
    /// One whose certificate is of the public CAs, or of one of these in addition (DER).
    Public(Vec<CertificateDer<'static>>),
    /// One whose certificate is of one of these CAs (DER), and of no other.
    Authorities(Vec<CertificateDer<'static>>),
    /// One that holds the key of exactly this certificate, whatever it says: name, dates and issuer are not looked at.
    Exactly(CertificateDer<'static>),
    /// Whoever answers. Only where an operator said so.
    Anyone,
}

/// Who we are, where the server wants to know by certificate.
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
}

/// What cannot be made a TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// Path of the PEM file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A text without what it should hold.
    #[error("{what} is not usable: {why}; it must be PEM")]
    Unusable {
        /// Path of the file, or name of the object, that the PEM is from.
        what: String,
        /// What is wrong, without any of its content.
        why: String,
    },
}

/// A configuration for clients. ALPN is left out: `http_client` speaks HTTP/1.1 alone.
pub fn client(trust: Trust, identity: Option<Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let unusable = |what: &str| {
        let what = what.to_owned();
        move |why: rustls::Error| TlsError::Unusable { what, why: why.to_string() }
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable("the TLS library"))?;
    let builder = match trust {
        Trust::Public(more) => {
            let mut roots = roots(more)?;
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            builder.with_root_certificates(roots)
        }
        Trust::Authorities(all) => builder.with_root_certificates(roots(all)?),
        Trust::Exactly(certificate) => special(builder, Some(certificate), provider),
        Trust::Anyone => special(builder, None, provider),
    };
    let config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(unusable("the client certificate or its key"))?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

type Unjudged = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Judged = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn special(builder: Unjudged, pinned: Option<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Judged {
    builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned { pinned, provider }))
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|why| TlsError::Unusable { what: "a CA certificate".to_owned(), why: why.to_string() })?;
    }
    Ok(roots)
}

/// All certificates of a PEM text; there must be one. `what` names the text in the error.
pub fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |why: String| TlsError::Unusable { what: what.to_owned(), why };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|why| unusable(why.to_string()))?;
    if all.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(all) }
}

/// All certificates of a PEM file.
pub fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(&read(path)?, &path.display().to_string())
}

/// Certificate chain and key of two PEM files.
pub fn identity_of(chain: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = certificates_of(chain)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|why| TlsError::Unusable { what: key.display().to_string(), why: why.to_string() })?;
    Ok(Identity { chain, key })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|why| TlsError::Read { path: path.to_owned(), why })
}

/// Believes one certificate or every one; the handshake's signature is checked all the same, so the peer holds the key.
#[derive(Debug)]
struct Pinned {
    pinned: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.pinned {
            Some(pinned) if pinned != leaf => {
                Err(rustls::Error::General("it is not the certificate that this node's kubelet has on disk".to_owned()))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
