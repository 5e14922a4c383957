//! What is wanting where a pod reads an object that fetching did not give, as a sentence with the remedy.

use std::collections::BTreeMap;

use super::{Assets, Fetched, FetchedToken, ObjectKind, ObjectRef, TokenRef};

/// One thing that is wanting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    /// The object that could not be had, where it was that.
    pub object: Option<ObjectRef>,
    /// What and why, and what to do.
    pub sentence: String,
    /// A checkpoint without it still starts.
    pub degrades: bool,
}

impl Lack {
    /// A lack that no object is missing for.
    pub(crate) fn of(sentence: String) -> Self {
        Self { object: None, sentence, degrades: false }
    }
}

/// Who asks: for the sentences.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AssetReader<'a> {
    /// Namespace of the pod.
    pub namespace: &'a str,
    /// What reads it, e.g. `volume certs`.
    pub what: &'a str,
}

/// Keys and values of an object; `None` where it does not exist and may.
pub(crate) fn object<'a>(
    assets: &'a Assets,
    object: &ObjectRef,
    optional: bool,
    reader: AssetReader<'_>,
) -> Result<Option<&'a BTreeMap<String, Vec<u8>>>, Lack> {
    let AssetReader { namespace, what } = reader;
    let name = format!("{} {namespace}/{}", object.kind, object.name);
    let sentence = match assets.objects.get(object) {
        Some(Fetched::Found(data)) => return Ok(Some(data)),
        Some(Fetched::Missing) if optional => return Ok(None),
        Some(Fetched::Missing) => {
            format!("{name} does not exist, and {what} needs it; create it, or mark it optional")
        }
        Some(Fetched::Denied(why)) => {
            let plural = match object.kind {
                ObjectKind::Secret => "secrets",
                ObjectKind::ConfigMap => "configmaps",
            };
            format!(
                "{what} needs {name}, which the agent may not read ({why}); give its ServiceAccount a Role in namespace \
                 {namespace} with verb get on {plural}, resourceNames [{}]",
                object.name
            )
        }
        None => format!("{what} needs {name}, which was not fetched from the API server"),
    };
    Err(Lack { object: Some(object.clone()), sentence, degrades: false })
}

/// The token that was fetched for the pod, or why there is none.
pub(crate) fn token<'a>(assets: &'a Assets, token: &TokenRef, reader: AssetReader<'_>) -> Result<&'a str, Lack> {
    let account = &token.service_account;
    let AssetReader { namespace, what } = reader;
    let why = match assets.tokens.get(token) {
        Some(FetchedToken::Granted { token, .. }) => return Ok(token),
        Some(FetchedToken::Denied(_)) => format!(
            "the agent may not create it; to have it, give the agent's ServiceAccount a Role in namespace {namespace} with \
             verb create on serviceaccounts/token, resourceNames [{account}]"
        ),
        Some(FetchedToken::Refused(why)) => why.clone(),
        None => "it was not fetched from the API server".to_owned(),
    };
    let sentence = format!("{what} lacks the token of ServiceAccount {namespace}/{account}: {why}");
    Err(Lack { object: None, sentence, degrades: true })
}
