//! The rhythm of something that is looked at again and again: at ease while it goes well, with back-off while it does not,
//! and told in the logs when the one becomes the other.

use std::time::Duration;

use crate::backoff::{Backoff, spread};

const FIRST_RETRY: Duration = Duration::from_secs(1);

/// When to look next, and what was last said of it.
pub(super) struct Poll {
    what: &'static str,
    ease: Duration,
    backoff: Backoff,
    trouble: Option<String>,
}

impl Poll {
    /// `what` is looked at every `ease`.
    pub(super) fn new(what: &'static str, ease: Duration) -> Self {
        Self { what, ease, backoff: Backoff::new(FIRST_RETRY, ease), trouble: None }
    }

    /// How long to wait after a round that ended so.
    pub(super) fn after(&mut self, outcome: Result<(), String>) -> Duration {
        let trouble = outcome.err();
        let pause = if trouble.is_some() {
            self.backoff.wait()
        } else {
            self.backoff.reset();
            self.ease
        };
        if trouble != self.trouble {
            if let Some(why) = &trouble {
                tracing::warn!(error = %why, "{} cannot be looked at; trying again", self.what);
            } else {
                tracing::info!("{} can be looked at again", self.what);
            }
            self.trouble = trouble;
        }
        // Instances that started together need not ask together.
        spread(pause, 0.1, fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_tried_again_soon_then_slower_to_the_usual_pace() {
        let mut rounds = Poll::new("x", Duration::from_secs(60));
        let near = |pause: Duration, seconds: u32| {
            let expected = Duration::from_secs(seconds.into());
            assert!(
                pause >= expected.mul_f64(0.89) && pause <= expected.mul_f64(1.11),
                "{pause:?} is not about {expected:?}"
            );
        };
        near(rounds.after(Ok(())), 60);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            near(rounds.after(Err("down".to_owned())), seconds);
        }
        near(rounds.after(Ok(())), 60);
        near(rounds.after(Err("down".to_owned())), 1);
    }
}
