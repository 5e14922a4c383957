//! Seals: what is sealed opens for its recipient and for nobody else, and nothing of it can be changed unseen.

mod files;
mod recipients;
mod tampering;

use std::sync::LazyLock;

use jiff::Timestamp;
use pod_checkpointer::seal::{Recipient, SealError, UnsealError, seal, unseal};
use rcgen::{CertificateParams, DnType, KeyPair, RsaKeySize, SignatureAlgorithm};

/// A certificate and its key, in PEM.
struct Holder {
    certificate: String,
    key: String,
}

impl Holder {
    fn of(name: &str, key: &KeyPair) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Acme, \"Archive\" + Sons");
        params.distinguished_name.push(DnType::CommonName, name);
        Self { certificate: params.self_signed(key).unwrap().pem(), key: key.serialize_pem() }
    }

    fn ec(name: &str, curve: &'static SignatureAlgorithm) -> Self {
        Self::of(name, &KeyPair::generate_for(curve).unwrap())
    }

    fn rsa(name: &str, size: RsaKeySize) -> Self {
        Self::of(name, &KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap())
    }

    fn recipient(&self) -> Recipient {
        Recipient::from_pem(self.certificate.as_bytes(), Timestamp::now()).unwrap()
    }

    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        sealed(&self.recipient(), plain).unwrap()
    }

    fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let mut plain = Vec::new();
        let length = unseal(self.key.as_bytes(), None, &mut &sealed[..], &mut plain, &mut |_| {})?;
        assert_eq!(length, plain.len() as u64);
        Ok(plain)
    }
}

fn sealed(recipient: &Recipient, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut sealed = Vec::new();
    let length = seal(recipient, &mut &plain[..], &mut sealed, &mut |_| {})?;
    assert_eq!(length, plain.len() as u64);
    Ok(sealed)
}

static EC: LazyLock<Holder> = LazyLock::new(|| Holder::ec("ec", &rcgen::PKCS_ECDSA_P256_SHA256));
static RSA: LazyLock<Holder> = LazyLock::new(|| Holder::rsa("rsa", RsaKeySize::_2048));
