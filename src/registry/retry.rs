//! How often and how long something is tried. Only what passes by itself is tried again; see [`RegistryError`].

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::RegistryError;
use super::limits::RegistryLimits;
use crate::backoff;

/// No back-off and no `Retry-After` is longer.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The attempts at one thing.
pub(super) struct Retry<'a> {
    what: String,
    limits: &'a RegistryLimits,
    deadline: Instant,
    made: u32,
    last: String,
}

impl<'a> Retry<'a> {
    /// At `what`, an act and its object.
    pub(super) fn at(what: String, limits: &'a RegistryLimits) -> Self {
        Self { what, limits, deadline: Instant::now() + limits.total, made: 0, last: String::new() }
    }

    /// One attempt, for as long as there is time. Some when there is nothing more to try.
    pub(super) async fn once<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, RegistryError>> + Send,
    ) -> Option<Result<T, RegistryError>> {
        let Ok(result) = timeout_at(self.deadline, attempt).await else { return Some(Err(self.too_late())) };
        let Err(why) = result else { return Some(result) };
        self.made += 1;
        let Some(again) = why.passes().filter(|_| self.made < self.limits.attempts) else { return Some(Err(why)) };
        let wait = pause(self.made, again.after, self.limits.pause, fastrand::f64());
        tracing::warn!("{why}; trying again in {wait:.1?}");
        self.last = format!("; before that: {why}");
        let until = Instant::now() + wait;
        if until >= self.deadline {
            return Some(Err(self.too_late()));
        }
        sleep_until(until).await;
        None
    }

    fn too_late(&mut self) -> RegistryError {
        let (what, last) = (std::mem::take(&mut self.what), std::mem::take(&mut self.last));
        RegistryError::Deadline { what, limit: self.limits.total, last }
    }
}

/// Before the attempt after `made` failed ones: doubled each time, shortened by up to a half by the dice (0 to 1) so that
/// many who failed together do not come back together; never shorter than the registry asks, as far as that is reasonable.
fn pause(made: u32, asked: Option<Duration>, first: Duration, dice: f64) -> Duration {
    let doubled = backoff::after(made, first, LONGEST_PAUSE);
    doubled.mul_f64(1.0 - dice.clamp(0.0, 1.0) / 2.0).max(asked.unwrap_or_default()).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_bound() {
        let of = |made| pause(made, None, SECOND, 0.0).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 99].map(of), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(2, None, SECOND, 1.0), SECOND);
    }

    #[test]
    fn what_the_registry_asks_for_is_kept_to_within_reason() {
        assert_eq!(pause(1, Some(7 * SECOND), SECOND, 0.0), 7 * SECOND);
        assert_eq!(pause(4, Some(SECOND), SECOND, 0.0), 8 * SECOND);
        assert_eq!(pause(1, Some(Duration::MAX), SECOND, 0.0), LONGEST_PAUSE);
    }
}
