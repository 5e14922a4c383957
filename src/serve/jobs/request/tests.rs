use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn place() -> PodPath {
    PodPath { namespace: "default".to_owned(), pod: "counter".to_owned(), container: None }
}

fn image(body: &str) -> Result<CheckpointRequest, BadRequest> {
    parse(ApiFlavor::Image, PodPath { container: Some("main".to_owned()), ..place() }, body.as_bytes())
}

fn archive(body: &str) -> Result<CheckpointRequest, BadRequest> {
    parse(ApiFlavor::Archive, place(), body.as_bytes())
}

#[test]
fn both_documents_requests_are_read_to_the_letter() {
    let one = image(r#"{"deletePod": true}"#).unwrap();
    assert!(one.delete_pod && !one.asynchronous);
    assert_eq!(one.container.as_deref(), Some("main"));
    let other = archive(r#"{"leaveRunning":true,"encrypt":true,"encryptionSecret":"test-secret"}"#).unwrap();
    assert_eq!(other.seal_to.as_deref(), Some("test-secret"));
    assert!(!other.delete_pod && other.container.is_none());
}

#[test]
fn without_a_body_everything_is_as_the_documents_have_it() {
    for body in ["", " \r\n", "{}", r#"{"deletePod":null,"async":null,"leaveRunning":null,"timeout":null}"#] {
        for read in [image(body).unwrap(), archive(body).unwrap()] {
            assert!(
                !read.delete_pod && !read.asynchronous && read.seal_to.is_none() && read.timeout.is_none(),
                "{body}"
            );
            assert_eq!(read.limit(), limits::CHECKPOINT);
        }
    }
    let spelled = r#"{"leaveRunning":true,"encrypt":false,"encryptionSecret":"","container":"","timeout":0}"#;
    assert_eq!(archive(spelled), archive(""));
}

#[test]
fn what_is_not_known_is_left_alone() {
    assert_eq!(image(r#"{"deletePod":true,"more":[1]}"#), image(r#"{"deletePod":true}"#));
}

#[test]
fn not_leaving_it_running_is_deleting_the_pod() {
    assert!(archive(r#"{"leaveRunning":false}"#).unwrap().delete_pod);
    // Each interface has its own word for it.
    assert!(!image(r#"{"leaveRunning":false}"#).unwrap().delete_pod);
    assert!(!archive(r#"{"deletePod":true}"#).unwrap().delete_pod);
}

#[rstest]
#[case::a_text_for_a_flag(r#"{"async":"true"}"#, "async must be true or false")]
#[case::a_number_for_a_flag(r#"{"leaveRunning":1}"#, "leaveRunning must be true or false")]
#[case::a_list_for_a_text(r#"{"container":["a"]}"#, "container must be a text")]
#[case::a_negative_time(r#"{"timeout":-1}"#, "timeout must be a whole number")]
#[case::half_a_second(r#"{"timeout":0.5}"#, "timeout must be a whole number")]
#[case::more_than_an_hour(r#"{"timeout":3601}"#, "to 3600")]
#[case::no_object("[]", "not a JSON object")]
#[case::no_json("deletePod=true", "send one like")]
#[case::cut(r#"{"async":tr"#, "not a JSON object")]
#[case::no_secret(r#"{"encrypt":true}"#, "encrypt needs encryptionSecret")]
#[case::an_empty_secret(r#"{"encrypt":true,"encryptionSecret":""}"#, "encrypt needs encryptionSecret")]
#[case::sealed_or_not(r#"{"encryptionSecret":"s"}"#, "without encrypt")]
#[case::a_secret_elsewhere(r#"{"encrypt":true,"encryptionSecret":"../other/s"}"#, "not a Kubernetes name")]
#[case::a_container_elsewhere(r#"{"container":"a/b"}"#, "not a Kubernetes name")]
fn what_cannot_be_meant_is_said(#[case] body: &str, #[case] said: &str) {
    let why = archive(body).unwrap_err().to_string();
    assert!(why.contains(said), "{why}");
}

#[test]
fn a_secret_that_is_named_and_not_wanted_is_not_used() {
    assert_eq!(archive(r#"{"encrypt":false,"encryptionSecret":"s"}"#).unwrap().seal_to, None);
}

#[rstest]
#[case("", "p", None)]
#[case("ns", "", None)]
#[case("ns", "p", Some(""))]
#[case("..", "p", None)]
#[case("ns", "..", None)]
#[case("ns", "p", Some(".."))]
#[case("n/s", "p", None)]
#[case("n.s", "p", None)]
#[case("ns", "p", Some("c.d"))]
#[case("NS", "p", None)]
#[case("ns", "p\0", None)]
#[case("ns", "p?timeout=1", None)]
#[case("ns", "ü", None)]
fn a_name_that_kubernetes_would_not_give_is_refused(
    #[case] namespace: &str,
    #[case] pod: &str,
    #[case] container: Option<&str>,
) {
    assert!(matches!(PodPath::new(namespace, pod, container), Err(BadRequest::Name { .. })));
}

#[test]
fn lengths_are_those_of_kubernetes() {
    let label = |n: usize| "a".repeat(n);
    assert!(PodPath::new(&label(63), &label(253), Some(&label(63))).is_ok());
    assert!(PodPath::new(&label(64), "p", None).is_err());
    assert!(PodPath::new("ns", &label(254), None).is_err());
    assert!(PodPath::new("ns", "p", Some(&label(64))).is_err());
}

proptest! {
    #[test]
    fn no_body_does_more_than_be_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(ApiFlavor::Image, place(), &body);
        let _ = parse(ApiFlavor::Archive, place(), &body);
    }

    #[test]
    fn a_place_is_safe_in_paths_and_urls(namespace in ".{0,70}", pod in ".{0,70}", container in ".{0,70}") {
        if let Ok(place) = PodPath::new(&namespace, &pod, Some(&container)) {
            for name in [place.namespace, place.pod, place.container.unwrap()] {
                prop_assert!(!name.is_empty() && name != "." && name != "..");
                prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'));
            }
        }
    }
}
