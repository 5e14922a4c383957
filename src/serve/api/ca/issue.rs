//! Keys and certificates made and read: the CA, and leaves of it. When that is to happen is decided elsewhere (`plan`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::{Decode, Encode};
use zeroize::Zeroizing;

use super::AuthorityError;
use super::rotation::Span;

/// Clocks of nodes differ: what is made now is good from a little earlier on.
const CLOCK_SKEW: i64 = 300;
/// CA certificates begin with this; the time of making makes each name another, so that two in one bundle are told apart.
const CA_NAME: &str = "container-checkpoints-ca@";

/// A CA: certificate and key. No `Debug`: it holds the key.
#[derive(Clone)]
pub(super) struct Ca {
    /// PEM.
    pub(super) certificate: String,
    /// PEM, PKCS #8.
    pub(super) key: Zeroizing<String>,
    pub(super) span: Span,
}

/// A certificate that others trust, without its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) der: CertificateDer<'static>,
    pub(super) span: Span,
}

/// The names and addresses that a leaf certificate is for.
pub(super) struct LeafSubject<'a> {
    pub(super) name: &'a str,
    pub(super) names: &'a [String],
    pub(super) addresses: &'a [IpAddr],
}

fn mint(what: &'static str) -> impl Fn(rcgen::Error) -> AuthorityError {
    move |why| AuthorityError::Mint { what, why: why.to_string() }
}

impl Ca {
    /// A new one, from `now` on (seconds since the epoch) for so long.
    pub(super) fn make(now: i64, life: Duration) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(mint("CA key"))?;
        let mut params = params(&format!("{CA_NAME}{now}"), now, life);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(mint("CA certificate"))?;
        Self::read(&certificate.pem(), key.serialize_pem().into())
    }

    /// From the PEM of both, which must belong together.
    pub(super) fn read(certificate: &str, key: Zeroizing<String>) -> Result<Self, AuthorityError> {
        let unusable = |why: &str| AuthorityError::Unusable { why: why.to_owned() };
        let pair = KeyPair::from_pem(&key).map_err(|_| unusable("its key is not PKCS #8 in PEM"))?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| unusable("its certificate is not PEM"))?;
        let parsed = parse(&der)?;
        let info = parsed.tbs_certificate.subject_public_key_info.to_der();
        if info.ok().as_deref() != Some(rcgen::PublicKeyData::subject_public_key_info(&pair).as_slice()) {
            return Err(unusable("its key does not belong to its certificate"));
        }
        Ok(Self { certificate: certificate.to_owned(), key, span: span(&parsed) })
    }

    /// What others trust.
    pub(super) fn root(&self) -> Result<Root, AuthorityError> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|why| AuthorityError::Unusable { why: why.to_string() })?;
        Ok(Root { der, span: self.span })
    }

    /// A leaf from `now` on for so long, but not longer than its CA.
    pub(super) fn leaf(&self, of: &LeafSubject<'_>, now: i64, life: Duration) -> Result<Leaf, AuthorityError> {
        let pair = KeyPair::from_pem(&self.key).map_err(mint("CA key"))?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, pair).map_err(mint("issuer"))?;
        let rest = Duration::from_secs(u64::try_from(self.span.end - now).unwrap_or(0));
        Leaf::make(of, now, life.min(rest), |params, key| params.signed_by(key, &issuer))
    }
}

/// What the port shows, and until when.
pub(super) struct Leaf {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) span: Span,
}

impl Leaf {
    /// One that nobody can check.
    pub(super) fn self_signed(of: &LeafSubject<'_>, now: i64, life: Duration) -> Result<Self, AuthorityError> {
        Self::make(of, now, life, CertificateParams::self_signed)
    }

    fn make(
        of: &LeafSubject<'_>,
        now: i64,
        life: Duration,
        sign: impl Fn(&CertificateParams, &KeyPair) -> Result<Certificate, rcgen::Error>,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(mint("key"))?;
        let mut params = params(of.name, now, life);
        for name in of.names {
            params.subject_alt_names.push(SanType::DnsName(name.clone().try_into().map_err(mint("name"))?));
        }
        params.subject_alt_names.extend(of.addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = sign(&params, &key).map_err(mint("certificate"))?;
        let span = span(&parse(certificate.der())?);
        let signer = aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .map_err(|why| AuthorityError::Mint { what: "key", why: why.to_string() })?;
        Ok(Self { key: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)), span })
    }
}

fn params(name: &str, now: i64, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    params.not_before = at(now - CLOCK_SKEW);
    params.not_after = at(now.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX)));
    params
}

/// All certificates of a PEM bundle; what is none is left out.
pub(super) fn roots(bundle: &[u8]) -> Vec<Root> {
    CertificateDer::pem_slice_iter(bundle)
        .filter_map(Result::ok)
        .filter_map(|der| parse(&der).map(|parsed| Root { span: span(&parsed), der }).ok())
        .collect()
}

fn parse(der: &CertificateDer<'_>) -> Result<x509_cert::Certificate, AuthorityError> {
    x509_cert::Certificate::from_der(der).map_err(|why| AuthorityError::Unusable { why: why.to_string() })
}

fn span(certificate: &x509_cert::Certificate) -> Span {
    let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.tbs_certificate.validity;
    Span { begin: seconds(validity.not_before), end: seconds(validity.not_after) }
}
