//! One finding of `doctor`.

use std::fmt::Display;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckOutcome {
    /// As it must be.
    Ok,
    /// Something will be missing, or cannot be seen from here.
    Warn,
    /// Pods would not come back.
    Fail,
}

impl CheckOutcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// A precondition, how it stands, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The precondition, in few words.
    pub(super) name: String,
    /// How well it holds.
    pub(super) outcome: CheckOutcome,
    /// What was seen, in a sentence.
    pub(super) finding: String,
    /// What to do; absent where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: impl Into<String>, finding: impl Display) -> Self {
        Self { name: name.into(), outcome: CheckOutcome::Ok, finding: finding.to_string(), remedy: None }
    }

    pub(super) fn warn(name: impl Into<String>, finding: impl Display, remedy: impl Into<String>) -> Self {
        Self { outcome: CheckOutcome::Warn, remedy: Some(remedy.into()), ..Self::ok(name, finding) }
    }

    pub(super) fn fail(name: impl Into<String>, finding: impl Display, remedy: impl Into<String>) -> Self {
        Self { outcome: CheckOutcome::Fail, remedy: Some(remedy.into()), ..Self::ok(name, finding) }
    }
}
