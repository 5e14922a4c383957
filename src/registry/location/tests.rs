use proptest::prelude::*;

use super::*;

fn here() -> Target {
    Target::parse("https://r.example:5000/v2/a/b/blobs/uploads/?x=1").unwrap()
}

#[track_caller]
fn leads(location: &str, origin: &str, path: &str) {
    let target = here().resolve(location).unwrap();
    assert_eq!((target.origin.url().as_str(), target.path.as_str()), (origin, path), "{location}");
}

#[test]
fn a_location_is_resolved_against_where_it_came_from() {
    const HERE: &str = "https://r.example:5000";
    leads("/v2/a/b/blobs/uploads/7?_state=s%2F", HERE, "/v2/a/b/blobs/uploads/7?_state=s%2F");
    leads("7?state=x:y", HERE, "/v2/a/b/blobs/uploads/7?state=x:y");
    leads("?state=2", HERE, "/v2/a/b/blobs/uploads/?state=2");
    leads("https://r.example:5000/x", HERE, "/x");
    leads("HTTPS://R.Example:5000/X#part", HERE, "/X");
    leads("//r.example:5000/x", HERE, "/x");
    leads("https://s3.example/x?sig=1", "https://s3.example", "/x?sig=1");
    leads("//s3.example", "https://s3.example", "/");
    leads("http://r.example:5000/x", "http://r.example:5000", "/x");
    leads("https://r.example:443/x", "https://r.example", "/x");
    leads("https://[::1]:5000/x", "https://[::1]:5000", "/x");
    leads("https://s3.example?a=b", "https://s3.example", "/?a=b");
}

#[test]
fn what_leads_nowhere_is_refused() {
    use BadLocation::{Scheme, Url, User};
    for (location, why) in [
        ("", Url),
        ("https://", Url),
        ("https:///x", Url),
        ("ftp://r.example/x", Scheme),
        ("file:///etc/passwd", Url),
        ("javascript:alert(1)", Scheme),
        ("https://user:pw@r.example:5000/x", User),
        ("https://r.example:5000@evil.example/x", User),
        ("https://r.example:0/x", Url),
        ("https://r_x/x", Url),
        ("/a b", Url),
        ("/a\u{7f}b", Url),
    ] {
        assert!(here().resolve(location).is_err(), "{location}");
        if let Err(found) = here().resolve(location) {
            assert!(found == why || found == Url, "{location}: {found:?}");
        }
    }
    assert_eq!(here().resolve(&format!("/{}", "x".repeat(LONGEST))), Err(Url));
}

#[test]
fn parameters_are_added_and_escaped() {
    let digest = Digest::of(b"");
    let target = here().with_digest(digest);
    assert!(target.path.ends_with(&format!("/uploads/?x=1&digest=sha256%3A{}", &digest.to_string()[7..])));
    let plain = Target::new(here().origin, "/x").with("scope", "repository:a/b:pull,push ä");
    assert_eq!(plain.path, "/x?scope=repository%3Aa%2Fb%3Apull%2Cpush%20%C3%A4");
}

proptest! {
    #[test]
    fn a_path_never_leaves_its_server(path in r"/[!-~]{0,40}") {
        prop_assume!(!path.starts_with("//"));
        if let Ok(target) = here().resolve(&path) {
            prop_assert_eq!(target.origin, here().origin);
            prop_assert!(target.path.starts_with('/'));
        }
    }

    #[test]
    fn no_text_makes_it_panic(location in ".{0,80}") {
        drop(here().resolve(&location));
    }
}
