//! Go's notation of durations (`10m`, `1h30m`, `1.5s`), as flags and annotations of Kubernetes write them. No crate:
//! those that are usual read other notations (`1day`, ISO 8601), and what Kubernetes would not take must not be taken here.

use std::fmt::Write;
use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it like 10m, 1m30s or 8760h")]
pub struct InvalidDuration(String);

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

/// Reads an unsigned duration; an error where Go's own parser (`time.ParseDuration`) would refuse it, or where it is
/// negative: no delay here is.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    nanoseconds(text).map(Duration::from_nanos).ok_or_else(|| InvalidDuration(text.to_owned()))
}

fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut nanos: u64 = 0;
    loop {
        let (value, after) = one(rest)?;
        nanos = nanos.checked_add(value)?;
        rest = after;
        if rest.is_empty() {
            return Some(nanos);
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

/// Writes a duration the way [`parse`] reads it, to the second, milliseconds where shorter than one.
pub fn display(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{}ms", duration.as_millis());
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (value, unit) in [(hours, 'h'), (minutes, 'm'), (seconds, 's')] {
        if value > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, "{value}{unit}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("90s", 90_000)]
    #[case("1m30s", 90_000)]
    #[case("8760h", 8760 * 3_600_000)]
    #[case("1.5h", 5_400_000)]
    #[case("250ms", 250)]
    #[case("1h2m3s4ms", 3_723_004)]
    #[case("0", 0)]
    #[case("0s", 0)]
    #[case(".5m", 30_000)]
    #[case("2h0m1s", 7_201_000)]
    fn go_durations_are_read(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("")]
    #[case("90")]
    #[case("s")]
    #[case("-5s")]
    #[case("1d")]
    #[case("10 m")]
    #[case("1.2.3s")]
    #[case(".s")]
    #[case("5m3")]
    #[case("99999999999999h")]
    #[case("1m 30s")]
    #[case("1..5s")]
    #[case("99999999999999999999h")]
    #[case("1h99999999999999999999999999h")]
    fn anything_else_is_refused_with_an_example(#[case] text: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("1m30s"), "{error}");
    }

    #[rstest]
    #[case(90, "1m30s")]
    #[case(3600, "1h")]
    #[case(8760 * 3600, "8760h")]
    #[case(59, "59s")]
    fn what_is_written_can_be_read_again(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(display(Duration::from_secs(seconds)), text);
        assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
    }
}
