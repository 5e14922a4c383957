use super::*;

fn review(status: &Value) -> Value {
    json!({"kind": "TokenReview", "status": status})
}

#[test]
fn only_a_clear_yes_for_our_audience_names_anybody() {
    let user = json!({"username": "system:serviceaccount:a:b", "uid": "7", "groups": ["g"], "extra": {"k": ["v"]}});
    let yes = json!({"authenticated": true, "user": user, "audiences": ["x", "ours"]});
    let caller = holder(&review(&yes), Some("ours")).unwrap().expect("it is clear");
    assert_eq!((caller.user.as_str(), caller.uid.as_deref()), ("system:serviceaccount:a:b", Some("7")));
    assert_eq!((caller.groups, caller.extra["k"].clone()), (vec!["g".to_owned()], vec!["v".to_owned()]));
    for status in [
        json!({"authenticated": false, "user": user, "audiences": ["ours"]}),
        json!({"user": user, "audiences": ["ours"]}),
        json!({"authenticated": "true", "user": user, "audiences": ["ours"]}),
        json!({"authenticated": true, "user": user, "audiences": ["other"]}),
        json!({"authenticated": true, "user": user, "audiences": []}),
        json!({"authenticated": true, "user": user}),
        json!({}),
    ] {
        assert_eq!(holder(&review(&status), Some("ours")), Ok(None), "{status}");
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error_and_no_refusal() {
    for status in
        [json!(null), json!("yes"), json!({"authenticated": true}), json!({"authenticated": true, "user": {}})]
    {
        assert!(holder(&review(&status), None).is_err(), "{status}");
    }
    let nameless = json!({"authenticated": true, "user": {"username": ""}});
    assert!(holder(&review(&nameless), None).is_err());
    for status in [json!(null), json!({}), json!({"allowed": "true"})] {
        assert!(verdict(&json!({"status": status})).is_err(), "{status}");
    }
}

#[test]
fn a_denial_outranks_a_permission_and_keeps_its_words() {
    let said = |status: Value| verdict(&json!({"status": status})).unwrap();
    assert_eq!(said(json!({"allowed": true})), AccessReview::Allowed);
    assert_eq!(said(json!({"allowed": true, "denied": true})), AccessReview::Denied(String::new()));
    let words = json!({"allowed": false, "reason": "no role", "evaluationError": "webhook down"});
    assert_eq!(said(words), AccessReview::Denied("no role; webhook down".to_owned()));
}
