//! What can come of asking an API server, told apart by what may be concluded from it.

use std::error::Error as StdError;
use std::io;

use nix::errno::Errno;

use crate::error_chain::{causes, chain};

/// Why a question got no (good) answer, by what may be concluded from it: nobody need look at the words. Messages hold no
/// payload of the API, so no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Nothing answered properly: connecting, TLS, timeout, 5xx or nonsense, at every server.
    #[error("API server unavailable: {0}")]
    Unavailable(String),
    /// 429: it is there and has too much to do; no answer either.
    #[error("API server unavailable: {0}")]
    TooManyRequests(String),
    /// The machine has no route to any server yet, as just after boot; worth a short patience.
    #[error("no route to the API server: {0}")]
    NoRoute(String),
    /// 401: the server does not accept our credentials.
    #[error("API server refused our credentials (401): {0}; check the ServiceAccount and its token")]
    Unauthorized(String),
    /// 403: it knows us and does not allow this.
    #[error("not allowed (403): {0}; check the role bound to this ServiceAccount")]
    Forbidden(String),
    /// Somebody answers who is not our cluster; nothing follows for our objects.
    #[error("{0}")]
    OtherCluster(String),
    /// 404, said by an API server and not by some proxy.
    #[error("not found: {0}")]
    NotFound(String),
    /// 409: it is there already, it has changed since it was read, or a precondition does not hold.
    #[error("request rejected: {0}")]
    Conflict(String),
    /// 410: what was asked to go on from is not kept any more.
    #[error("request rejected: {0}")]
    Gone(String),
    /// Any other 4xx: this request is at fault, asking again will not help.
    #[error("request rejected: {0}")]
    Invalid(String),
}

impl ApiError {
    /// An API server read the request and answered it; it is a fact about the cluster, not about the network.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::Conflict(_) | Self::Gone(_) | Self::Invalid(_))
    }

    /// 401, 403, or another cluster: somebody has to change something first.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::Forbidden(_) | Self::OtherCluster(_))
    }

    /// No API server was to be had: nothing follows but that one must ask again.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TooManyRequests(_) | Self::NoRoute(_))
    }

    /// The message without the classification.
    pub fn detail(&self) -> &str {
        match self {
            Self::Unavailable(s)
            | Self::TooManyRequests(s)
            | Self::NoRoute(s)
            | Self::Unauthorized(s)
            | Self::Forbidden(s)
            | Self::OtherCluster(s)
            | Self::NotFound(s)
            | Self::Conflict(s)
            | Self::Gone(s)
            | Self::Invalid(s) => s,
        }
    }

    /// The same kind of error with the server's address before the message.
    pub(super) fn at(self, server: &str) -> Self {
        let say = |s: String| format!("{server}: {s}");
        match self {
            Self::Unavailable(s) => Self::Unavailable(say(s)),
            Self::TooManyRequests(s) => Self::TooManyRequests(say(s)),
            Self::NoRoute(s) => Self::NoRoute(say(s)),
            Self::Unauthorized(s) => Self::Unauthorized(say(s)),
            Self::Forbidden(s) => Self::Forbidden(say(s)),
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
    let answered = |message: String| format!("answered {code}: {message}");
    match (code, reason) {
        (401, _) => ApiError::Unauthorized(message),
        (403, _) => ApiError::Forbidden(message),
        (404, "NotFound") => ApiError::NotFound(message),
        (404 | 500.., _) => ApiError::Unavailable(answered(message)),
        (409, _) => ApiError::Conflict(answered(message)),
        (410, _) => ApiError::Gone(answered(message)),
        (429, _) => ApiError::TooManyRequests(answered(message)),
        _ => ApiError::Invalid(answered(message)),
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
        let busy = from_status(429, "TooManyRequests", "");
        assert!(matches!(busy, ApiError::TooManyRequests(_)) && busy.is_outage() && !busy.is_answer());
        assert!(from_status(503, "ServiceUnavailable", "").is_outage());
        for reason in ["Conflict", "AlreadyExists", ""] {
            let conflict = from_status(409, reason, "");
            assert!(matches!(conflict, ApiError::Conflict(_)) && conflict.is_answer(), "{reason}");
        }
        assert!(matches!(from_status(410, "Expired", ""), ApiError::Gone(_)));
        for code in [400, 422] {
            assert!(matches!(from_status(code, "Invalid", ""), ApiError::Invalid(_)));
        }
    }

    #[test]
    fn the_words_for_people_do_not_depend_on_the_kind() {
        assert_eq!(from_status(409, "Conflict", "x").to_string(), "request rejected: answered 409: x");
        assert_eq!(from_status(422, "Invalid", "x").to_string(), "request rejected: answered 422: x");
        assert_eq!(from_status(429, "", "x").to_string(), "API server unavailable: answered 429: x");
    }

    #[test]
    fn an_unreachable_network_is_found_however_deep_it_is_wrapped() {
        let os = io::Error::from_raw_os_error(Errno::ENETUNREACH as i32);
        let wrapped = io::Error::other(io::Error::other(os));
        assert!(no_route(&wrapped));
        assert!(!no_route(&io::Error::from_raw_os_error(Errno::ECONNREFUSED as i32)));
    }
}
