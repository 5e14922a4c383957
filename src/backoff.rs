//! How long to wait before what failed is tried again: doubled each time up to a bound. Pure: whoever waits does the waiting,
//! and brings the dice.

use std::time::Duration;

/// The waits of one loop.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits `first`, then twice that and so on, but never more than `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// How long to wait this time; the next time it is twice as long.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.most);
        wait
    }

    /// The same where another bound holds this time, because it failed for another reason.
    pub fn wait_within(&mut self, most: Duration) -> Duration {
        let wait = self.next.min(most);
        self.next = self.next.saturating_mul(2).min(most);
        wait
    }

    /// It went well: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// Nothing has failed since the beginning or the last reset.
    pub fn is_fresh(&self) -> bool {
        self.next == self.first
    }
}

/// The wait after so many failures, where they are counted and no [`Backoff`] is kept.
pub fn after(failures: u32, first: Duration, most: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most)
}

/// `wait`, longer or shorter by up to `part` of it, as the dice (0 to 1) have it: those who failed together do not come back
/// together.
pub fn spread(wait: Duration, part: f64, dice: f64) -> Duration {
    wait.mul_f64(1.0 - part + 2.0 * part * dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_bound_and_start_over() {
        let mut backoff = Backoff::new(SECOND, 5 * SECOND);
        assert!(backoff.is_fresh());
        assert_eq!([(); 4].map(|()| backoff.wait().as_secs()), [1, 2, 4, 5]);
        assert!(!backoff.is_fresh());
        backoff.reset();
        assert_eq!((backoff.is_fresh(), backoff.wait()), (true, SECOND));
    }

    #[test]
    fn another_bound_holds_for_the_waits_that_it_is_given_for() {
        let mut backoff = Backoff::new(SECOND, 4 * SECOND);
        assert_eq!([(); 4].map(|()| backoff.wait_within(4 * SECOND).as_secs()), [1, 2, 4, 4]);
        assert_eq!([(); 3].map(|()| backoff.wait_within(10 * SECOND).as_secs()), [4, 8, 10]);
        assert_eq!(backoff.wait_within(4 * SECOND), 4 * SECOND);
    }

    #[test]
    fn counted_failures_wait_as_long_as_kept_ones() {
        let mut backoff = Backoff::new(SECOND, 30 * SECOND);
        for failures in 1..40 {
            assert_eq!(after(failures, SECOND, 30 * SECOND), backoff.wait(), "{failures}");
        }
        assert_eq!(after(0, SECOND, 30 * SECOND), SECOND);
        assert_eq!(after(u32::MAX, Duration::MAX, Duration::MAX), Duration::MAX);
    }

    #[test]
    fn dice_spread_a_wait_to_both_sides() {
        let wait = 4 * SECOND;
        assert_eq!([0.0, 0.5, 1.0].map(|dice| spread(wait, 0.25, dice).as_secs()), [3, 4, 5]);
    }
}
