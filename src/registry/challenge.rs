//! `WWW-Authenticate` (RFC 9110 §11.6.1) as far as registries use it: Basic, and Bearer with its realm (the distribution
//! project's token specification). Whether a realm may be asked is for `token`. Not by `http-auth`: it reads neither a URL
//! without quotes nor what follows a `Negotiate YII==`, and both are to be read.

/// How a registry wants to know who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token that the realm gives out.
    Bearer {
        /// URL of the token server.
        realm: String,
        /// Whom the token is for, in the words of the token server.
        service: Option<String>,
    },
}

/// No honest challenge is longer.
const LONGEST: usize = 8 << 10;

/// The best of all challenges in these headers: a token rather than a password. None if there is none that is known.
pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let offered: Vec<Offer> = headers.into_iter().filter(|h| h.len() <= LONGEST).flat_map(offers).collect();
    let bearer = offered.iter().filter(|offer| offer.scheme.eq_ignore_ascii_case("bearer")).find_map(|offer| {
        let realm = offer.parameter("realm").filter(|realm| !realm.is_empty())?;
        Some(Challenge::Bearer { realm, service: offer.parameter("service") })
    });
    let basic = || offered.iter().any(|offer| offer.scheme.eq_ignore_ascii_case("basic")).then_some(Challenge::Basic);
    bearer.or_else(basic)
}

struct Offer<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Offer<'_> {
    /// The first of that name: a second one is nobody's standard.
    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }
}

/// Several challenges may stand in one header, apart by the same commas as their parameters: a word with `=` behind it is
/// a parameter, one without begins the next challenge. What is neither ends the reading.
fn offers(header: &str) -> Vec<Offer<'_>> {
    let mut found: Vec<Offer<'_>> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            found.push(Offer { scheme: word, parameters: Vec::new() });
            rest = after;
            continue;
        };
        let Some((value, after)) = value_of(value.trim_start_matches([' ', '\t'])) else { return found };
        if let Some(offer) = found.last_mut() {
            offer.parameters.push((word, value));
        }
        rest = after;
    }
}

/// A word, or a text in quotes, and what follows it. None for quotes that nobody closes.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Also the `=` that may end what older schemes have in place of parameters.
        let end = text.find(|c: char| !is_token(c) && c != '=' && c != '/' && c != ':').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, &quoted[at + 1..])),
            _ => value.push(c),
        }
    }
    None
}

/// RFC 9110 §5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read_as_registries_send_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(parse([hub]), Some(bearer("https://auth.docker.io/token", Some("registry.docker.io"))));
        assert_eq!(parse([r#"Basic realm="Registry Realm""#]), Some(Challenge::Basic));
        assert_eq!(parse(["basic"]), Some(Challenge::Basic));
        assert_eq!(parse(["bearer Realm = \"https://a/t\""]), Some(bearer("https://a/t", None)));
        assert_eq!(parse(["Bearer realm=https://a/t, service=x"]), Some(bearer("https://a/t", Some("x"))));
        assert_eq!(parse([r#"Bearer realm="https://a/\"t\\""#]), Some(bearer(r#"https://a/"t\"#, None)));
    }

    #[test]
    fn a_token_is_rather_used_than_a_password() {
        let both = r#"Basic realm="x, Bearer realm=y", Bearer realm="https://a/t""#;
        assert_eq!(parse([both]), Some(bearer("https://a/t", None)));
        assert_eq!(parse(["Basic realm=x", r#"Bearer realm="https://a/t""#]), Some(bearer("https://a/t", None)));
        assert_eq!(parse([r#"Bearer service="x", Basic realm="y""#]), Some(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_answered_is_none() {
        for header in [
            "",
            "Negotiate YII==",
            "Digest realm=\"x\"",
            "Bearer",
            "Bearer realm=\"\"",
            "Bearer realm=\"x",
            "=",
            "\"\"",
        ] {
            assert_eq!(parse([header]), None, "{header}");
        }
        assert_eq!(parse([format!("Bearer realm=\"{}\"", "x".repeat(LONGEST)).as_str()]), None);
        assert_eq!(parse([]), None);
    }

    proptest! {
        #[test]
        fn a_realm_comes_out_as_it_was_quoted(realm in "[ -~]{1,40}", service in "[ -~]{0,20}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{}\",service=\"{}\"", quoted(&realm), quoted(&service));
            prop_assert_eq!(parse([header.as_str()]), Some(bearer(&realm, Some(&service))));
        }

        #[test]
        fn no_header_makes_it_panic(header in r#"([A-Za-z]{1,6}|[ ,="\\]|.){0,60}"#) {
            drop(parse([header.as_str()]));
        }
    }
}
