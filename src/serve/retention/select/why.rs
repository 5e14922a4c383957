//! Why an archive goes, for people and for metrics.

use std::fmt;
use std::time::Duration;

use crate::duration;
use crate::serve::retention::policy::{Level, Owner};

/// The first rule that demands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// What it is of is gone, and orphans are not kept.
    Orphan(Owner),
    /// It alone is larger than it may be.
    Size {
        /// The largest that it may be, in bytes.
        limit: u64,
    },
    /// It is older than any may be.
    Age {
        /// The longest that it may be kept.
        limit: Duration,
    },
    /// It was left unfinished a day ago and more; how.
    Unfinished(String),
    /// There are too many.
    Number {
        /// Whose archives are too many: a container's, pod's or namespace's.
        level: Level,
        /// How many may be kept.
        limit: u64,
    },
    /// They are too large together.
    Sum {
        /// Whose archives are too large: a container's, pod's or namespace's.
        level: Level,
        /// The largest that they may be together, in bytes.
        limit: u64,
    },
    /// All of the node are too large together.
    Node {
        /// The largest that they may be together, in bytes.
        limit: u64,
    },
    /// There is too little room on the disk.
    Room {
        /// What is to be free, in bytes.
        limit: u64,
    },
}

/// Every [`Why::label`].
pub const LABELS: [&str; 8] = ["orphan", "size", "age", "unfinished", "number", "sum", "node", "room"];

impl Why {
    /// The kind of reason, one of [`LABELS`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Orphan(_) => "orphan",
            Self::Size { .. } => "size",
            Self::Age { .. } => "age",
            Self::Unfinished(_) => "unfinished",
            Self::Number { .. } => "number",
            Self::Sum { .. } => "sum",
            Self::Node { .. } => "node",
            Self::Room { .. } => "room",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orphan(owner) => write!(f, "{owner} is gone"),
            Self::Size { limit } => write!(f, "it is larger than {limit} bytes"),
            Self::Age { limit } => write!(f, "it is older than {}", duration::display(*limit)),
            Self::Unfinished(how) => write!(f, "it was left unfinished more than a day ago: {how}"),
            Self::Number { level, limit } => write!(f, "its {level} may have {limit} and has newer ones"),
            Self::Sum { level, limit } => write!(f, "those of its {level} are larger than {limit} bytes together"),
            Self::Node { limit } => write!(f, "those of this node are larger than {limit} bytes together"),
            Self::Room { limit } => write!(f, "less than {limit} bytes are free on the disk"),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Pod => "pod",
            Self::Namespace => "namespace",
        })
    }
}
