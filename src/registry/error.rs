//! What can go wrong with a registry, what an operator can do about it, and what is worth another try.

use std::io;
use std::time::Duration;

use http::StatusCode;

use super::digest::Digest;
use super::location::BadLocation;
use crate::http_client::WireError;
use crate::http_client::tls::TlsError;

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No CA certificates to judge registries by.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The option cannot be read.
    #[error("{0:?} names no host for plain HTTP: write HOST or HOST:PORT, as in the image's address")]
    PlainHost(String),
    /// No connection, or none that lasted.
    #[error("cannot {what}: {why}")]
    Wire {
        /// The act and its object.
        what: String,
        /// What the connection says.
        why: WireError,
    },
    /// Plain HTTP where TLS was expected.
    #[error("{host} speaks no TLS; if plain HTTP is right there, name it with --plain-http {host}")]
    NoTls {
        /// Host that speaks plain HTTP.
        host: String,
    },
    /// The registry says no.
    #[error("cannot {what}: the registry answers {status}{said}")]
    Refused {
        /// The act and its object.
        what: String,
        /// HTTP status of the answer.
        status: StatusCode,
        /// What it says about it, in brackets; may be empty.
        said: String,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// It wants somebody else, or somebody at all.
    #[error("cannot {what}: {host} does not accept who asks{said}; {remedy}")]
    Unauthorized {
        /// The act and its object.
        what: String,
        /// Registry or token server.
        host: String,
        /// What it says about it, in brackets; may be empty.
        said: String,
        /// What would let us in: credentials for it, or other ones.
        remedy: String,
    },
    /// The right to ask ended in the middle.
    #[error("cannot {what}: the token has expired")]
    Expired {
        /// The act and its object.
        what: String,
    },
    /// The registry wants its credentials sent to somebody else.
    #[error(
        "{registry} wants its credentials sent to {realm}, which is another server; if that is right, give {realm} an \
         entry of its own in the docker configuration"
    )]
    ForeignRealm {
        /// Host of the registry that asks for it.
        registry: String,
        /// The token server that it names.
        realm: String,
    },
    /// Leads to a server that may not be spoken to in plain text.
    #[error("{from} leads to {to}, which is plain HTTP; if that is right, name it with --plain-http {host}")]
    PlainHttp {
        /// Host that led there.
        from: String,
        /// The whole address, which is plain HTTP.
        to: String,
        /// The host to name.
        host: String,
    },
    /// A `Location` or realm that is no address.
    #[error("{host} leads to a place that cannot be gone to: {why}")]
    Location {
        /// Host that led there.
        host: String,
        /// What is wrong with it.
        why: BadLocation,
    },
    /// Leads on and on.
    #[error("cannot {what}: {host} leads from one place to the next, more than {limit} times")]
    Redirects {
        /// The act and its object.
        what: String,
        /// Host that was asked first.
        host: String,
        /// How often was followed.
        limit: usize,
    },
    /// It says that it is done, but with something else.
    #[error(
        "cannot {what}: it is {expected}, and the registry answers with {found}; the registry cannot be trusted with it"
    )]
    Digest {
        /// The act and its object.
        what: String,
        /// Digest of what was sent.
        expected: Digest,
        /// What came back: a digest, or a word about the bytes.
        found: String,
    },
    /// It answers against the distribution spec.
    #[error("cannot {what}: the registry's answer is no use: {why}")]
    Nonsense {
        /// The act and its object.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file on this side.
    #[error("cannot read the archive while it is pushed: {0}")]
    Source(io::Error),
    /// It is still being written, or was replaced.
    #[error(
        "the archive changed while it was pushed: it had {expected} bytes and now has {found}; wait until it is complete"
    )]
    Changed {
        /// Bytes that it had when the push began.
        expected: u64,
        /// Bytes that it has now.
        found: u64,
    },
    /// It took too long.
    #[error("cannot {what}: not done within {limit:?}{last}")]
    Deadline {
        /// The act and its object.
        what: String,
        /// What the whole act may take.
        limit: Duration,
        /// What went wrong before; may be empty.
        last: String,
    },
}

/// It may work at another time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Again {
    /// When the registry wants to be asked again.
    pub(super) after: Option<Duration>,
}

impl RegistryError {
    /// Whether the same may work a little later, as far as the answer says.
    pub(super) fn passes(&self) -> Option<Again> {
        match self {
            Self::Wire { why, .. } => match why {
                WireError::Connect { .. } | WireError::Silent { .. } | WireError::Broken { .. } => {
                    Some(Again::default())
                }
                WireError::Tls { .. } | WireError::TooLong { .. } => None,
            },
            Self::Refused { status, after, .. } => {
                let busy = matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
                let broken = status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED;
                (busy || broken).then_some(Again { after: *after })
            }
            Self::Expired { .. } => Some(Again::default()),
            _ => None,
        }
    }
}
