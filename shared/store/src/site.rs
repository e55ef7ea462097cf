//! Sites: the servers that one party can make as many of as it likes.

use std::net::Ipv4Addr;

use eko_protocol::address::host_of;

/// Returns the site of a server: the part of its name that somebody registered. A limit for one
/// party counts sites, because whoever has a domain has every server under it, on every port.
///
/// The public suffix list says where the registered part begins: `x.b.example` and `b.example` are
/// one site, `a.co.uk` and `b.co.uk` are two. The private part of the list counts too, so that users
/// of one hosting service have sites of their own. A server of local mode (`localhost`, an IP
/// address) is a site with its port, and a name that is itself a public suffix is a site.
///
/// ```
/// use eko_store::inbound::site;
///
/// assert_eq!(site("x.b.example:8443"), "b.example");
/// assert_eq!(site("x.b.co.uk"), "b.co.uk");
/// assert_eq!(site("localhost:8081"), "localhost:8081");
/// ```
pub fn site(authority: &str) -> &str {
    let name = host_of(authority);
    if name == "localhost" || name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() {
        return authority;
    }
    psl::domain_str(name).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_the_domain_that_somebody_registered() {
        for (authority, expected) in [
            ("b.example", "b.example"),
            ("b.example:8443", "b.example"),
            ("x.b.example", "b.example"),
            ("y.x.b.example:8443", "b.example"),
            // Under a suffix of two labels, and under one that Punycode writes.
            ("evil.co.uk", "evil.co.uk"),
            ("x.evil.co.uk", "evil.co.uk"),
            ("x.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"),
            // Under a wildcard, its exception, and the suffix of a hosting service.
            ("x.b.anything.ck", "b.anything.ck"),
            ("x.www.ck", "www.ck"),
            ("x.b.github.io", "b.github.io"),
            // Suffixes themselves.
            ("co.uk", "co.uk"),
            ("example:8443", "example"),
            // Servers of local mode.
            ("localhost:8081", "localhost:8081"),
            ("localhost:8082", "localhost:8082"),
            ("x.localhost:8081", "x.localhost"),
            ("127.0.0.1:8081", "127.0.0.1:8081"),
            ("[::1]:8081", "[::1]:8081"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(site(authority), expected, "{authority}");
        }
    }
}
