//! Bytes in hexadecimal, in lower case. Six lines do not need a crate.

use std::fmt;

/// These bytes, to be displayed.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(Hex(&[0, 9, 0x0a, 0xff]).to_string(), "00090aff");
        assert_eq!(Hex(&[]).to_string(), "");
    }
}
