use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(auths: &serde_json::Value) -> Credentials {
    Credentials::from_docker_config(json!({ "auths": auths }).to_string().as_bytes()).unwrap()
}

/// Name and password, or the refresh token.
fn found(credentials: &Credentials, authority: &str, repository: &str) -> Option<String> {
    credentials.login(authority, repository).map(|login| match login {
        Login::Password { user, password } => format!("{user}:{}", password.as_str()),
        Login::Identity(token) => token.as_str().to_owned(),
    })
}

#[test]
fn every_form_of_a_login_is_read() {
    let all = read(&json!({
        "a.example": {"auth": "dTpwOnc="},
        "b.example": {"auth": "dTpw"},
        "c.example": {"auth": "dTpwAAA"},
        "d.example": {"username": "u", "password": "p"},
        "e.example": {"auth": "PHRva2VuPjo=", "identitytoken": "refresh"},
        "f.example": {},
        "g.example": {"auth": ""},
    }));
    let logins = ["a", "b", "c", "d", "e", "f", "g"].map(|h| found(&all, &format!("{h}.example"), "x"));
    let expected = [Some("u:p:w"), Some("u:p"), Some("u:p"), Some("u:p"), Some("refresh"), None, None];
    assert_eq!(logins, expected.map(|login| login.map(str::to_owned)));
}

#[test]
fn a_login_is_found_by_its_host_and_by_no_other() {
    let all = read(&json!({
        "https://a.example": {"auth": "YTo="},
        "http://B.example:5000/v2/": {"auth": "Yjo="},
        "https://index.docker.io/v1/": {"auth": "aHViOg=="},
        "[::1]:5000": {"auth": "djY6"},
        "c.example:443": {"auth": "Yzo="},
    }));
    assert_eq!(found(&all, "a.example", "x").as_deref(), Some("a:"));
    assert_eq!(found(&all, "b.example:5000", "x").as_deref(), Some("b:"));
    assert_eq!(found(&all, "docker.io", "user/x").as_deref(), Some("hub:"));
    assert_eq!(found(&all, "[::1]:5000", "x").as_deref(), Some("v6:"));
    assert_eq!(found(&all, "c.example", "x").as_deref(), Some("c:"));
    for other in ["b.example", "b.example:5001", "a.example:5000", "xa.example", "a.example.evil", "auth.docker.io", ""]
    {
        assert_eq!(found(&all, other, "x"), None, "{other}");
    }
}

#[test]
fn the_login_of_the_longest_path_wins() {
    let all = read(&json!({
        "q.example": {"auth": "aG9zdDo="},
        "q.example/org": {"auth": "b3JnOg=="},
        "q.example/org/team/": {"auth": "dGVhbTo="},
    }));
    for (repository, expected) in
        [("x", "host:"), ("org", "org:"), ("org/x", "org:"), ("org/team/x/y", "team:"), ("organ/x", "host:")]
    {
        assert_eq!(found(&all, "q.example", repository).as_deref(), Some(expected), "{repository}");
    }
}

#[test]
fn the_key_without_a_scheme_is_the_exact_one() {
    for order in [["a.example", "https://a.example"], ["https://a.example", "a.example"]] {
        let auth = |key: &str| if key.contains("://") { "eDo=" } else { "ZXhhY3Q6" };
        let all = read(&json!({ order[0]: {"auth": auth(order[0])}, order[1]: {"auth": auth(order[1])} }));
        assert_eq!(found(&all, "a.example", "x").as_deref(), Some("exact:"));
    }
}

#[test]
fn what_cannot_be_read_is_told_without_its_content() {
    for text in [
        "",
        "[]",
        "{\"auths\": \"hunter2\"}",
        "{\"auths\": {\"a.b\": {\"auth\": hunter2}}}",
        "{\"auths\":{\"a.b\":\"hunter2\"}}",
    ] {
        let why = Credentials::from_docker_config(text.as_bytes()).err().unwrap();
        assert!(matches!(why, BadCredentials::Json { .. }), "{why}");
        assert!(!format!("{why} {why:?}").contains("hunter2"), "{why:?}");
    }
    for auth in ["hunter2!", "aHVudGVyMg==", "/////w=="] {
        let text = json!({"auths": {"a.example": {"auth": auth}}}).to_string();
        let why = Credentials::from_docker_config(text.as_bytes()).err().unwrap();
        assert_eq!(why, BadCredentials::Auth("a.example".to_owned()));
    }
}

#[test]
fn helpers_are_noticed() {
    let of = |text: &str| Credentials::from_docker_config(text.as_bytes()).unwrap().names_helpers();
    assert!(of(r#"{"credsStore": "desktop", "auths": {"a.example": {}}}"#));
    assert!(of(r#"{"credHelpers": {"a.example": "ecr-login"}}"#));
    assert!(!of(r#"{"auths": {}, "credsStore": ""}"#));
    assert!(!of("{}"));
}

#[test]
fn name_and_password_make_a_basic_header() {
    let all = read(&json!({"a.example": {"username": "Aladdin", "password": "open sesame"}}));
    let header = all.login("a.example", "x").and_then(Login::basic).unwrap();
    assert_eq!(header.as_str(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(key in ".{0,40}", auth in ".{0,40}", junk in ".{0,60}") {
        drop(Credentials::from_docker_config(junk.as_bytes()));
        let text = json!({"auths": {key: {"auth": auth}}}).to_string();
        drop(Credentials::from_docker_config(text.as_bytes()));
    }
}
