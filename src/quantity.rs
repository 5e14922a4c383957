//! Quantities (`100m`, `1.5Gi`, `2e3`), as resources of pods and sizes in policies are written. Source: the quantity format
//! of the Kubernetes API. No crate: only exact comparing and whole bytes are needed, and an integer does that.

use serde_json::Value;

/// A quantity that is not negative, in billionths, the finest that the format knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity(i128);

const ONE: i128 = 1_000_000_000;

impl Quantity {
    /// `1`
    pub(crate) const UNIT: Self = Self(ONE);
    /// `0`
    pub(crate) const ZERO: Self = Self(0);

    /// Reads a string or a number; `None` where it is no quantity, or negative.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => parse(text).map(Self),
            Value::Number(number) => parse(&number.to_string()).map(Self),
            _ => None,
        }
    }

    /// How often `divisor` goes into it, rounded up as the kubelet does: both first to whole thousandths (`milli`)
    /// or to whole units.
    pub(crate) fn divided_by(self, divisor: Self, milli: bool) -> Option<i128> {
        let grain = if milli { ONE / 1000 } else { ONE };
        let (dividend, divisor) = (div_ceil(self.0, grain), div_ceil(divisor.0, grain));
        (divisor > 0).then(|| div_ceil(dividend, divisor))
    }
}

/// Of two that are not negative.
fn div_ceil(dividend: i128, divisor: i128) -> i128 {
    dividend / divisor + i128::from(dividend % divisor != 0)
}

fn parse(text: &str) -> Option<i128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let scale = suffix_scale(suffix)?;
    let decimals = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(div_ceil(mantissa.checked_mul(scale)?, decimals))
}

/// What one of the suffix is, in billionths.
fn suffix_scale(suffix: &str) -> Option<i128> {
    const DECIMAL: [(&str, u32); 10] =
        [("n", 0), ("u", 3), ("m", 6), ("", 9), ("k", 12), ("M", 15), ("G", 18), ("T", 21), ("P", 24), ("E", 27)];
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some(10_i128.pow(*exponent));
    }
    if let Some(index) = BINARY.iter().position(|name| *name == suffix) {
        return 1024_i128.pow(u32::try_from(index).ok()? + 1).checked_mul(ONE);
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    10_i128.checked_pow(u32::try_from(exponent.checked_add(9)?).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Option<i128> {
        Quantity::read(value).map(|q| q.0)
    }

    #[test]
    fn all_notations_are_read() {
        for (value, nanos) in [
            (json!("0"), 0),
            (json!(2), 2 * ONE),
            (json!("250m"), ONE / 4),
            (json!("1.5"), ONE + ONE / 2),
            (json!(".5Ki"), 512 * ONE),
            (json!("1Gi"), 1024 * 1024 * 1024 * ONE),
            (json!("2e3"), 2000 * ONE),
            (json!("1E"), 1_000_000_000_000_000_000 * ONE),
            (json!("7n"), 7),
        ] {
            assert_eq!(read(&value), Some(nanos), "{value}");
        }
        for value in [json!(""), json!("-1"), json!("1Zi"), json!("."), json!("1.2.3"), json!(null), json!("e3")] {
            assert_eq!(read(&value), None, "{value}");
        }
    }

    #[test]
    fn what_is_too_large_to_count_is_no_quantity() {
        let most = i128::MAX.to_string();
        for text in ["1e2147483647", "1e30", "99999999999999999999999999E", most.as_str()] {
            assert_eq!(read(&json!(text)), None, "{text}");
        }
        assert_eq!(read(&json!(format!("{most}n"))), Some(i128::MAX));
        assert_eq!(
            read(&json!(format!("0.{}1n", "0".repeat(36)))),
            Some(1),
            "rounded up, whatever the number of digits"
        );
    }

    #[test]
    fn division_rounds_up() {
        let q = |text: &str| Quantity::read(&json!(text)).unwrap();
        assert_eq!(q("250m").divided_by(q("1"), true), Some(1));
        assert_eq!(q("250m").divided_by(q("1m"), true), Some(250));
        assert_eq!(q("1500M").divided_by(q("1Mi"), false), Some(1431));
        assert_eq!(q("1").divided_by(q("0"), true), None);
    }
}
