//! What an answer of the API server about a caller is worth, and for how long.

use pod_checkpointer::cluster::reviews::{Access, AccessReview, CACHED_MOST, Caller, Reviews};
use serde_json::json;

use super::client;
use crate::support::api::{FakeApi, Mode};

const OURS: Option<&str> = Some("pod-checkpointer");

fn caller(user: &str) -> Caller {
    Caller { user: user.to_owned(), uid: None, groups: vec!["devs".to_owned()], extra: [].into() }
}

fn create(namespace: &str) -> Access {
    Access {
        verb: "create",
        group: "checkpointer.alpha.coreos.com",
        resource: "pods",
        subresource: Some("checkpoint"),
        namespace: namespace.to_owned(),
        name: None,
    }
}

async fn reviews() -> (FakeApi, Reviews) {
    let api = FakeApi::start().await;
    let reviews = Reviews::new(client(&api).await);
    (api, reviews)
}

#[tokio::test]
async fn a_right_is_for_one_person_one_verb_and_one_namespace() {
    let (api, reviews) = reviews().await;
    api.right("ann", "create", "checkpointer.alpha.coreos.com/pods/checkpoint", "default/");
    assert_eq!(reviews.allowed(&caller("ann"), &create("default")).await, Ok(AccessReview::Allowed));
    let delete = Access { verb: "delete", group: "", subresource: None, ..create("default") };
    let named = Access { name: Some("x".to_owned()), ..create("default") };
    for (who, access) in [("bob", create("default")), ("ann", create("other")), ("ann", delete), ("ann", named)] {
        let verdict = reviews.allowed(&caller(who), &access).await.unwrap();
        assert_eq!(verdict, AccessReview::Denied("no role says so".to_owned()), "{who} {access:?}");
    }
    let asked = &api.calls()[0].body["spec"];
    assert_eq!(
        (&asked["groups"], &asked["resourceAttributes"]["subresource"]),
        (&json!(["devs"]), &json!("checkpoint"))
    );
}

#[tokio::test]
async fn a_right_is_not_lent_to_the_same_name_in_other_groups() {
    let (api, reviews) = reviews().await;
    api.right("ann", "create", "checkpointer.alpha.coreos.com/pods/checkpoint", "default/");
    reviews.allowed(&caller("ann"), &create("default")).await.unwrap();
    api.no_rights();
    let other = Caller { groups: vec![], ..caller("ann") };
    assert!(matches!(reviews.allowed(&other, &create("default")).await, Ok(AccessReview::Denied(_))));
    assert_eq!(reviews.allowed(&caller("ann"), &create("default")).await, Ok(AccessReview::Allowed), "for ten seconds");
}

#[tokio::test]
async fn without_a_clear_answer_nothing_is_allowed_nor_remembered() {
    let (api, reviews) = reviews().await;
    api.right("ann", "create", "checkpointer.alpha.coreos.com/pods/checkpoint", "default/").token(
        "t",
        "ann",
        &["pod-checkpointer"],
    );
    for mode in [Mode::Status(500), Mode::Status(403), Mode::Status(404), Mode::Garbage, Mode::Down] {
        api.go(mode).await;
        assert!(reviews.allowed(&caller("ann"), &create("default")).await.is_err(), "{mode:?}");
        assert!(reviews.authenticate("t", OURS).await.is_err(), "{mode:?}");
    }
    api.go(Mode::Up).await;
    for verdict in [json!(null), json!({}), json!({"allowed": "yes"})] {
        api.reviews(|register| register.verdict = Some(verdict));
        assert!(reviews.allowed(&caller("ann"), &create("default")).await.is_err());
    }
    api.reviews(|register| register.verdict = None);
    assert_eq!(reviews.allowed(&caller("ann"), &create("default")).await, Ok(AccessReview::Allowed));
    assert_eq!(reviews.authenticate("t", OURS).await.unwrap().unwrap().user, "ann");
}

#[tokio::test]
async fn a_question_is_asked_once_and_a_token_kept_for_its_audience() {
    let (api, reviews) = reviews().await;
    api.token("t", "ann", &["pod-checkpointer"]);
    for _ in 0..5 {
        assert!(reviews.authenticate("t", OURS).await.unwrap().is_some());
        assert!(reviews.authenticate("t", Some("other")).await.unwrap().is_none());
    }
    assert_eq!(api.calls().len(), 2);
}

#[tokio::test]
async fn made_up_tokens_do_not_pile_up_and_huge_ones_are_not_sent_on() {
    let (api, reviews) = reviews().await;
    for n in 0..CACHED_MOST + 10 {
        assert!(reviews.authenticate(&format!("made-up-{n}"), OURS).await.unwrap().is_none());
    }
    let before = api.calls().len();
    assert!(reviews.authenticate("made-up-0", OURS).await.unwrap().is_none());
    assert_eq!(api.calls().len(), before + 1, "the first was let go");
    assert!(reviews.authenticate(&"x".repeat(20_000), OURS).await.unwrap().is_none());
    assert!(reviews.authenticate("", OURS).await.unwrap().is_none());
    assert_eq!(api.calls().len(), before + 1);
}
