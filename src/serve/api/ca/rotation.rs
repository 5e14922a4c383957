//! When a CA is replaced, and when a leaf. A new CA is shown to everybody before anything is signed with it, and an old one
//! stays trusted to its end, so nobody ever meets a certificate that they cannot check.

use std::time::Duration;

const HOUR: u64 = 3600;
/// From its making to the end of its validity; it is replaced well before.
pub(super) const CA_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * HOUR);
/// Life of a leaf, which is made anew with every start.
pub(super) const LEAF_LIFE: Duration = Duration::from_secs(7 * 24 * HOUR);
/// A new CA is in everybody's bundle by then: instances look every minute.
const KNOWN_AFTER: i64 = 24 * 3600;

/// When a certificate is good, seconds since the epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: i64,
    pub(super) end: i64,
}

impl Span {
    /// Two thirds of it are gone.
    pub(super) fn is_late(self, now: i64) -> bool {
        now >= self.begin.saturating_add(self.end.saturating_sub(self.begin) / 3 * 2)
    }

    pub(super) fn is_over(self, now: i64) -> bool {
        now > self.end
    }
}

/// What the Secret needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// Nothing.
    Keep,
    /// A next CA, for everybody to know.
    Prepare,
    /// The next CA signs from now on.
    Promote,
    /// A CA at once: nothing that is there is good any more.
    Replace,
}

/// By the lives of the CA that signs and of the one to come.
pub(super) fn plan(current: Span, next: Option<Span>, now: i64) -> Rotation {
    match next.filter(|next| !next.is_over(now)) {
        Some(next) if current.is_over(now) || now >= next.begin.saturating_add(KNOWN_AFTER) => Rotation::Promote,
        None if current.is_over(now) => Rotation::Replace,
        None if current.is_late(now) => Rotation::Prepare,
        _ => Rotation::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn a_ca_is_followed_by_one_that_everybody_knows_by_then() {
        let current = Span { begin: 0, end: 300 * DAY };
        let next = |begin| Some(Span { begin, end: begin + 300 * DAY });
        for (now, next, wanted) in [
            (0, None, Rotation::Keep),
            (200 * DAY - 1, None, Rotation::Keep),
            (200 * DAY, None, Rotation::Prepare),
            (200 * DAY, next(200 * DAY), Rotation::Keep),
            (201 * DAY - 1, next(200 * DAY), Rotation::Keep),
            (201 * DAY, next(200 * DAY), Rotation::Promote),
            (300 * DAY, None, Rotation::Prepare),
            (300 * DAY + 1, None, Rotation::Replace),
            (300 * DAY + 1, next(300 * DAY), Rotation::Promote),
            (900 * DAY, next(200 * DAY), Rotation::Replace),
        ] {
            assert_eq!(plan(current, next, now), wanted, "at {now} with {next:?}");
        }
    }

    #[test]
    fn a_life_of_any_numbers_is_judged_without_overflow() {
        for span in [Span { begin: i64::MIN, end: i64::MAX }, Span { begin: i64::MAX, end: i64::MIN }] {
            for now in [i64::MIN, 0, i64::MAX] {
                let _ = (plan(span, Some(span), now), plan(span, None, now));
            }
        }
    }
}
