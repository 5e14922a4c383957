//! What can come of asking an API server, told apart by what may be concluded from it.

use std::error::Error as StdError;
use std::io;

use nix::errno::Errno;

use crate::error_chain::{causes, chain};

/// Why a question got no (good) answer. Messages hold no payload of the API, so no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Nothing answered properly: connecting, TLS, timeout, 429, 5xx or nonsense, at every server.
    #[error("API server unavailable: {0}")]
    Unavailable(String),
    /// The machine has no route to any server yet, as just after boot; worth a short patience.
    #[error("no route to the API server: {0}")]
    NoRoute(String),
    /// 401: the server does not accept our credentials.
    #[error("API server refused our credentials (401): {0}; check the ServiceAccount and its token")]
    Refused(String),
    /// 403: it knows us and does not allow this.
    #[error("not allowed (403): {0}; check the role bound to this ServiceAccount")]
    Denied(String),
    /// 404, said by an API server and not by some proxy.
    #[error("not found: {0}")]
    NotFound(String),
    /// Any other 4xx: this request is at fault (or a conflict), asking again will not help.
    #[error("request rejected: {0}")]
    Invalid(String),
}

impl ApiError {
    /// An API server read the request and answered it; it is a fact about the cluster, not about the network.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::Invalid(_))
    }

    /// 401 or 403.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Denied(_))
    }

    /// The message without the classification.
    pub fn detail(&self) -> &str {
        match self {
            Self::Unavailable(s)
            | Self::NoRoute(s)
            | Self::Refused(s)
            | Self::Denied(s)
            | Self::NotFound(s)
            | Self::Invalid(s) => s,
        }
    }

    /// The same kind of error with the server's address before the message.
    pub(super) fn at(self, server: &str) -> Self {
        let say = |s: String| format!("{server}: {s}");
        match self {
            Self::Unavailable(s) => Self::Unavailable(say(s)),
            Self::NoRoute(s) => Self::NoRoute(say(s)),
            Self::Refused(s) => Self::Refused(say(s)),
            Self::Denied(s) => Self::Denied(say(s)),
            // The server's own words name the object; the address adds nothing.
            other => other,
        }
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => from_status(status.code, &status.reason, &status.message),
            other if no_route(&other) => Self::NoRoute(chain(&other)),
            other => Self::Unavailable(chain(&other)),
        }
    }
}

/// A 404 from anything that is not an API server (a proxy, a half-started one) must not read as "not there", so it
/// counts only with the `reason` that the API conventions give it.
fn from_status(code: u16, reason: &str, message: &str) -> ApiError {
    let message: String = message.chars().take(500).collect();
    match (code, reason) {
        (401, _) => ApiError::Refused(message),
        (403, _) => ApiError::Denied(message),
        (404, "NotFound") => ApiError::NotFound(message),
        (404 | 429 | 500.., _) => ApiError::Unavailable(format!("answered {code}: {message}")),
        _ => ApiError::Invalid(format!("answered {code}: {message}")),
    }
}

fn no_route(error: &(dyn StdError + 'static)) -> bool {
    causes(error)
        .filter_map(|e| e.downcast_ref::<io::Error>())
        .filter_map(io::Error::raw_os_error)
        .any(|code| matches!(Errno::from_raw(code), Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_404_counts_only_when_an_api_server_says_it() {
        assert!(matches!(from_status(404, "NotFound", "pods \"a\" not found"), ApiError::NotFound(_)));
        assert!(matches!(from_status(404, "", "404 page not found"), ApiError::Unavailable(_)));
    }

    #[test]
    fn overload_is_unavailability_and_a_conflict_is_not() {
        assert!(matches!(from_status(429, "TooManyRequests", ""), ApiError::Unavailable(_)));
        assert!(matches!(from_status(503, "ServiceUnavailable", ""), ApiError::Unavailable(_)));
        assert!(matches!(from_status(409, "Conflict", ""), ApiError::Invalid(_)));
    }

    #[test]
    fn an_unreachable_network_is_found_however_deep_it_is_wrapped() {
        let os = io::Error::from_raw_os_error(Errno::ENETUNREACH as i32);
        let wrapped = io::Error::other(io::Error::other(os));
        assert!(no_route(&wrapped));
        assert!(!no_route(&io::Error::from_raw_os_error(Errno::ECONNREFUSED as i32)));
    }
}
