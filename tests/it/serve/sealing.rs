//! Archives that only one can open: what is refused before anything is taken, what is left when all is well, and nothing in
//! clear when it is not.

use rstest::rstest;

use super::site::Site;

const ARCHIVE: &str = "/api/v1/namespaces/default/pods/counter/checkpoint";
const SEALED: &str = r#"{"leaveRunning":true,"encrypt":true,"encryptionSecret":"test-secret"}"#;
const TLS: &str = "kubernetes.io/tls";

fn certificate() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    rcgen::CertificateParams::new(vec!["keeper".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

/// The file, or what describes it.
fn is_sealed(name: &str) -> bool {
    name.contains(".tar.age")
}

fn ed25519() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    rcgen::CertificateParams::new(vec!["keeper".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn every_archive_is_sealed_and_nothing_is_left_in_clear() {
    let site = Site::new().await;
    site.cluster.add_secret("default", "test-secret", TLS, "tls.crt", certificate().as_bytes());
    let said = site.post(ARCHIVE, r#"{"leaveRunning":false,"encrypt":true,"encryptionSecret":"test-secret"}"#).await;
    assert_eq!(said.code, 200, "{}", said.body);
    let items = said.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    for item in items {
        let item = item.as_str().unwrap();
        assert!(item.ends_with(".tar.age"), "{item}");
        let bytes = std::fs::read(item).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
        assert!(!bytes.windows(9).any(|part| part == b"container"), "{item} tells what is in it");
    }
    assert!(site.archives().iter().all(|name| is_sealed(name)), "{:?}", site.archives());
    assert!(!site.cluster.has_pod("counter"));
}

#[rstest]
#[case::not_there(None, 404, "there is no Secret default/test-secret")]
#[case::another_type(Some(("Opaque", "tls.crt", certificate())), 400, "must be of type kubernetes.io/tls")]
#[case::no_certificate(Some((TLS, "tls.key", "x".to_owned())), 400, "has no tls.crt")]
#[case::no_pem(Some((TLS, "tls.crt", "x".to_owned())), 400, "no X.509 certificate")]
#[case::a_key_that_cannot_be_sealed_to(Some((TLS, "tls.crt", ed25519())), 400, "RSA key of 2048")]
#[tokio::test]
async fn what_cannot_be_sealed_to_is_said_before_anything_is_taken(
    #[case] secret: Option<(&str, &str, String)>,
    #[case] code: u16,
    #[case] meant: &str,
) {
    let site = Site::new().await;
    if let Some((kind, key, value)) = secret {
        site.cluster.add_secret("default", "test-secret", kind, key, value.as_bytes());
    }
    let said = site.post(ARCHIVE, SEALED).await;
    assert_eq!(said.code, code, "{}", said.body);
    assert!(said.text("message").contains(meant), "{}", said.body);
    assert!(site.kubelet.calls().is_empty() && site.records().is_empty());
}

#[tokio::test]
async fn a_secret_that_serve_may_not_read_is_said_as_that() {
    let site = Site::new().await;
    site.cluster.world().forbidden.push("/api/v1/namespaces/default/secrets/test-secret".to_owned());
    let said = site.post(ARCHIVE, SEALED).await;
    assert!(said.code == 500 && said.text("message").contains("container-checkpoints"), "{}", said.body);
}

#[tokio::test]
async fn a_seal_that_fails_leaves_no_plain_archive_and_the_pod() {
    let site = Site::new().await;
    site.cluster.add_secret("default", "test-secret", TLS, "tls.crt", certificate().as_bytes());
    // The seal's description cannot be written: a directory has its name.
    let until = super::kubelet::seconds() + 60;
    for at in super::kubelet::seconds()..until {
        let at = jiff::Timestamp::from_second(at).unwrap();
        let name = format!("checkpoint-counter_default-main-{at}.tar.age.json");
        std::fs::create_dir(site.config.checkpoints.join(name)).unwrap();
    }
    let said = site.post(ARCHIVE, r#"{"leaveRunning":false,"encrypt":true,"encryptionSecret":"test-secret"}"#).await;
    assert_eq!(said.code, 500, "{}", said.body);
    assert!(said.text("message").contains("was not sealed, and is removed"), "{}", said.body);
    let left: Vec<String> = site.archives().into_iter().filter(|name| !name.contains(".age.json")).collect();
    assert!(left.is_empty() && site.cluster.has_pod("counter"), "{left:?}");
}

#[tokio::test]
async fn a_seal_that_was_interrupted_is_made_again() {
    let mut site = Site::new().await;
    site.cluster.add_secret("default", "test-secret", TLS, "tls.crt", certificate().as_bytes());
    let body = r#"{"async":true,"container":"main","encrypt":true,"encryptionSecret":"test-secret"}"#;
    let identifier = site.post(ARCHIVE, body).await.text("checkpointIdentifier");
    assert_eq!(site.outcome(&identifier).await.code, 200);
    site.kill();
    let plain = site.archives()[0].strip_suffix(".age").unwrap().to_owned();
    for name in site.archives() {
        std::fs::remove_file(site.config.checkpoints.join(name)).unwrap();
    }
    let bytes = super::archive::archive("default", "counter", "uid-of-counter", "main", b"memory");
    std::fs::write(site.config.checkpoints.join(&plain), bytes).unwrap();
    let mut record = site.records().remove(0);
    (record["state"], record["archive"], record["taken"]) =
        ("sealing".into(), plain.clone().into(), serde_json::json!([]));
    let path = site.config.storage.join(format!("jobs/{}.json", record["id"].as_str().unwrap()));
    std::fs::write(path, record.to_string()).unwrap();
    site.start();
    let said = site.outcome(&identifier).await;
    assert_eq!(said.code, 200, "{}", said.body);
    assert_eq!(site.archives(), [format!("{plain}.age"), format!("{plain}.age.json")]);
}
