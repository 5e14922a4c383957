//! Archives that are made to deceive whoever reads them.

use pod_checkpointer::archive::ArchiveError;
use pod_checkpointer::archive::reader::{Contents, read};
use proptest::prelude::*;

use crate::support::archives::{Tar, binary, checksum, config, containerd, containerd_spec, header, octal, opened};

fn reading(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    read(&opened(bytes))
}

/// What it is refused for.
#[track_caller]
fn refused(tar: Tar) -> String {
    match reading(&tar.end()) {
        Err(ArchiveError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

/// An honest one behind what is asked about.
fn then(tar: Tar) -> Tar {
    let spec = containerd_spec("shop", "web-0", "web").to_string();
    tar.file("config.dump", config().to_string().as_bytes()).file("spec.dump", spec.as_bytes())
}

#[test]
fn the_two_files_may_be_no_link_and_not_twice() {
    let spec = containerd_spec("other", "p", "c").to_string();
    for (kind, name) in [(b'1', "config.dump"), (b'2', "spec.dump"), (b'5', "./spec.dump"), (b'6', "config.dump/")] {
        assert!(refused(Tar::default().entry(kind, name, &octal(0), b"")).contains("is no regular file"), "{name}");
    }
    for name in ["spec.dump", "./spec.dump", "spec.dump"] {
        assert_eq!(refused(then(Tar::default()).file(name, spec.as_bytes())), "spec.dump is there twice");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let bad = ["/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/./b", "a\nb", "a\x1b[2J"];
    for name in bad {
        assert!(refused(then(Tar::default().file(name, b"x"))).starts_with("no entry may be named"), "{name}");
        assert!(refused(then(Tar::default().pax(b'x', "path", name).file("a", b"x"))).contains("named"), "{name}");
        let long = Tar::default().entry(b'L', "././@LongLink", &octal(name.len()), name.as_bytes());
        assert!(refused(then(long.file("a", b"x"))).contains("named"), "{name}");
    }
    let mut block = header(b'0', "x", &octal(0));
    block[..4].copy_from_slice(b"\xff\xfe\xfd\xfc");
    checksum(&mut block);
    assert!(refused(then(Tar(block.to_vec()))).contains("named"));
}

#[test]
fn a_prefix_and_a_long_name_are_part_of_the_name() {
    let mut block = header(b'0', "spec.dump", &octal(0));
    block[345..350].copy_from_slice(b"inner");
    checksum(&mut block);
    let long = format!("checkpoint/{}", "a".repeat(300));
    let tar = Tar(block.to_vec()).entry(b'L', "././@LongLink", &octal(long.len() + 1), format!("{long}\0").as_bytes());
    let found = reading(&then(tar.file("short", b"x").pax(b'x', "path", "by-pax").file("short", b"y")).end()).unwrap();
    let names: Vec<_> = found.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["inner/spec.dump", &long, "by-pax", "config.dump", "spec.dump"]);
}

#[test]
fn sizes_that_programs_read_differently_are_refused() {
    let sparse = [
        Tar::default().entry(b'S', "a", &octal(1), b"x"),
        Tar::default().pax(b'x', "GNU.sparse.major", "1").file("a", b"x"),
        Tar::default().pax(b'x', "GNU.sparse.size", "100").file("a", b"x"),
    ];
    for tar in sparse {
        assert_eq!(refused(then(tar)), "an entry is sparse");
    }
    let negative = [[0xff; 12], {
        let mut size = binary(1);
        size[0] = 0xc0;
        size
    }];
    for size in negative {
        assert_eq!(refused(then(Tar::default().entry(b'0', "a", &size, b""))), "a header's number is negative");
    }
    let mut beyond = binary(u64::MAX);
    beyond[2] = 1;
    assert!(refused(then(Tar::default().entry(b'0', "a", &beyond, b""))).contains("beyond any disk"));
    assert!(refused(then(Tar::default().entry(b'0', "a", b"+0000000001\0", b"x"))).contains("none"));
    assert!(refused(then(Tar::default().pax(b'g', "size", "1").file("a", b"x"))).contains("global"));
    assert!(refused(then(Tar::default().pax(b'g', "path", "b").file("a", b"x"))).contains("global"));
    let twice = Tar::default().pax(b'x', "size", "1").pax(b'x', "size", "512").file("a", b"x");
    assert!(refused(then(twice)).contains("two headers"));
    let both = Tar::default().entry(b'L', "l", &octal(1), b"b").pax(b'x', "path", "c").file("a", b"x");
    assert_eq!(refused(then(both)), "an entry has two names");
}

#[test]
fn sizes_in_their_other_forms_are_read() {
    let tar = Tar::default()
        .entry(b'0', "a", &binary(3), b"abc")
        .pax(b'x', "size", "2")
        .entry(b'0', "b", &octal(0), b"de")
        .pax(b'g', "comment", "harmless")
        // A link has no content, whatever its header says.
        .entry(b'1', "c", &octal(4096), b"")
        .entry(b'0', "d", b"          1 ", b"f");
    let found = reading(&then(tar).end()).unwrap();
    let sizes: Vec<_> = found.entries.iter().map(|entry| entry.size).collect();
    assert_eq!(sizes[..4], [3, 2, 0, 1]);
}

#[test]
fn a_claim_beyond_the_end_is_a_cut_and_takes_no_memory() {
    for size in [binary(u64::MAX), binary(1 << 40), octal(1_000_000)] {
        for tar in [Tar::default(), Tar::default().file("a", b"x")] {
            let cut = reading(&tar.entry(b'0', "a", &size, b"short").end());
            assert!(matches!(cut, Err(ArchiveError::Cut { .. })), "{cut:?}");
        }
    }
    let cut = reading(&Tar::default().entry(b'0', "spec.dump", &octal(10_000), b"").end());
    assert!(matches!(cut, Err(ArchiveError::Cut { .. })), "{cut:?}");
    let big = reading(&Tar::default().entry(b'0', "spec.dump", &octal((16 << 20) + 1), b"").end());
    assert!(matches!(big, Err(ArchiveError::Refused { .. })), "{big:?}");
    let bomb = reading(&Tar::default().entry(b'x', "p", &octal(2 << 20), b"").end());
    assert!(matches!(bomb, Err(ArchiveError::Refused { .. })), "{bomb:?}");
}

#[test]
fn headers_without_number_are_not_read_to_their_end() {
    let one = header(b'0', "a", &octal(0));
    assert_eq!(refused(then(Tar(one.repeat(110_000)))), "it has too many entries");
    let preface = Tar::default().entry(b'g', "g", &octal(0), b"").0;
    assert!(refused(Tar(preface.repeat(100_000))).contains("too long"));
}

#[test]
fn a_header_that_was_changed_is_found() {
    let good = containerd(b"memory").end();
    for at in (0..512).filter(|at| !(148..156).contains(at)) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(matches!(reading(&bytes), Err(ArchiveError::Refused { .. })), "byte {at}");
    }
    let mut bytes = good;
    let end = bytes.len() - 512;
    bytes[end] = 1;
    assert!(matches!(reading(&bytes), Err(ArchiveError::Refused { .. })));
}

#[test]
fn what_is_no_checkpoint_is_told_from_what_is_damaged() {
    for bytes in [Vec::new(), Tar::default().end(), Tar::default().file("spec.dump", b"{}").end()] {
        assert!(matches!(reading(&bytes), Err(ArchiveError::Missing("config.dump"))));
    }
    assert!(matches!(reading(b"short"), Err(ArchiveError::Cut { .. })));
    assert!(matches!(reading(&[b'x'; 1024]), Err(ArchiveError::Refused { .. })));
}

proptest! {
    #[test]
    fn whatever_is_changed_it_is_read_or_refused(changes in prop::collection::vec((0_usize..12_000, any::<u8>()), 1..20)) {
        let mut bytes = containerd(b"memory").end();
        let length = bytes.len();
        for (at, to) in changes {
            bytes[at % length] = to;
        }
        if let Ok(found) = reading(&bytes) {
            prop_assert!(found.entries.iter().all(|entry| !entry.name.split('/').any(|part| part == "..")));
            prop_assert!(found.entries.iter().map(|entry| entry.size).sum::<u64>() <= found.size);
        }
    }
}
