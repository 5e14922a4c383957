//! Percent-encoding (RFC 3986 §2.1) as this program writes and reads it: which bytes may stay as they are, named once for each
//! use, over the crate `percent-encoding`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters (§2.3): safe in a segment, a query and a form.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same where a colon has no meaning of its own, and people are to read it: within a path or in the value of a query.
const WITH_COLON: &AsciiSet = &COMPONENT.remove(b':');
/// For names and values of headers: no capitals, which the name of a header loses on the way.
const HEADER: &AsciiSet = &with_capitals(COMPONENT.add(b'~'));

const fn with_capitals(mut escaped: AsciiSet) -> AsciiSet {
    let mut letter = b'A';
    while letter <= b'Z' {
        escaped = escaped.add(letter);
        letter += 1;
    }
    escaped
}

/// What may be one segment of a path, one value of a query or of a form.
pub fn component(text: &str) -> String {
    encode(text, COMPONENT)
}

/// The same, with colons as they are.
pub fn component_with_colons(text: &str) -> String {
    encode(text, WITH_COLON)
}

/// For the name or the value of a header, all in lower case.
pub fn header(text: &str) -> String {
    let mut all = encode(text, HEADER);
    all.make_ascii_lowercase();
    all
}

fn encode(text: &str, escaped: &'static AsciiSet) -> String {
    // Never grows: what is encoded may be secret, and a string that grows leaves a copy behind.
    let mut all = String::with_capacity(text.len() * 3);
    all.extend(utf8_percent_encode(text, escaped));
    all
}

/// Reads `%xx` back; none where a `%` is followed by anything else (the crate would let that pass) or the result is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let digits = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
    let whole = text.split('%').skip(1).all(|after| digits(after) == 2);
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.ok().filter(|_| whole).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    /// Every byte by hand, as RFC 3986 has it.
    fn by_hand(text: &str, kept: impl Fn(u8) -> bool) -> String {
        text.bytes().fold(String::new(), |mut all, byte| {
            if kept(byte) {
                all.push(char::from(byte));
            } else {
                write!(all, "%{byte:02X}").unwrap();
            }
            all
        })
    }

    #[test]
    fn every_ascii_character_is_encoded_as_its_use_needs() {
        let all: String = (0..=127).map(char::from).chain(['ä', '€']).collect();
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert_eq!(component(&all), by_hand(&all, unreserved));
        assert_eq!(component_with_colons(&all), by_hand(&all, |byte| unreserved(byte) || byte == b':'));
        let header_keeps = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        assert_eq!(header(&all), by_hand(&all, header_keeps).to_ascii_lowercase());
    }

    #[test]
    fn what_is_not_encoded_right_is_not_read() {
        for bad in ["%", "a%", "a%2", "%zz", "%+1", "%2", "%%41", "%ff", "%\u{e4}1"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        assert_eq!(decode("a%2fB%2F%c3%A4+").as_deref(), Some("a/B/ä+"));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(text in any::<String>()) {
            for encoded in [component(&text), component_with_colons(&text), header(&text)] {
                prop_assert_eq!(decode(&encoded), Some(text.clone()));
            }
        }
    }
}
