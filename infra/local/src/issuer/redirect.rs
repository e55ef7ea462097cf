//! The redirect URIs that a sign-in may end at: those of this machine.

use url::{Host, Url};

/// Parses the redirect URI of a native app (RFC 8252).
///
/// It must be an `http` URL of the loopback interface with any port, or a URL of a private-use
/// scheme, which has a dot (`org.example.app:/signed-in`). It must have no fragment.
pub(super) fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let native = url.scheme().contains('.');
    (url.fragment().is_none() && (native || (url.scheme() == "http" && loopback))).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_its_apps() {
        let good = [
            "http://127.0.0.1:5000/cb",
            "http://localhost/cb?a=b",
            "http://[::1]:1/",
            "org.example.app:/signed-in",
            "org.example.app://signed/in",
        ];
        let bad = [
            "",
            "/cb",
            "http://example.org/cb",
            "https://localhost/cb",
            "http://localhost.example.org/",
            "http://localhost/cb#f",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
        ];
        for text in good {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in bad {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
