//! Who gets to see name, password and tokens.

use pod_checkpointer::registry::{Registry, RegistryError, RegistryOptions};
use serde_json::{Value, json};

use super::{pushed, refused};
use crate::support::registry::{FakeRegistry, Manners, client, options};

const BASIC: &str = "Basic dTpodW50ZXIy";

fn login() -> (String, String) {
    ("u".to_owned(), "hunter2".to_owned())
}

fn entry(of: &[&FakeRegistry]) -> Value {
    let auths: serde_json::Map<_, _> =
        of.iter().map(|r| (r.authority(), json!({"username": "u", "password": "hunter2"}))).collect();
    json!({ "auths": auths })
}

#[tokio::test]
async fn name_and_password_are_given_to_whom_they_are_for_when_asked() {
    let there = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    pushed(&client(&[&there], Some(&entry(&[&there]))), &there.image(), 10).await.unwrap();
    assert!(there.world().asked[0].authorization().is_none(), "not before it is asked for");
    assert!(there.world().asked[1..].iter().all(|asked| asked.authorization() == Some(BASIC)));
}

#[tokio::test]
async fn a_token_of_the_registry_is_got_once_for_one_repository() {
    let manners = Manners {
        login: Some(login()),
        realm: Some("/token?x=y".to_owned()),
        expires_in: Some(300),
        ..Manners::default()
    };
    let there = FakeRegistry::start(manners).await;
    pushed(&client(&[&there], Some(&entry(&[&there]))), &there.image(), 10).await.unwrap();
    let tokens: Vec<_> = there.heard().into_iter().filter(|asked| asked.contains("/token")).collect();
    // Our scope, whatever scope the challenge names.
    assert_eq!(tokens, ["GET /token?x=y&service=fake&scope=repository%3Acp%2Fcounter%3Apull%2Cpush"]);
    let with_password = there.world().asked.iter().filter(|asked| asked.authorization() == Some(BASIC)).count();
    assert_eq!(with_password, 1, "the token server's request");
}

#[tokio::test]
async fn tokens_that_expire_are_got_again() {
    let manners =
        Manners { login: Some(login()), realm: Some("/token".to_owned()), expires_in: Some(1), ..Manners::default() };
    let there = FakeRegistry::start(manners).await;
    let why = pushed(&client(&[&there], Some(&entry(&[&there]))), &there.image(), 10).await;
    // Each is used for the request that it was got for; a stream cannot ask first, so its attempt begins with a fresh one.
    assert!(why.is_ok(), "{why:?}");
}

#[tokio::test]
async fn a_refresh_token_goes_in_a_form() {
    let manners = Manners { login: Some(login()), realm: Some("/token".to_owned()), ..Manners::default() };
    let there = FakeRegistry::start(manners).await;
    let config = json!({"auths": {there.authority(): {"identitytoken": "re/fresh"}}});
    pushed(&client(&[&there], Some(&config)), &there.image(), 10).await.unwrap();
    let world = there.world();
    let asked = world.asked.iter().find(|asked| asked.path.contains("/token")).unwrap();
    assert_eq!((asked.method.as_str(), asked.authorization()), ("POST", None));
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
}

#[tokio::test]
async fn a_foreign_realm_gets_nothing() {
    let foreign = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    let realm = Some(format!("{}/token", foreign.url()));
    let there = FakeRegistry::start(Manners { login: Some(login()), realm, ..Manners::default() }).await;
    let registry = client(&[&there, &foreign], Some(&entry(&[&there])));
    let why = refused(pushed(&registry, &there.image(), 10).await);
    assert!(matches!(&why, RegistryError::ForeignRealm { realm, .. } if *realm == foreign.authority()), "{why}");
    assert_eq!(foreign.heard(), [""; 0]);
}

#[tokio::test]
async fn a_realm_with_an_entry_of_its_own_gets_that() {
    let realm = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    let named = Some(format!("{}/token", realm.url()));
    let there = FakeRegistry::start(Manners {
        login: Some(login()),
        realm: named,
        expires_in: Some(300),
        ..Manners::default()
    })
    .await;
    let config = json!({"auths": {
        there.authority(): {"username": "of", "password": "the registry"},
        realm.authority(): {"username": "u", "password": "hunter2"},
    }});
    pushed(&client(&[&there, &realm], Some(&config)), &there.image(), 10).await.unwrap();
    assert_eq!(realm.authorizations(), [BASIC]);
    assert!(there.authorizations().iter().all(|said| said.starts_with("Bearer ")));
}

#[tokio::test]
async fn uploads_and_redirects_elsewhere_go_without_credentials() {
    let storage = FakeRegistry::start(Manners::default()).await;
    let there = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    there.world().manners.uploads_at = Some(storage.url());
    let registry = client(&[&there, &storage], Some(&entry(&[&there])));
    // The storage has it; the registry does not know of it.
    let why = refused(pushed(&registry, &there.image(), 3 << 20).await);
    assert!(matches!(why, RegistryError::Digest { .. }), "{why}");
    assert!(storage.heard().iter().any(|asked| asked.starts_with("PATCH")));
    there.world().manners.leads_to = Some(storage.url());
    assert_eq!(registry.manifest(&there.image(), "t1").await.unwrap(), None);
    assert!(storage.heard().iter().any(|asked| asked.starts_with("GET")));
    assert_eq!(storage.authorizations(), [""; 0]);
}

#[tokio::test]
async fn a_signed_place_elsewhere_gets_the_upload_without_credentials() {
    let (storage, one) = FakeRegistry::start_tls(Manners::default()).await;
    let uploads_at = Some(format!("https://{}", storage.authority()));
    let (there, two) =
        FakeRegistry::start_tls(Manners { login: Some(login()), uploads_at, ..Manners::default() }).await;
    let of = |ca| {
        let options = RegistryOptions { plain_http: Vec::new(), ca, ..options(&[], Some(&entry(&[&there, &storage]))) };
        Registry::new(options).unwrap()
    };
    let why = refused(pushed(&of(vec![two.clone(), one]), &there.image(), 3 << 20).await);
    assert!(matches!(why, RegistryError::Digest { .. }), "the registry itself has nothing: {why}");
    assert!(storage.heard().iter().any(|asked| asked.starts_with("PUT")));
    assert_eq!(storage.authorizations(), [""; 0]);
    there.world().manners.uploads_at = Some(format!("https://{}", there.authority()));
    pushed(&of(vec![two]), &there.image(), 10).await.unwrap();
    let why = refused(pushed(&of(Vec::new()), &there.image(), 10).await);
    assert!(why.to_string().contains("is its certificate of a CA that is trusted here?"), "{why}");
}

#[tokio::test]
async fn a_redirect_cannot_harvest_by_a_challenge() {
    let harvester = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    let there = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    there.world().manners.leads_to = Some(harvester.url());
    let config = entry(&[&there, &harvester]);
    let why = client(&[&there, &harvester], Some(&config)).manifest(&there.image(), "t1").await.unwrap_err();
    assert!(matches!(why, RegistryError::Unauthorized { .. }), "{why}");
    assert_eq!(harvester.authorizations(), [""; 0]);
}

#[tokio::test]
async fn who_is_not_known_hears_what_would_do() {
    let there = FakeRegistry::start(Manners { login: Some(login()), ..Manners::default() }).await;
    let said = |config: Option<Value>| {
        let (registry, to) = (client(&[&there], config.as_ref()), there.image());
        async move { pushed(&registry, &to, 10).await.unwrap_err().to_string() }
    };
    assert!(said(None).await.contains("`docker login"));
    assert!(said(Some(json!({"credsStore": "desktop"}))).await.contains("credential helper"));
    let wrong = json!({"auths": {there.authority(): {"username": "u", "password": "wrong-secret"}}});
    let why = said(Some(wrong)).await;
    assert!(why.contains("are name and password") && why.contains("who are you"), "{why}");
    assert!(!why.contains("wrong-secret"), "{why}");
}

#[tokio::test]
async fn an_answer_that_repeats_the_secrets_is_shown_without_them() {
    for realm in [None, Some("/token".to_owned())] {
        let manners = Manners { login: Some(login()), realm, expires_in: Some(300), ..Manners::default() };
        let there = FakeRegistry::start(manners).await;
        let registry = client(&[&there], Some(&entry(&[&there])));
        registry.upload_bytes(&there.image(), b"x").await.unwrap();
        there.world().manners.echoes = Some(403);
        let why = registry.manifest(&there.image(), "t1").await.unwrap_err();
        let said = format!("{why} {why:?}");
        assert!(said.contains("ECHO"), "{said}");
        for secret in ["dTpodW50ZXIy", "hunter2", "the.token.of-today"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
