//! Go's notation of durations (`10m`, `1h30m`, `1.5s`), as annotations and flags of Kubernetes write them.

use std::time::Duration;

/// Units by their size in nanoseconds; the longer spelling of two with one beginning first.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses an unsigned duration; `None` where Go's own parser would refuse it, or where it is negative.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    loop {
        let (value, after) = one(rest)?;
        nanos = nanos.checked_add(value)?;
        rest = after;
        if rest.is_empty() {
            return Some(Duration::from_nanos(nanos));
        }
    }
}

/// One number with its unit, in nanoseconds, and what follows it.
fn one(text: &str) -> Option<(u64, &str)> {
    let number = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, rest) = text.split_at(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(*unit)?;
    let mut scale = *unit;
    for digit in fraction.bytes() {
        scale /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0').checked_mul(scale)?)?;
    }
    Some((nanos, &rest[name.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, millis) in [
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("0", 0),
            (".5m", 30_000),
            ("2h0m1s", 7_201_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_not_a_duration() {
        for text in ["", "10", "m", "-5m", "1d", "10 m", "1.2.3s", "ten", ".s", "99999999999999h", "5m3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
