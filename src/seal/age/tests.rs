use super::*;

/// Made by age 1.1.1 with `age-keygen` and `age -r`.
const IDENTITY: &[u8] = b"AGE-SECRET-KEY-1XMDADYHC0GJP00QNVTUSS87SHTPY055W2N35FWY9WFR57SDA4WTSLJNKGY\n";
const FILE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBIRW8xWDlnT292Z0Z2RmFLUUNQa3drSVdDWGxPYUMrY1F2R1ZlTXR6dmlFCldWaThC\
                    UU5laXcrRXF2cFl0YlJTTFRGRHJsQlY4eU50Q1BPcmF0V3E1WXMKLS0tIDhkbTkzTkhxUXQvU3lod21jRFVYM2dldDRrUTQ2ZjZ6UTlTc1\
                    JSejg3YncKCUhWb2r1wKXpQnkq1wa+TtIMh7ueFDCL8DVdLhdUVlLLOP/Qyw";

#[test]
fn a_file_of_ages_own_program_opens() {
    let bytes = BASE64.decode(FILE).unwrap();
    let mut source = bytes.as_slice();
    let header = header::Header::read(&mut source).unwrap();
    let identity = Identity::from_text(IDENTITY).unwrap();
    let file_key = identity.open(&header).unwrap_or_else(|why| panic!("{why:?}"));
    let mut plain = Vec::new();
    payload::open(&file_key, &mut source, &mut plain, &mut |_| {}).unwrap();
    assert_eq!(plain, b"hello");
}

#[test]
fn an_identity_survives_as_text() {
    let identity = Identity::from_text(IDENTITY).unwrap();
    assert_eq!(identity.to_text().as_bytes(), IDENTITY);
    let text = std::str::from_utf8(IDENTITY).unwrap().trim_end();
    assert_eq!(text.len() + 1, TEXT);
    assert!(Identity::from_text(format!("{text}\n\n\n").as_bytes()).is_some());
    for other in ["", "AGE-SECRET-KEY-1QQQQ", "AGE-SECRET-KEY-1QQQQQQ", &text.to_lowercase(), &text[1..]] {
        assert!(Identity::from_text(other.as_bytes()).is_none(), "{other}");
    }
    assert!(Identity::from_text(b"\xff").is_none());
}

#[test]
fn no_digit_of_an_identity_may_change() {
    let text = &IDENTITY[..IDENTITY.len() - 1];
    for at in 0..text.len() {
        for digit in (b'0'..=b'9').chain(b'A'..=b'Z').filter(|digit| *digit != text[at]) {
            let mut other = text.to_vec();
            other[at] = digit;
            assert!(Identity::from_text(&other).is_none());
        }
    }
}

#[test]
fn a_stanza_is_for_its_identity_alone() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let file_key = FileKey::generate().unwrap();
    let mut stanza = one.wrap(&file_key).unwrap();
    assert!(one.unwrap(&stanza).unwrap().is_some_and(|found| found.0 == file_key.0));
    assert!(other.unwrap(&stanza).unwrap().is_none());
    // A point of small order gives everybody the same secret.
    stanza.arguments = vec![BASE64.encode([0; 32])];
    assert!(one.unwrap(&stanza).is_err());
    for arguments in [vec![], vec!["AAAA".to_owned()], vec!["*".to_owned()]] {
        assert!(one.unwrap(&Stanza { arguments, ..stanza.clone() }).is_err());
    }
}
