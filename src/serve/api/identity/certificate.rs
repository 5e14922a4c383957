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

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn named(pem: &str) -> Option<(String, Vec<String>)> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        names(&certificate).map(|names| (names.common, names.organisations))
    }

    #[test]
    fn every_organisation_is_a_group_however_the_subject_is_written() {
        let groups = |list: &[&str]| list.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
        assert_eq!(named(JANE_OF_DEVS_AND_OPS), Some(("jane".to_owned(), groups(&["devs", "ops"]))));
        assert_eq!(named(JOE_AND_DEVS_IN_ONE_PART), Some(("joe".to_owned(), groups(&["devs"]))));
    }

    #[test]
    fn two_common_names_or_none_are_nobody() {
        assert_eq!(named(A_AND_B), None);
        assert_eq!(named(DEVS_ALONE), None);
        assert_eq!(names(&CertificateDer::from(b"junk".to_vec())), None);
    }

    /// Subject `C=DE, O=devs, O=ops, CN=jane`; signed by itself.
    const JANE_OF_DEVS_AND_OPS: &str = "\
-----BEGIN CERTIFICATE-----
MIIByDCCAW+gAwIBAgIUIRq6rPohR3S1Upx4rQYbG/2DhJcwCgYIKoZIzj0EAwIw
OTELMAkGA1UEBhMCREUxDTALBgNVBAoMBGRldnMxDDAKBgNVBAoMA29wczENMAsG
A1UEAwwEamFuZTAgFw0yNjExMjEwNzQ3MTlaGA8yMTI2MTAyODA3NDcxOVowOTEL
MAkGA1UEBhMCREUxDTALBgNVBAoMBGRldnMxDDAKBgNVBAoMA29wczENMAsGA1UE
AwwEamFuZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGevtUvLGj+AmDR/7jT4
1CN3BxQwEblfBUap1WCcmb2LTuL+pgF8UJPRA6iUUm5FWa10shIxDkvkP9CtfMX7
mfmjUzBRMB0GA1UdDgQWBBTtYaLrm+tH6Zd/nuX30kJi0qgLEjAfBgNVHSMEGDAW
gBTtYaLrm+tH6Zd/nuX30kJi0qgLEjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0cAMEQCIAWmnza8mELJkL1pGcMjcFo4Jk7UX0i+bA4mFkqBtYUVAiBbT5RZ
ZNGF5IFzNbjvEjlgUfuMmHKG3XowtEOof3vNQA==
-----END CERTIFICATE-----
";

    /// Subject `O=devs + CN=joe`; signed by itself.
    const JOE_AND_DEVS_IN_ONE_PART: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjDCCATOgAwIBAgIUX7TON2Ny84u6ALs0McwS86ABpy0wCgYIKoZIzj0EAwIw
GzEZMAoGA1UEAwwDam9lMAsGA1UECgwEZGV2czAgFw0yNjExMjEwNzQ3MTlaGA8y
MTI2MTAyODA3NDcxOVowGzEZMAoGA1UEAwwDam9lMAsGA1UECgwEZGV2czBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABGevtUvLGj+AmDR/7jT41CN3BxQwEblfBUap
1WCcmb2LTuL+pgF8UJPRA6iUUm5FWa10shIxDkvkP9CtfMX7mfmjUzBRMB0GA1Ud
DgQWBBTtYaLrm+tH6Zd/nuX30kJi0qgLEjAfBgNVHSMEGDAWgBTtYaLrm+tH6Zd/
nuX30kJi0qgLEjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIEOQ
iV2qxYOeoXFVgQqMY4CGU8fMuKTwvUFwVl/s+aGpAiBlSfoIwcl4ettl91JtZQcw
/XOoFVx6tossxQPNt1NCkw==
-----END CERTIFICATE-----
";

    /// Subject `CN=a, CN=b`; signed by itself.
    const A_AND_B: &str = "\
-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIUQlRRdMttwERYDF2HOJCTj70RBS8wCgYIKoZIzj0EAwIw
GDEKMAgGA1UEAwwBYTEKMAgGA1UEAwwBYjAgFw0yNjExMjEwNzQ3MTlaGA8yMTI2
MTAyODA3NDcxOVowGDEKMAgGA1UEAwwBYTEKMAgGA1UEAwwBYjBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABGevtUvLGj+AmDR/7jT41CN3BxQwEblfBUap1WCcmb2L
TuL+pgF8UJPRA6iUUm5FWa10shIxDkvkP9CtfMX7mfmjUzBRMB0GA1UdDgQWBBTt
YaLrm+tH6Zd/nuX30kJi0qgLEjAfBgNVHSMEGDAWgBTtYaLrm+tH6Zd/nuX30kJi
0qgLEjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDwSksOjucN
OnNK84o8XfcNPfpEbsQ8Aw89bPFxaIJJxAIhALjCYeJTz/Zyq32bbcEHDzse3SaR
ZfC2tT362hL94y7U
-----END CERTIFICATE-----
";

    /// Subject `O=devs`; signed by itself.
    const DEVS_ALONE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUArz9gCqoj8k7jGDbrb8+eYgvMWgwCgYIKoZIzj0EAwIw
DzENMAsGA1UECgwEZGV2czAgFw0yNjExMjEwNzQ3MTlaGA8yMTI2MTAyODA3NDcx
OVowDzENMAsGA1UECgwEZGV2czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGev
tUvLGj+AmDR/7jT41CN3BxQwEblfBUap1WCcmb2LTuL+pgF8UJPRA6iUUm5FWa10
shIxDkvkP9CtfMX7mfmjUzBRMB0GA1UdDgQWBBTtYaLrm+tH6Zd/nuX30kJi0qgL
EjAfBgNVHSMEGDAWgBTtYaLrm+tH6Zd/nuX30kJi0qgLEjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDfyWIavGQ5+7/sE6oBSdIiM9in+/AfCfny
xqi7+7tpggIgGgxJK985V8LI9j8SH4mH9WYUC+JIxsIkISW6PDJoWgo=
-----END CERTIFICATE-----
";
}
