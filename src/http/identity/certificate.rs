//! Whom a client certificate names: the common name is the user, the organisations are the groups, as the API server has it.
//! Whether it is to be believed is judged before.

use rustls::pki_types::CertificateDer;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Any, Decode};

/// RFC 4519 §2.3 and §2.19.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3"); // a constant, checked when compiled
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10"); // the same

/// The names in a certificate's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The one common name.
    pub(super) common: String,
    pub(super) organisations: Vec<String>,
}

/// None where it cannot be read, or has no common name, or more than one.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Option<Names> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let (mut common, mut organisations) = (Vec::new(), Vec::new());
    for attribute in parsed.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter()) {
        let list = match attribute.oid {
            COMMON_NAME => &mut common,
            ORGANISATION => &mut organisations,
            _ => continue,
        };
        list.push(text(&attribute.value)?);
    }
    let [common]: [String; 1] = common.try_into().ok()?;
    (!common.is_empty()).then_some(Names { common, organisations })
}

/// The forms that names are written in (RFC 5280 §4.1.2.4) but for the two of wide characters, which nobody uses any more.
fn text(value: &Any) -> Option<String> {
    let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    let printable = || value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
    let ia5 = || value.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str().to_owned());
    let teletex = || value.decode_as::<TeletexStringRef<'_>>().map(|text| text.as_str().to_owned());
    utf8.or_else(|_| printable()).or_else(|_| ia5()).or_else(|_| teletex()).ok()
}
