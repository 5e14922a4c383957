use super::*;

const IMAGE: &str = "registry.example:5000/team/app:1.2";
const ID: &str = "sha256:0123";

struct Kubelet(tempfile::TempDir);

impl Kubelet {
    /// One that keeps records.
    fn new() -> Self {
        let kubelet = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(kubelet.0.path().join("image_manager/pulled")).unwrap();
        std::fs::create_dir_all(kubelet.0.path().join("image_manager/pulling")).unwrap();
        kubelet
    }

    fn pulled(self, record: &str) -> Self {
        self.file(&format!("image_manager/pulled/{}", file_name(ID)), record)
    }

    /// Pulled under `name` with these `credentials`.
    fn pulled_as(self, name: &str, credentials: &str) -> Self {
        self.pulled(&format!(
            r#"{{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2026-01-01T00:00:00Z",
                "imageRef":"{ID}","credentialMapping":{{"{name}":{credentials}}}}}"#
        ))
    }

    fn policy(self, yaml: &str) -> Self {
        self.file("config.yaml", yaml)
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    fn access(&self) -> ImageAccess {
        PullRecords::of(&KubeletDir::new(self.0.path())).unwrap().access(IMAGE, ID).unwrap()
    }
}

const OPEN: &str = r#"{"nodePodsAccessible":true}"#;
const SECRET: &str = r#"{"kubernetesSecrets":[{"uid":"u","namespace":"n","name":"pull","credentialHash":"h"}]}"#;
const ACCOUNT: &str = r#"{"kubernetesServiceAccounts":[{"uid":"u","namespace":"n","name":"sa"}]}"#;
const NAME: &str = "registry.example:5000/team/app";

#[test]
fn an_image_pulled_without_credentials_is_free() {
    assert_eq!(Kubelet::new().pulled_as(NAME, OPEN).access(), ImageAccess::Free);
}

#[rstest::rstest]
#[case::with_a_secret(NAME, SECRET)]
#[case::with_a_service_account(NAME, ACCOUNT)]
#[case::in_unknown_circumstances(NAME, "{}")]
#[case::freely_but_under_another_name("mirror.example/app", OPEN)]
fn an_image_pulled_otherwise_is_pulled_again(#[case] name: &str, #[case] credentials: &str) {
    assert_eq!(Kubelet::new().pulled_as(name, credentials).access(), ImageAccess::Repull);
}

#[test]
fn an_image_that_the_kubelet_did_not_pull_is_free() {
    assert_eq!(Kubelet::new().access(), ImageAccess::Free);
}

#[test]
fn a_pull_that_began_and_was_not_recorded_counts() {
    let intent = format!("image_manager/pulling/{}", file_name(IMAGE));
    assert_eq!(Kubelet::new().file(&intent, "{}").access(), ImageAccess::Repull);
}

#[test]
fn a_record_that_cannot_be_read_is_no_permission() {
    assert_eq!(Kubelet::new().pulled("{").access(), ImageAccess::Repull);
}

#[test]
fn a_record_of_another_image_says_nothing() {
    let other = r#"{"imageRef":"sha256:9999","credentialMapping":{}}"#;
    assert_eq!(Kubelet::new().pulled(other).access(), ImageAccess::Free);
}

#[rstest::rstest]
#[case("imagePullCredentialsVerificationPolicy: NeverVerify", ImageAccess::Free, ImageAccess::Free)]
#[case("featureGates: {KubeletEnsureSecretPulledImages: false}", ImageAccess::Free, ImageAccess::Free)]
#[case("imagePullCredentialsVerificationPolicy: NeverVerifyPreloadedImages", ImageAccess::Repull, ImageAccess::Free)]
#[case("imagePullCredentialsVerificationPolicy: AlwaysVerify", ImageAccess::Repull, ImageAccess::Repull)]
#[case(
    "{imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages, preloadedImagesVerificationAllowlist: [registry.example:5000/team/*]}",
    ImageAccess::Free,
    ImageAccess::Free
)]
#[case(
    "{imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages, preloadedImagesVerificationAllowlist: [registry.example:5000/team]}",
    ImageAccess::Repull,
    ImageAccess::Repull
)]
fn the_policy_decides(#[case] policy: &str, #[case] pulled_with_secret: ImageAccess, #[case] preloaded: ImageAccess) {
    assert_eq!(Kubelet::new().pulled_as(NAME, SECRET).policy(policy).access(), pulled_with_secret);
    assert_eq!(Kubelet::new().policy(policy).access(), preloaded);
}

#[test]
fn a_kubelet_that_keeps_no_records_does_not_check() {
    let kubelet = Kubelet(tempfile::tempdir().unwrap()).policy("imagePullCredentialsVerificationPolicy: AlwaysVerify");
    assert_eq!(kubelet.access(), ImageAccess::Free);
}

#[test]
fn a_directory_that_is_not_there_is_not_an_answer() {
    let records = PullRecords::of(&KubeletDir::new("/nowhere/kubelet"));
    assert!(records.unwrap_err().to_string().contains("--kubelet-dir"));
}

#[rstest::rstest]
#[case("busybox", "busybox")]
#[case("busybox:1", "busybox")]
#[case("localhost:5000/busybox", "localhost:5000/busybox")]
#[case("localhost:5000/busybox:1@sha256:ab", "localhost:5000/busybox")]
#[case("a/b@sha256:ab", "a/b")]
fn the_name_of_an_image_has_neither_tag_nor_digest(#[case] image: &str, #[case] expected: &str) {
    assert_eq!(name(image), expected);
}

/// From the kubelet's own test data.
#[test]
fn records_are_found_under_the_name_that_the_kubelet_gives_them() {
    assert_eq!(file_name("testimageref-sa"), "sha256-917e8b3439bf8a7a6f37ffd2d2ddfdfafac8a251bf214a0be39675742b420b1a");
}
