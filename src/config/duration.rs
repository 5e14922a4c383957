//! Durations as Go programs and Kubernetes manifests write them: `90s`, `1m30s`, `8760h`, `1.5h`.

use std::fmt::Write;
use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it like 90s, 1m30s or 8760h")]
pub struct InvalidDuration(String);

/// Units of Go's `time.ParseDuration`, in nanoseconds. Longer names first where one begins like another.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads a Go-style duration. Signs are refused: no delay here is negative. `0` needs no unit, as in Go.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == &rest[..unit]).ok_or_else(invalid)?;
        let part = Duration::try_from_secs_f64(number * nanos / 1e9).map_err(|_| invalid())?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = &rest[unit..];
    }
    if text.is_empty() { Err(invalid()) } else { Ok(total) }
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
    fn go_durations_are_read(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("")]
    #[case("90")]
    #[case("s")]
    #[case("-5s")]
    #[case("1d")]
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
