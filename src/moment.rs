//! Time as the deciding code knows it: milliseconds since boot, handed in as a value.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the kernel's boot clock (`CLOCK_BOOTTIME`), milliseconds. Comparable only within one boot, which is
/// why everything that holds one lives in `/run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootInstant(pub u64);

impl BootInstant {
    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for BootInstant {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for BootInstant {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// What one source said. Absent is not unknown: only `Seen` may say that something is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation<T> {
    /// A complete, successful read, and when it was made.
    Seen(T, BootInstant),
    /// The source did not answer, and why.
    Unavailable(String),
}

impl<T> Observation<T> {
    /// The value, if one was read.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value, _) => Some(value),
            Self::Unavailable(_) => None,
        }
    }
}
