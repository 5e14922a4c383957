//! The CA's Secret: read, made, brought up to date. Of several instances that write at once one wins, and the others take
//! what it wrote.
//!
//! Keys: `tls.crt`, `tls.key` (the CA that signs), `ca.crt` (all that are trusted), and while a new one is being made known
//! `next.crt`, `next.key`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use serde_json::{Value, json};

use super::issue::{Ca, Root, roots};
use super::rotation::{CA_LIFE, Rotation, plan};
use super::{AuthorityError, SECRET};
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::{requests, secret};

const LIMIT: Duration = Duration::from_secs(5);
const TRIES: usize = 4;

/// What the Secret says.
pub(super) struct StoredCa {
    pub(super) current: Ca,
    pub(super) next: Option<Ca>,
    /// All that are trusted: the two above, and those before them.
    pub(super) roots: Vec<Root>,
}

/// Reads it, and makes or changes it first where that is due.
pub(super) async fn ensure_ca(client: &ApiClient, namespace: &str, now: i64) -> Result<StoredCa, AuthorityError> {
    for _ in 0..TRIES {
        let (outcome, held) = match requests::get_secret(client, namespace, SECRET, LIMIT).await {
            Ok(secret) => {
                let held = read(&secret)?;
                let plan = plan(held.current.span, held.next.as_ref().map(|next| next.span), now);
                if plan == Rotation::Keep {
                    return Ok(held);
                }
                tracing::info!(secret = SECRET, ?plan, "the CA changes");
                let held = changed(held, plan, now)?;
                let secret = written(&held, Some(&secret));
                (requests::replace_secret(client, namespace, SECRET, &secret, LIMIT).await, held)
            }
            Err(ApiError::NotFound(_)) => {
                let held = StoredCa::of(Ca::make(now, CA_LIFE)?, None, Vec::new(), now)?;
                tracing::info!(secret = SECRET, namespace, "making the CA of all instances");
                (requests::create_secret(client, namespace, &written(&held, None), LIMIT).await, held)
            }
            Err(why) => return Err(why.into()),
        };
        match outcome {
            Ok(()) => return Ok(held),
            // A conflict, or it is there already: another instance was quicker.
            Err(ApiError::Conflict(_)) => {}
            Err(why) => return Err(why.into()),
        }
    }
    Err(AuthorityError::Contended)
}

impl StoredCa {
    fn of(current: Ca, next: Option<Ca>, earlier: Vec<Root>, now: i64) -> Result<Self, AuthorityError> {
        let mut roots = vec![current.root()?];
        for root in next.iter().map(Ca::root).collect::<Result<Vec<_>, _>>()?.into_iter().chain(earlier) {
            if !root.span.is_over(now) && !roots.contains(&root) {
                roots.push(root);
            }
        }
        Ok(Self { current, next, roots })
    }
}

fn changed(held: StoredCa, plan: Rotation, now: i64) -> Result<StoredCa, AuthorityError> {
    let StoredCa { current, next, roots } = held;
    match (plan, next) {
        (Rotation::Promote, Some(next)) => StoredCa::of(next, None, roots, now),
        (Rotation::Replace, _) => StoredCa::of(Ca::make(now, CA_LIFE)?, None, roots, now),
        (Rotation::Prepare, _) => StoredCa::of(current, Some(Ca::make(now, CA_LIFE)?), roots, now),
        (Rotation::Keep | Rotation::Promote, next) => StoredCa::of(current, next, roots, now),
    }
}

fn read(secret: &Value) -> Result<StoredCa, AuthorityError> {
    let field = |key: &str| secret::text(secret, key);
    let needed =
        |key: &str| field(key).ok_or_else(|| AuthorityError::Unusable { why: format!("it has no text {key}") });
    let current = Ca::read(&needed("tls.crt")?, needed("tls.key")?)?;
    let next = match (field("next.crt"), field("next.key")) {
        (Some(certificate), Some(key)) => Some(Ca::read(&certificate, key)?),
        _ => None,
    };
    let earlier = field("ca.crt").map(|bundle| roots(bundle.as_bytes())).unwrap_or_default();
    // Nothing is left out here: what is over is dropped when the Secret is next written.
    StoredCa::of(current, next, earlier, i64::MIN)
}

fn written(held: &StoredCa, before: Option<&Value>) -> Value {
    let encoded = |text: &str| STANDARD.encode(text);
    let mut data = json!({
        "tls.crt": encoded(&held.current.certificate),
        "tls.key": encoded(&held.current.key),
        "ca.crt": encoded(&pem(&held.roots)),
    });
    if let Some(next) = &held.next {
        data["next.crt"] = json!(encoded(&next.certificate));
        data["next.key"] = json!(encoded(&next.key));
    }
    // Labels and the version to replace are kept, so that a conflict is seen.
    let metadata = before.map_or_else(|| json!({"name": SECRET}), |secret| secret["metadata"].clone());
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data})
}

/// As a bundle in PEM (RFC 7468).
pub(super) fn pem(roots: &[Root]) -> String {
    let mut all = String::new();
    for root in roots {
        // It fails only where the length of the text is no number.
        all.push_str(&encode_string("CERTIFICATE", LineEnding::LF, &root.der).unwrap_or_default());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::rotation::Span;
    use super::*;

    #[test]
    fn a_bundle_has_lines_of_64_and_ends_each_certificate_with_one() {
        let root = |length| Root { der: vec![0; length].into(), span: Span { begin: 0, end: 0 } };
        let block = |lines: &str| format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n");
        let full = "A".repeat(64);
        let expected = block(&format!("{full}\n")) + &block(&format!("{full}\nAA==\n"));
        assert_eq!(pem(&[root(48), root(49)]), expected);
    }
}
