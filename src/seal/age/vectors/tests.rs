//! The format's published test vectors (`tests/vectors/README.md`), each against what opens a sealed archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::super::header::Header;
use super::super::{BadHeader, Identity, payload};
use crate::hex::Hex;

/// For vectors that name no identity of the kind that is known here.
const ANYBODY: &str = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
const LONGEST: usize = 32 << 20;

struct Vector {
    name: String,
    expect: String,
    payload: Option<String>,
    identities: Vec<Identity>,
    armored: bool,
    file: Vec<u8>,
}

impl Vector {
    fn parse(name: String, bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let (head, rest) = (std::str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 2..]);
        let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in head.lines() {
            let (key, value) = line.split_once(": ").unwrap();
            let known = ["expect", "payload", "file key", "identity", "passphrase", "armored", "compressed", "comment"];
            assert!(known.contains(&key), "{name}: {key}");
            fields.entry(key).or_default().push(value);
        }
        let one = |key: &str| fields.get(key).map(|all| all[0].to_owned());
        let file = match one("compressed").as_deref() {
            None => rest.to_vec(),
            Some("zlib") => miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(rest, LONGEST).unwrap(),
            Some(other) => panic!("{name}: {other}"),
        };
        let identities = fields.get("identity").into_iter().flatten();
        Self {
            expect: one("expect").unwrap(),
            payload: one("payload"),
            identities: identities.filter_map(|text| Identity::from_text(text.as_bytes())).collect(),
            armored: one("armored").is_some(),
            name,
            file,
        }
    }

    /// Whether it is of what a sealed archive is made of: binary, for an X25519 identity. The first lines are the same for all.
    fn applies(&self) -> bool {
        !self.armored && (!self.identities.is_empty() || self.name == "empty")
    }
}

/// What comes of a file, in the vectors' words, and what was written until then.
fn opened(file: &[u8], identity: &Identity) -> (&'static str, Vec<u8>) {
    let mut source = file;
    let Ok(header) = Header::read(&mut source) else { return ("header failure", Vec::new()) };
    let file_key = match identity.open(&header) {
        Ok(file_key) => file_key,
        Err(BadHeader::Malformed) => return ("header failure", Vec::new()),
        Err(BadHeader::NobodysKey) => return ("no match", Vec::new()),
        Err(BadHeader::Mac) => return ("HMAC failure", Vec::new()),
    };
    // The vectors count the payload's nonce among the header.
    let without_nonce = source.len() < 16;
    let mut plain = Vec::new();
    match payload::open(&file_key, &mut source, &mut plain, &mut |_| {}) {
        Ok(_) => ("success", plain),
        Err(_) if without_nonce => ("header failure", plain),
        Err(_) => ("payload failure", plain),
    }
}

fn hash(plain: &[u8]) -> String {
    Hex(&Sha256::digest(plain)).to_string()
}

fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/age");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files.map(|file| Vector::parse(file.file_name().into_string().unwrap(), &fs::read(file.path()).unwrap())).collect()
}

#[test]
fn the_published_vectors_are_answered_as_they_demand() {
    let anybody = Identity::from_text(ANYBODY.as_bytes()).unwrap();
    let (mut good, mut refused, mut foreign, mut wrong) = (0, 0, 0, Vec::new());
    for vector in all() {
        if !vector.applies() {
            foreign += 1;
            let (came, plain) = opened(&vector.file, vector.identities.first().unwrap_or(&anybody));
            if came == "success" || !plain.is_empty() {
                wrong.push(format!("{}: opened, which is not known how to", vector.name));
            }
            continue;
        }
        let tried = vector.identities.iter().chain(vector.identities.is_empty().then_some(&anybody));
        for (came, plain) in tried.map(|identity| opened(&vector.file, identity)) {
            let hash = vector.payload.is_some().then(|| hash(&plain));
            if came != vector.expect || hash != vector.payload || (hash.is_none() && !plain.is_empty()) {
                wrong.push(format!("{}: {came} with {} bytes, not {}", vector.name, plain.len(), vector.expect));
            }
        }
        *(if vector.expect == "success" { &mut good } else { &mut refused }) += 1;
    }
    assert!(wrong.is_empty(), "{} of them are not:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((good, refused, foreign), (14, 55, 74), "opened, refused, of what is not known here");
}
