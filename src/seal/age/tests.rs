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
    let file_key = identity.unwrap(header.only(X25519_KIND).unwrap()).unwrap();
    assert!(header.is_authentic(&file_key));
    let mut plain = Vec::new();
    payload::open(&file_key, &mut source, &mut plain, &mut |_| {}).unwrap();
    assert_eq!(plain, b"hello");
}

#[test]
fn an_identity_survives_as_text() {
    let identity = Identity::from_text(IDENTITY).unwrap();
    assert_eq!(identity.to_text().as_bytes(), IDENTITY);
    assert!(Identity::from_text(b"AGE-SECRET-KEY-1QQQQ\n").is_none());
    assert!(Identity::from_text(b"\xff").is_none());
}

#[test]
fn a_stanza_is_for_its_identity_alone() {
    let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let file_key = FileKey::generate().unwrap();
    let mut stanza = one.wrap(&file_key).unwrap();
    assert_eq!(one.unwrap(&stanza).unwrap().0, file_key.0);
    assert!(other.unwrap(&stanza).is_none());
    // A point of small order gives everybody the same secret.
    stanza.arguments = vec![BASE64.encode([0; 32])];
    assert!(one.unwrap(&stanza).is_none());
    for arguments in [vec![], vec!["AAAA".to_owned()], vec!["*".to_owned()]] {
        assert!(one.unwrap(&Stanza { arguments, ..stanza.clone() }).is_none());
    }
}
