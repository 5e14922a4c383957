//! Service account tokens for checkpoints: bound to the Node object, so they outlive the pod and end with the node.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{ApiClient, LIMIT};
use super::error::ApiError;
use super::requests;
use crate::dns_name::check_name;
use crate::pod::asset_refs::{FetchedToken, TokenRef};

/// Bounds of `spec.expirationSeconds` that the API server accepts (validation of authentication.k8s.io/v1).
const TTL_BOUNDS: (u64, u64) = (600, 1 << 32);

/// What every token is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// Name of the Node that tokens are bound to.
    pub node: String,
    /// Lifetime to ask for; the server may grant less.
    pub ttl: Duration,
    /// Now, seconds since the epoch, by the same kind of clock as the server's.
    pub now: i64,
}

/// What a JWT says about itself; nothing of it is verified, it only saves a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// Expires at, seconds since the epoch.
    pub exp: i64,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Value,
}

/// The claims of a token, where it is a JWT with both times in it.
pub fn claims(token: &str) -> Option<Claims> {
    let payload = token.trim().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Half of the token's life is gone (or it never had one). Seconds since the epoch.
pub fn due(issued_at: i64, expires_at: i64, now: i64) -> bool {
    let life = expires_at.saturating_sub(issued_at);
    life <= 0 || now.saturating_sub(issued_at) >= life / 2
}

/// The token that is on disk if it will do for longer, else a new one. `Denied` or `Refused` when the server does not give
/// it and none is left that works.
pub async fn fetch(
    client: &ApiClient,
    namespace: &str,
    wanted: &TokenRef,
    held: Option<&str>,
    terms: &TokenTerms,
) -> Result<FetchedToken, ApiError> {
    if let Err(bad) = check_name("service account", &wanted.service_account) {
        return Ok(FetchedToken::Refused(bad.to_string()));
    }
    let held = held.and_then(|token| usable(token, namespace, wanted));
    if let Some((token, claims)) = &held
        && !due(claims.iat, claims.exp, terms.now)
    {
        return Ok(FetchedToken::Granted { token: token.clone(), expires_at: claims.exp });
    }
    let asked = request(wanted, terms);
    let denied = match requests::create_token(client, namespace, &wanted.service_account, &asked, LIMIT).await {
        Ok(answer) => return granted(&answer),
        Err(ApiError::Forbidden(why)) => FetchedToken::Denied(why),
        Err(why) if why.is_answer() => FetchedToken::Refused(refusal(&why)),
        Err(other) => return Err(other),
    };
    Ok(match held {
        // Past half its life and still good: better than none.
        Some((token, claims)) if claims.exp > terms.now => FetchedToken::Granted { token, expires_at: claims.exp },
        _ => denied,
    })
}

/// Why a server gives no token though it may be asked for, with what to do. Words of kubernetes
/// `pkg/registry/core/serviceaccount/storage/token.go`.
fn refusal(why: &ApiError) -> String {
    let words = why.detail();
    match why {
        ApiError::NotFound(_) if words.contains("nodes \"") => {
            format!("{words}, and it would be bound to that Node; see why the kubelet has not registered it")
        }
        ApiError::NotFound(_) if words.contains("serviceaccounts \"") => {
            format!("{words}; create the ServiceAccount")
        }
        ApiError::NotFound(_) => {
            format!("{words}: this API server gives no tokens (TokenRequest); use a newer Kubernetes")
        }
        _ if words.contains("cannot bind token") => format!(
            "{words}: this Kubernetes does not bind tokens to Nodes (1.31 does, 1.29 with ServiceAccountTokenNodeBinding); \
             update it, or let the pod do without a token"
        ),
        _ => format!("the API server does not give it: {words}; mend what it says, or let the pod do without a token"),
    }
}

fn usable(token: &str, namespace: &str, wanted: &TokenRef) -> Option<(String, Claims)> {
    let claims = claims(token)?;
    let audience = &wanted.audience;
    let audience_fits = audience.is_empty()
        || claims.aud.as_str() == Some(audience)
        || claims.aud.as_array().is_some_and(|all| all.iter().any(|a| a.as_str() == Some(audience)));
    let subject = format!("system:serviceaccount:{namespace}:{}", wanted.service_account);
    (audience_fits && claims.sub == subject).then(|| (token.trim().to_owned(), claims))
}

/// The Node's UID is left out: the server looks it up and writes it into the token itself, so no right to read Nodes
/// is needed.
fn request(wanted: &TokenRef, terms: &TokenTerms) -> Value {
    let audiences: Vec<&str> = Some(wanted.audience.as_str()).filter(|a| !a.is_empty()).into_iter().collect();
    json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": terms.ttl.as_secs().clamp(TTL_BOUNDS.0, TTL_BOUNDS.1),
            "boundObjectRef": { "kind": "Node", "apiVersion": "v1", "name": terms.node },
        },
    })
}

pub(super) fn granted(answer: &Value) -> Result<FetchedToken, ApiError> {
    let text = |path: &str| answer.pointer(path).and_then(Value::as_str);
    let expires = text("/status/expirationTimestamp").and_then(|t| t.parse::<jiff::Timestamp>().ok());
    match (text("/status/token"), expires) {
        (Some(token), Some(at)) => Ok(FetchedToken::Granted { token: token.to_owned(), expires_at: at.as_second() }),
        _ => Err(ApiError::Unavailable("answered a TokenRequest without token or expiry".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload.to_string()))
    }

    fn own() -> TokenRef {
        TokenRef { service_account: "pod-checkpointer".to_owned(), audience: String::new() }
    }

    #[test]
    fn a_token_is_due_from_half_its_life_on() {
        assert!(!due(1000, 2000, 1499));
        assert!(due(1000, 2000, 1500));
        assert!(due(1000, 2000, 5000));
    }

    #[test]
    fn a_token_without_a_life_is_due_and_one_from_the_future_is_not() {
        assert!(due(2000, 2000, 1000));
        assert!(due(2000, 1000, 1500));
        assert!(!due(1000, 2000, 0));
        assert!(due(i64::MIN, i64::MAX, 0), "no overflow");
    }

    #[test]
    fn only_a_token_of_the_same_account_and_audience_is_reused() {
        let subject = "system:serviceaccount:kube-system:pod-checkpointer";
        let token = jwt(&json!({"iat": 1, "exp": 9, "sub": subject, "aud": ["api", "vault"]}));
        assert!(usable(&token, "kube-system", &own()).is_some());
        assert!(usable(&token, "default", &own()).is_none());
        assert!(usable(&token, "kube-system", &TokenRef { audience: "vault".to_owned(), ..own() }).is_some());
        assert!(usable(&token, "kube-system", &TokenRef { audience: "other".to_owned(), ..own() }).is_none());
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        for text in ["", "plain", "a.b.c", "a..c", &jwt(&json!({"exp": 1}))] {
            assert_eq!(claims(text), None, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_the_matter_and_what_to_do() {
        let not_found = |words: &str| ApiError::NotFound(words.to_owned());
        let invalid = |words: &str| ApiError::Invalid(format!("answered 400: {words}"));
        for (why, remedy) in [
            (not_found("nodes \"n1\" not found"), "the kubelet has not registered it"),
            (not_found("serviceaccounts \"web\" not found"), "create the ServiceAccount"),
            (not_found("the server could not find the requested resource"), "a newer Kubernetes"),
            (invalid("cannot bind token to object of type v1, Kind=Node"), "1.31 does"),
            (invalid("spec.audiences: Invalid value"), "mend what it says"),
        ] {
            let sentence = refusal(&why);
            assert!(sentence.contains(why.detail()) && sentence.contains(remedy), "{sentence}");
            assert!(!sentence.contains("Role"), "{sentence}");
        }
    }

    #[test]
    fn lifetimes_stay_within_what_the_server_accepts() {
        let asked = |secs| {
            let terms = TokenTerms { node: "n1".to_owned(), ttl: Duration::from_secs(secs), now: 0 };
            request(&own(), &terms)["spec"]["expirationSeconds"].as_u64()
        };
        assert_eq!(asked(1), Some(600));
        assert_eq!(asked(31_536_000), Some(31_536_000));
        assert_eq!(asked(u64::MAX), Some(1 << 32));
    }
}
