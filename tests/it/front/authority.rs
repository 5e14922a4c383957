//! The CA of all instances: who makes it, what is shown, and what becomes of a Secret that is not as it should be.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use pod_checkpointer::serve::api::ca::CertificateAuthority;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use super::callers::certificates_of;
use super::{client, settings};
use crate::support::api::{FakeApi, Mode};

const SECRET: &str = "/api/v1/namespaces/kube-system/secrets/container-checkpoints-ca";
const APISERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.checkpointer.alpha.coreos.com";

async fn authority(api: &FakeApi) -> CertificateAuthority {
    CertificateAuthority::new(client(api).await, settings()).unwrap()
}

#[tokio::test]
async fn instances_that_start_together_end_with_one_ca() {
    let api = FakeApi::start().await;
    let all: Vec<_> = join_all((0..8).map(|_| authority(&api))).await.into_iter().map(Arc::new).collect();
    assert!(all.iter().all(|authority| authority.ready().is_err() && authority.trust().is_none()));
    for outcome in join_all(all.iter().map(|authority| authority.look())).await {
        outcome.unwrap();
    }
    assert!(all.iter().all(|authority| authority.ready().is_ok() && authority.trust().is_some()));
    let secret = api.object(SECRET).unwrap();
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(certificates_of(&secret, "ca.crt"), certificates_of(&secret, "tls.crt"));
    let written = api.calls().iter().filter(|call| call.method == "POST" && call.path.ends_with("/secrets")).count();
    assert!(written >= 1);
    api.assert_no_unexpected();
}

#[tokio::test]
async fn a_second_look_writes_nothing() {
    let api = FakeApi::start().await;
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    let before = (api.object(SECRET), api.calls().len());
    authority.look().await.unwrap();
    assert_eq!(api.object(SECRET), before.0);
    let calls = api.calls();
    assert!(calls[before.1..].iter().all(|call| call.method == "GET"), "{calls:?}");
}

#[tokio::test]
async fn an_apiservice_is_told_whom_to_believe_once() {
    let api = FakeApi::start().await;
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    let service = json!({"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": "v1alpha1.checkpointer.alpha.coreos.com", "resourceVersion": "1"}, "spec": {"version": "v1alpha1"}});
    api.add(APISERVICE, service);
    authority.look().await.unwrap();
    let spec = &api.object(APISERVICE).unwrap()["spec"];
    let bundle = STANDARD.decode(spec["caBundle"].as_str().unwrap()).unwrap();
    let secret = api.object(SECRET).unwrap();
    assert_eq!(bundle, STANDARD.decode(secret["data"]["ca.crt"].as_str().unwrap()).unwrap());
    assert_eq!(spec["version"], "v1alpha1");
    authority.look().await.unwrap();
    assert_eq!(api.calls().iter().filter(|call| call.method == "PATCH").count(), 1);
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_makes_no_new_ca() {
    let api = FakeApi::start().await;
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    let secret = api.object(SECRET);
    for mode in [Mode::Status(500), Mode::Status(403), Mode::Garbage, Mode::Down] {
        api.go(mode).await;
        assert!(authority.look().await.is_err(), "{mode:?}");
        assert!(authority.ready().is_ok(), "what is known goes on: {mode:?}");
    }
    assert_eq!(api.object(SECRET), secret);
}

/// A Secret with this CA, whose life began and ends so many days from now.
fn secret(name: &str, days: (i64, i64), change: impl FnOnce(&mut Value)) -> Value {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let now =
        rcgen::date_time_ymd(1970, 1, 1) + std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let day = |days: i64| std::time::Duration::from_secs(days.unsigned_abs() * 86_400);
    let at = |days: i64| if days < 0 { now - day(days) } else { now + day(days) };
    (params.not_before, params.not_after) = (at(days.0), at(days.1));
    let pem = params.self_signed(&key).unwrap().pem();
    let data = json!({"tls.crt": STANDARD.encode(&pem), "tls.key": STANDARD.encode(key.serialize_pem()),
        "ca.crt": STANDARD.encode(&pem)});
    let mut secret = json!({"kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/tls",
        "metadata": {"name": "container-checkpoints-ca", "resourceVersion": "1"}, "data": data});
    change(&mut secret);
    secret
}

#[tokio::test]
async fn a_ca_of_the_operators_own_is_used_as_it_is() {
    let api = FakeApi::start().await;
    let own = secret("The Operator's CA", (-1, 100), |_| {});
    api.add(SECRET, own.clone());
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    assert!(authority.ready().is_ok());
    assert_eq!(api.object(SECRET), Some(own));
}

#[tokio::test]
async fn a_cas_successor_is_trusted_before_it_signs() {
    let api = FakeApi::start().await;
    api.add(SECRET, secret("old", (-80, 20), |_| {}));
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    let prepared = api.object(SECRET).unwrap();
    let old = certificates_of(&prepared, "tls.crt");
    let next = certificates_of(&prepared, "next.crt");
    assert_eq!(certificates_of(&prepared, "ca.crt"), [old.clone(), next].concat());
    authority.look().await.unwrap();
    assert_eq!(certificates_of(&api.object(SECRET).unwrap(), "tls.crt"), old, "it signs on");
}

#[tokio::test]
async fn a_ca_that_is_over_is_replaced_at_once() {
    let api = FakeApi::start().await;
    let over = secret("old", (-80, -1), |_| {});
    api.add(SECRET, over.clone());
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    assert!(authority.ready().is_ok());
    let new = api.object(SECRET).unwrap();
    assert_ne!(certificates_of(&new, "tls.crt"), certificates_of(&over, "tls.crt"));
    assert_eq!(certificates_of(&new, "ca.crt"), certificates_of(&new, "tls.crt"), "nothing is trusted that is over");
}

#[tokio::test]
async fn a_secret_that_holds_something_else_is_left_alone_and_named() {
    let other = STANDARD.encode(KeyPair::generate().unwrap().serialize_pem());
    for (what, change) in [
        ("no data", Box::new(|s: &mut Value| s["data"] = Value::Null) as Box<dyn FnOnce(&mut Value)>),
        ("no key", Box::new(|s| s["data"]["tls.key"] = Value::Null)),
        ("another key", Box::new(|s| s["data"]["tls.key"] = json!(other))),
        ("junk", Box::new(|s| s["data"]["tls.crt"] = json!(STANDARD.encode("junk")))),
        ("no base64", Box::new(|s| s["data"]["tls.crt"] = json!("%"))),
    ] {
        let api = FakeApi::start().await;
        let wrong = secret("x", (-1, 100), change);
        api.add(SECRET, wrong.clone());
        let why = authority(&api).await.look().await.unwrap_err().to_string();
        assert!(why.contains("container-checkpoints-ca"), "{what}: {why}");
        assert_eq!(api.object(SECRET), Some(wrong), "{what}");
    }
}

#[tokio::test]
async fn a_known_successor_signs_and_its_forerunner_stays_trusted() {
    let api = FakeApi::start().await;
    let old = secret("old", (-80, 20), |_| {});
    let next = secret("next", (-2, 100), |_| {});
    let mut both = old.clone();
    for (key, of) in [("next.crt", "tls.crt"), ("next.key", "tls.key")] {
        both["data"][key] = next["data"][of].clone();
    }
    api.add(SECRET, both);
    let authority = authority(&api).await;
    authority.look().await.unwrap();
    assert!(authority.ready().is_ok());
    let now = api.object(SECRET).unwrap();
    assert_eq!(certificates_of(&now, "tls.crt"), certificates_of(&next, "tls.crt"));
    assert_eq!(now["data"]["next.crt"], Value::Null);
    let trusted = certificates_of(&now, "ca.crt");
    assert!(trusted.contains(&certificates_of(&old, "tls.crt")[0]) && trusted.len() == 2);
}
