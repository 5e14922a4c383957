//! Whether an address leads no further than this machine: the only place where a token or a password may go in clear.

use std::net::IpAddr;

/// Of a URL's host: a name, or an IP address with or without brackets.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::is_loopback;

    #[rstest]
    #[case("127.0.0.1", true)]
    #[case("127.9.9.9", true)]
    #[case("[::1]", true)]
    #[case("::1", true)]
    #[case("localhost", true)]
    #[case("10.0.0.1", false)]
    #[case("0.0.0.0", false)]
    #[case("localhost.example.com", false)]
    #[case("127.0.0.1.example.com", false)]
    #[case("", false)]
    fn only_this_machine_is_loopback(#[case] host: &str, #[case] loopback: bool) {
        assert_eq!(is_loopback(host), loopback);
    }
}
