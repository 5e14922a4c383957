//! The records of an extended header (POSIX.1-2001, pax): `<length> <key>=<value>` and a newline each. Pure.

/// What a header says about the next entry, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    pub path: Option<Vec<u8>>,
    pub size: Option<u64>,
}

/// Reads all records of one header.
pub(super) fn parse(mut rest: &[u8]) -> Result<Overrides, &'static str> {
    let mut found = Overrides::default();
    while !rest.is_empty() {
        let (key, value, after) = record(rest).ok_or("a record of an extended header is malformed")?;
        rest = after;
        match key {
            b"path" if found.path.is_none() => found.path = Some(value.to_vec()),
            b"size" if found.size.is_none() => {
                found.size = Some(decimal(value).ok_or("a size in an extended header is no number")?);
            }
            b"path" | b"size" => return Err("an extended header says the same twice"),
            // Where their contents are is said in ways that programs read differently.
            _ if key.starts_with(b"GNU.sparse.") || key == b"GNU.sparse" => return Err("an entry is sparse"),
            _ => {}
        }
    }
    Ok(found)
}

/// Key, value and what follows the first record.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, value: &str) -> Vec<u8> {
        let body = format!(" {key}={value}\n");
        let length = (1..9).map(|digits| body.len() + digits).find(|n| n.to_string().len() + body.len() == *n).unwrap();
        format!("{length}{body}").into_bytes()
    }

    #[test]
    fn path_and_size_are_taken_and_the_rest_is_passed_over() {
        let bytes =
            [of("mtime", "1.5"), of("path", "a\nb"), of("SCHILY.xattr.x", "=\n="), of("size", "8589934592")].concat();
        let found = parse(&bytes).unwrap();
        assert_eq!(found, Overrides { path: Some(b"a\nb".to_vec()), size: Some(8_589_934_592) });
        assert_eq!(parse(b"").unwrap(), Overrides::default());
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let twice = [of("size", "1"), of("size", "2")].concat();
        let bad: [&[u8]; 12] = [
            b"x",
            b"5 a=b\n",
            b"7 a=b\n",
            b"6 a=bc",
            b"0 \n",
            b"4 =\n",
            b"5 =b\n",
            b"99999999 a=b\n",
            b"6 abc\n",
            b"-6 a=b\n",
            &of("size", "-1"),
            &twice,
        ];
        for bytes in bad {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        for key in ["GNU.sparse.map", "GNU.sparse.major", "GNU.sparse.realsize"] {
            assert_eq!(parse(&of(key, "0")), Err("an entry is sparse"));
        }
        assert!(parse(&of("size", "18446744073709551616")).is_err());
    }
}
