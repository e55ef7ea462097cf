//! The servers that a client sends requests to.

use eko_protocol::address::Origin;
use url::{Host, Url};

use crate::ClientError;

/// The domains whose names belong to one machine or one network.
const LOCAL_DOMAINS: [&str; 6] =
    ["localhost", "localdomain", "localdomain6", "local", "internal", "home.arpa"];

/// The servers that a client may fetch from: its own, every public one, and those on this machine
/// that its user has named.
///
/// Most URLs that a client fetches come from others: the author of an entry, the member of a group,
/// a WebFinger link, the place of a file. None of them may direct a request at a service of this
/// machine, or at an address that needs no certificate. Names are checked, and not the addresses
/// that they resolve to.
#[derive(Debug, Clone)]
pub struct Reach {
    own: Origin,
    local: Vec<Origin>,
}

impl Reach {
    /// Returns the reach of a client of the server at `own`.
    pub fn of(own: Origin) -> Self {
        Self { own, local: Vec::new() }
    }

    /// Adds servers on this machine that the user has named.
    pub fn add_local(&mut self, servers: Vec<Origin>) {
        self.local.extend(servers);
    }

    /// Checks a URL before it is fetched.
    ///
    /// # Errors
    /// [`ClientError::Unfetchable`] unless the URL is under the own server or under a server that
    /// the user has named, or is an https URL of a domain name that is not local.
    pub fn check(&self, url: &str) -> Result<(), ClientError> {
        let known = self.own.owns(url) || self.local.iter().any(|server| server.owns(url));
        if known || is_public(url) { Ok(()) } else { Err(ClientError::Unfetchable(url.to_owned())) }
    }

    /// Checks the address of sockets that the own server has named. An access token goes there.
    ///
    /// # Errors
    /// [`ClientError::Unfetchable`] unless the address is under `wss`, and at a public domain name, or
    /// at the own server's name or below it. A server under http, which is on this machine, may name
    /// an address under `ws` on this machine instead, at any port: what serves its sockets may be
    /// another process.
    pub fn check_socket(&self, url: &str) -> Result<(), ClientError> {
        let is_good = match url.split_once("://") {
            Some(("ws", rest)) => {
                // An origin under http is on this machine.
                let plain = format!("http://{rest}");
                let is_here = Origin::parse(&plain).is_ok() || Origin::of(&plain).is_some();
                is_here && self.own.as_str().starts_with("http://")
            }
            Some(("wss", rest)) => {
                let secured = format!("https://{rest}");
                let is_own = self.own.as_str().starts_with("https://")
                    && Url::parse(&secured)
                        .is_ok_and(|url| url.host_str().is_some_and(|it| self.is_below(it)));
                is_own || is_public(&secured)
            }
            _ => false,
        };
        if is_good { Ok(()) } else { Err(ClientError::Unfetchable(url.to_owned())) }
    }

    /// True if a host name is the own server's or below it.
    fn is_below(&self, host: &str) -> bool {
        let own = self.own.host();
        host == own || host.strip_suffix(own).is_some_and(|rest| rest.ends_with('.'))
    }
}

/// True if a URL is under https at a domain name that is neither this machine's nor one of its
/// network. A name of one label is never public.
fn is_public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let is_under = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
            url.scheme() == "https" && name.contains('.') && !LOCAL_DOMAINS.iter().any(|it| is_under(it))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetches(reach: &Reach, url: &str) -> bool {
        reach.check(url).is_ok()
    }

    #[test]
    fn a_local_client_fetches_from_its_own_server_and_from_public_ones() {
        let own = Origin::parse("http://localhost:8080").unwrap();
        let mut reach = Reach::of(own);
        for url in [
            "http://localhost:8080/user/bob/devices",
            "https://b.example/user/bob/devices",
            "https://b.example:8443/x?y",
            "https://notlocal.example/x",
            "https://mylocal.local.example/x",
        ] {
            assert!(fetches(&reach, url), "{url}");
        }
        for url in [
            "http://localhost:8081/user/bob/devices",
            "http://localhost:80801/user/bob/devices",
            "http://localhost/user/bob/devices",
            "http://127.0.0.1:8080/user/bob/devices",
            "http://b.localhost:8080/user/bob/devices",
            "http://[::1]:8080/user/bob/devices",
            "http://b.example/user/bob/devices",
            "https://localhost:8080/x",
            "https://localhost./x",
            "https://b.localhost/x",
            "https://ip6-localhost:8443/x",
            "https://localhost6.localdomain6/x",
            "https://LOCALHOST.LocalDomain./x",
            "https://printer.local/x",
            "https://db.internal/x",
            "https://router.home.arpa/x",
            "https://intranet/x",
            "https://127.0.0.1/x",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://10.0.0.1/x",
            "https://169.254.169.254/x",
            "https://[::1]/x",
            "https://[::ffff:7f00:1]/x",
            "ftp://b.example/x",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!fetches(&reach, url), "{url}");
        }
        reach.add_local(vec![Origin::parse("http://localhost:8081").unwrap()]);
        assert!(fetches(&reach, "http://localhost:8081/user/bob/devices"));
        assert!(!fetches(&reach, "http://localhost:8082/user/bob/devices"));
    }

    #[test]
    fn a_token_goes_to_sockets_under_tls_or_on_the_machine_of_the_own_local_server() {
        let opens = |own: &str, url: &str| Reach::of(Origin::parse(own).unwrap()).check_socket(url).is_ok();
        for (own, url) in [
            ("https://a.example", "wss://live.a.example"),
            ("https://a.example", "wss://sockets.other.example/x"),
            ("https://eko.internal", "wss://live.eko.internal/x"),
            ("http://localhost:8080", "ws://localhost:8080/live"),
            ("http://localhost:8080", "ws://localhost:8080"),
            ("http://localhost:9000", "ws://localhost:8000/live"),
            ("http://localhost:9000", "ws://127.0.0.1:8000/live"),
            ("http://localhost:8080", "wss://live.a.example"),
        ] {
            assert!(opens(own, url), "{own} {url}");
        }
        for (own, url) in [
            ("https://a.example", "ws://a.example/live"),
            ("https://a.example", "ws://localhost:8080/live"),
            ("https://a.example", "wss://localhost/live"),
            ("https://a.example", "wss://10.0.0.1/live"),
            ("https://a.example", "https://live.a.example"),
            ("https://eko.internal", "wss://other.internal"),
            ("https://eko.internal", "wss://noteko.internal"),
            ("http://localhost:8080", "ws://localhost:80801/live"),
            ("http://localhost:8080", "ws://b.example:8080/live"),
            ("http://localhost:8080", "ws://192.168.0.1:8080/live"),
            ("http://localhost:8080", "ws://localhost.b.example:8080/live"),
            ("http://localhost:8080", "ws://localhost:8081/live?token"),
            ("http://localhost:8080", "ws://localhost:8080@b.example/live"),
            ("http://localhost:8080", "wss://localhost:8443/live"),
            ("http://localhost:8080", ""),
        ] {
            assert!(!opens(own, url), "{own} {url}");
        }
    }

    #[test]
    fn a_client_of_a_public_server_fetches_nothing_of_this_machine() {
        let reach = Reach::of(Origin::parse("https://a.example").unwrap());
        assert!(fetches(&reach, "https://a.example/user/bob/devices"));
        assert!(!fetches(&reach, "http://localhost:8080/user/bob/devices"));
        assert!(!fetches(&reach, "http://a.example/user/bob/devices"));
    }
}
