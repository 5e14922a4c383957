use proptest::prelude::*;

use super::*;

#[track_caller]
fn is(text: &str, host: &str, port: Option<u16>, repository: &str, tag: &str) {
    let expected =
        ImageReference { host: host.to_owned(), port, repository: repository.to_owned(), tag: tag.to_owned() };
    assert_eq!(ImageReference::parse(text), Ok(expected));
}

#[test]
fn every_part_is_read() {
    is("quay.io/pbaran/checkpointed:0123456789abcdef", "quay.io", None, "pbaran/checkpointed", "0123456789abcdef");
    is("10.1.2.3:5000/x", "10.1.2.3", Some(5000), "x", "latest");
    is("localhost/a/b-c/d__e.f:T_1.x-y", "localhost", None, "a/b-c/d__e.f", "T_1.x-y");
    is("LocalHost:1/a", "localhost", Some(1), "a", "latest");
    is("[::1]:5000/x:y", "::1", Some(5000), "x", "y");
    is("[FE80::1]/x", "fe80::1", None, "x", "latest");
    is("docker.io/user/name", "docker.io", None, "user/name", "latest");
    is("registry:443/x---y", "registry", Some(443), "x---y", "latest");
}

#[test]
fn what_is_no_address_says_what_to_write() {
    for text in ["", "x", "user/name", "name:tag", "/x", "registry/name"] {
        assert!(matches!(ImageReference::parse(text), Err(BadReference::NoHost(_))), "{text}");
    }
    for text in [
        "a..b/x",
        "-a.b/x",
        "a.b-/x",
        "a_b.c/x",
        "a.b:/x",
        "a.b:0/x",
        "a.b:65536/x",
        "a.b:+1/x",
        "a.b:1:2/x",
        "[::1/x",
        "[1.2.3.4]/x",
        "[::1]5/x",
        "[::1]:/x",
        "[::1%eth0]/x",
        "1.2.3/x",
        "256.1.1.1/x",
        ".a/x",
        "a.b:p/x",
        "ä.de/x",
        "a.b c/x",
    ] {
        assert!(matches!(ImageReference::parse(text), Err(BadReference::Host(_))), "{text}");
    }
    for text in [
        "a.b/",
        "a.b/X",
        "a.b//x",
        "a.b/x/",
        "a.b/../x",
        "a.b/x..y",
        "a.b/x___y",
        "a.b/_x",
        "a.b/x-",
        "a.b/x.-y",
        "a.b/x%2fy",
        "a.b/x?y",
        "a.b/x#y",
        "a.b/x y",
        "a.b/ä",
    ] {
        assert!(matches!(ImageReference::parse(text), Err(BadReference::Repository(_))), "{text}");
    }
    for text in ["a.b/x:", "a.b/x:.y", "a.b/x:-y", "a.b/x:y:z", "a.b/x:y/z", "a.b/x:ä"] {
        assert!(matches!(ImageReference::parse(text), Err(BadReference::Tag(_))), "{text}");
    }
    assert!(matches!(ImageReference::parse(&format!("a.b/x:{}", "t".repeat(129))), Err(BadReference::Tag(_))));
    assert!(matches!(ImageReference::parse(&format!("a.b/{}", "x".repeat(252))), Err(BadReference::Long(256))));
    assert!(matches!(ImageReference::parse(&"x".repeat(1 << 20)), Err(BadReference::Long(_))));
    assert!(matches!(ImageReference::parse("a.b/x@sha256:00"), Err(BadReference::Digest(_))));
    let no_user = ImageReference::parse("docker.io/name").unwrap_err();
    assert_eq!(no_user.to_string(), "docker.io/name belongs to nobody: write docker.io/USER/name");
}

proptest! {
    #[test]
    fn what_was_read_is_written_so_that_it_is_read_again(
        text in r"([a-z0-9]{1,5}(\.[a-zA-Z0-9-]{1,4}){0,3}|\[[0-9a-f:]{2,9}\]|localhost)(:[0-9]{1,5})?/[a-z0-9._/-]{1,12}(:[\w.-]{1,5})?",
    ) {
        if let Ok(read) = ImageReference::parse(&text) {
            prop_assert_eq!(ImageReference::parse(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        drop(ImageReference::parse(&text));
        drop(host_and_port(&text));
    }
}
