//! Which API objects a pod's checkpoint is made of, and what fetching them gave. Pure; fetching is `cluster::objects`.

pub(crate) mod missing;
pub(crate) mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::pod::annotation::inlines_secret_env;

/// A Secret or ConfigMap of the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// ConfigMap or Secret.
    pub kind: ObjectKind,
    /// Its name (checked: a DNS name).
    pub name: String,
}

/// Kinds of objects that a pod's volumes and environment read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// v1 Secret
    Secret,
    /// v1 ConfigMap
    ConfigMap,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        })
    }
}

/// A token that a projected volume asks for, of the pod's own ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenRef {
    /// Name of the ServiceAccount (`default` where the pod names none).
    pub service_account: String,
    /// Audience; empty for the API server's own.
    pub audience: String,
}

/// Everything to fetch for one pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Secrets and ConfigMaps.
    pub objects: BTreeSet<ObjectRef>,
    /// Tokens of ServiceAccounts.
    pub tokens: BTreeSet<TokenRef>,
}

/// What asking for one object gave. An API that did not answer is an error of the whole fetch, never one of these.
#[derive(Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Its keys and values (`data`, decoded, and `binaryData`).
    Found(BTreeMap<String, Vec<u8>>),
    /// 404.
    Missing,
    /// 403, with the server's words.
    Denied(String),
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(data) => write!(f, "Found({} keys)", data.len()),
            Self::Missing => f.write_str("Missing"),
            Self::Denied(why) => write!(f, "Denied({why})"),
        }
    }
}

/// A token, or why there is none.
#[derive(Clone, PartialEq, Eq)]
pub enum FetchedToken {
    /// The token and when it expires, seconds since the epoch.
    Granted {
        /// The token itself, a JWT.
        token: String,
        /// Seconds since the epoch.
        expires_at: i64,
    },
    /// 403, with the server's words: the pod is checkpointed without it and reported degraded.
    Denied(String),
    /// Refused for another reason, with what to do about it; likewise.
    Refused(String),
}

impl fmt::Debug for FetchedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted { expires_at, .. } => write!(f, "Granted(until {expires_at})"),
            Self::Denied(why) => write!(f, "Denied({why})"),
            Self::Refused(why) => write!(f, "Refused({why})"),
        }
    }
}

/// Everything fetched for one pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assets {
    /// By object.
    pub objects: BTreeMap<ObjectRef, Fetched>,
    /// By token.
    pub tokens: BTreeMap<TokenRef, FetchedToken>,
}

/// What a checkpoint of `pod` (raw JSON of the API) is made of. Secrets that only its environment reads are wanted
/// where its annotation allows inlining them, and otherwise left alone: the pod is not restorable anyway.
pub fn wanted(pod: &Value) -> Wanted {
    let secret_env = inlines_secret_env(pod);
    let objects = references::references(pod)
        .into_iter()
        .filter(|r| r.object.kind == ObjectKind::ConfigMap || !r.in_environment || secret_env)
        .map(|r| r.object)
        .collect();
    Wanted { objects, tokens: references::tokens(pod).into_iter().collect() }
}
