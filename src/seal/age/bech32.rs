//! Bech32 (BIP 173) in upper case and without its limit of length, as age writes secret keys.

use zeroize::Zeroizing;

const DIGITS: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
const CHECKSUM: usize = 6;

/// `prefix` is in upper case.
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let mut groups = regroup(bytes, 8, 5);
    if groups.is_empty() && !bytes.is_empty() {
        groups.push(0);
    }
    let sum = polymod(prefix, groups.iter().copied().chain([0; CHECKSUM])) ^ 1;
    // Not grown again, so that no copy of it stays behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + groups.len() + CHECKSUM + 2));
    text.push_str(prefix);
    text.push('1');
    let checksum = (0..CHECKSUM).map(|at| (sum >> (5 * (CHECKSUM - 1 - at)) & 31) as u8);
    for group in groups.iter().copied().chain(checksum) {
        text.push(char::from(DIGITS[usize::from(group)]));
    }
    text
}

/// The bytes, if prefix, digits and checksum are right.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let mut groups = Zeroizing::new(Vec::with_capacity(digits.len()));
    for digit in digits.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        // There are 32 digits.
        groups.push(u8::try_from(value).ok()?);
    }
    let content = groups.len().checked_sub(CHECKSUM)?;
    if polymod(prefix, groups.iter().copied()) != 1 {
        return None;
    }
    let unused = content * 5 % 8;
    let last = groups[..content].last().copied().unwrap_or_default();
    // What is left over is less than a group, and zero.
    (unused < 5 && last & ((1 << unused) - 1) == 0).then(|| {
        let mut bytes = regroup(&groups[..content], 5, 8);
        bytes.truncate(content * 5 / 8);
        bytes
    })
}

/// From groups of so many bits to groups of so many others, the last one filled with zeros.
fn regroup(from: &[u8], width: u32, other: u32) -> Zeroizing<Vec<u8>> {
    let mut into = Zeroizing::new(Vec::with_capacity(from.len() * 2 + 1));
    let (mut held, mut bits) = (0_u32, 0);
    for group in from {
        held = held << width | u32::from(*group);
        bits += width;
        while bits >= other {
            bits -= other;
            into.push(low(held >> bits, other));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        into.push(low(held << (other - bits), other));
    }
    into
}

fn low(value: u32, bits: u32) -> u8 {
    // At most eight bits are left.
    (value & ((1 << bits) - 1)).to_le_bytes()[0]
}

/// The checksum's polynomial over the prefix and the groups, from BIP 173. The prefix counts in lower case.
fn polymod(prefix: &str, groups: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let prefix = prefix.to_ascii_lowercase();
    let high = prefix.bytes().map(|c| c >> 5);
    let low = prefix.bytes().map(|c| c & 31);
    let step = |sum: u32, value: u8| {
        let carried = GENERATOR.iter().enumerate().filter(|(bit, _)| sum >> 25 >> bit & 1 == 1);
        carried.fold((sum & 0x1ff_ffff) << 5 ^ u32::from(value), |sum, (_, generator)| sum ^ generator)
    };
    high.chain([0]).chain(low).chain(groups).fold(1, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_and_no_digit_may_change() {
        for length in [0, 1, 2, 4, 5, 31, 32, 33] {
            let bytes: Vec<u8> = (0..length).map(|n: u8| n.wrapping_mul(37)).collect();
            let text = encode("AGE-SECRET-KEY-", &bytes);
            assert_eq!(decode("AGE-SECRET-KEY-", &text).as_deref(), Some(&bytes), "{length}");
            for at in 16..text.len() {
                for digit in DIGITS.iter().filter(|digit| **digit != text.as_bytes()[at]) {
                    let mut other = text.as_bytes().to_vec();
                    other[at] = *digit;
                    assert!(decode("AGE-SECRET-KEY-", std::str::from_utf8(&other).unwrap()).is_none());
                }
            }
        }
        assert!(decode("AGE-SECRET-KEY-", "AGE-SECRET-KEY-1").is_none());
        assert!(decode("AGE-SECRET-KEY-", "AGE-SECRET-KEY-1QQQQQQ").is_none());
    }
}
