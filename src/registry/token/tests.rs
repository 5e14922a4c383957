use serde_json::json;

use super::*;

fn place(authority: &str, origin: &str) -> RepositoryPath {
    let origin = Target::parse(origin).unwrap().origin;
    RepositoryPath { origin, authority: authority.to_owned(), repository: "a/b".to_owned(), also: None }
}

fn credentials(hosts: &[&str]) -> Credentials {
    let auths: serde_json::Map<_, _> =
        hosts.iter().map(|host| ((*host).to_owned(), json!({"username": host, "password": "p"}))).collect();
    Credentials::from_docker_config(json!({ "auths": auths }).to_string().as_bytes()).unwrap()
}

fn bearer(realm: &str) -> Challenge {
    Challenge::Bearer { realm: realm.to_owned(), service: Some("s&t".to_owned()) }
}

/// Where the request for a token goes and whose name it carries; `foreign` or `nowhere` where there is none.
fn goes(place: &RepositoryPath, realm: &str, logins: &[&str]) -> (String, Option<String>) {
    use base64::Engine as _;
    match plan(place, &bearer(realm), &credentials(logins)) {
        AuthPlan::Fetch(token_request) => {
            let name = token_request.header.map(|header| {
                let pair = base64::engine::general_purpose::STANDARD.decode(&header["Basic ".len()..]).unwrap();
                String::from_utf8(pair).unwrap().trim_end_matches(":p").to_owned()
            });
            (token_request.target.origin.url(), name)
        }
        AuthPlan::Foreign(realm) => (format!("foreign {}", realm.url()), None),
        AuthPlan::Nowhere => ("nowhere".to_owned(), None),
        AuthPlan::Use(_) | AuthPlan::Nobody => panic!("a token was asked for"),
    }
}

#[test]
fn a_login_goes_where_it_belongs_and_nowhere_else() {
    let there = place("r.example", "https://r.example/");
    let to = |url: &str, name: Option<&str>| (url.to_owned(), name.map(str::to_owned));
    let own = ["r.example"];
    assert_eq!(goes(&there, "https://r.example/token", &own), to("https://r.example", Some("r.example")));
    assert_eq!(goes(&there, "/token", &own), to("https://r.example", Some("r.example")));
    for foreign in
        ["https://evil.example", "https://r.example:444", "http://r.example", "https://r.example.evil.example"]
    {
        assert_eq!(goes(&there, foreign, &own), to(&format!("foreign {foreign}"), None), "{foreign}");
        assert_eq!(goes(&there, foreign, &[]), to(foreign, None), "{foreign}: with nothing to lose");
    }
    let both = ["r.example", "auth.example"];
    assert_eq!(goes(&there, "https://auth.example/t", &both), to("https://auth.example", Some("auth.example")));
    assert_eq!(goes(&there, "https://user:p@r.example/t", &own), to("nowhere", None));
}

#[test]
fn docker_hub_has_its_token_server_and_nobody_else_has_it() {
    let hub = place("docker.io", "https://registry-1.docker.io/");
    let (to, name) = goes(&hub, "https://auth.docker.io/token", &["https://index.docker.io/v1/"]);
    assert_eq!((to.as_str(), name.as_deref()), ("https://auth.docker.io", Some("https://index.docker.io/v1/")));
    let other = place("r.example", "https://r.example/");
    assert_eq!(goes(&other, "https://auth.docker.io/token", &["r.example"]).0, "foreign https://auth.docker.io");
    assert_eq!(goes(&hub, "http://auth.docker.io/token", &["docker.io"]).0, "foreign http://auth.docker.io");
}

#[test]
fn a_token_is_asked_for_with_our_scope() {
    let there = RepositoryPath { also: Some("c".to_owned()), ..place("r.example", "https://r.example/") };
    let AuthPlan::Fetch(token_request) = plan(&there, &bearer("/t?x=1"), &Credentials::none()) else {
        panic!("no request")
    };
    let scopes = "scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull";
    assert_eq!(token_request.target.path, format!("/t?x=1&service=s%26t&{scopes}"));
}

#[tokio::test(start_paused = true)]
async fn a_right_is_used_until_shortly_before_it_expires() {
    let now = Instant::now();
    let lasts = |answer: &[u8]| read(answer, now).and_then(|access| Some(access.until? - now));
    assert_eq!(lasts(br#"{"token":"t"}"#), Some(Duration::from_secs(50)));
    assert_eq!(lasts(br#"{"access_token":"t","expires_in":4}"#), Some(Duration::from_secs(3)));
    assert_eq!(lasts(br#"{"token":"","access_token":"t","expires_in":300}"#), Some(Duration::from_secs(290)));
    assert!(lasts(br#"{"token":"t","expires_in":18446744073709551615}"#) < Some(Duration::from_secs(24 * 3600)));
    let (held, there) = (GrantedRights::default(), place("r.example", "https://r.example/"));
    held.put(&there, &read(br#"{"token":"t"}"#, now).unwrap());
    assert!(held.get(&there).is_some());
    assert!(held.get(&RepositoryPath { repository: "c".to_owned(), ..there.clone() }).is_none());
    tokio::time::advance(Duration::from_secs(51)).await;
    assert!(held.get(&there).is_none());
}

#[test]
fn what_is_no_token_is_none() {
    let now = Instant::now();
    for answer in ["", "{}", r#"{"token":""}"#, r#"{"token":"a b"}"#, r#"{"token":"a\r\nX: y"}"#, r#"{"token":1}"#] {
        assert!(read(answer.as_bytes(), now).is_none(), "{answer}");
    }
}

#[test]
fn what_is_held_is_bounded() {
    let held = GrantedRights::default();
    let access = AuthorizationHeader::lasting(Zeroizing::new("Basic x".to_owned()));
    for number in 0..10 * MOST {
        held.put(
            &RepositoryPath { repository: format!("r{number}"), ..place("r.example", "https://r.example/") },
            &access,
        );
    }
    assert!(held.lock().len() <= MOST);
}
