//! Handles: a user's name together with the domain of the user's server.

use std::fmt;

use url::Host;

use super::UserName;
use crate::Invalid;

/// A handle (`docs/protocol.md`, section 1).
///
/// ```text
/// ["acct:" | "@"] name "@" domain [":" port]
/// ```
///
/// The name is in lower case. The domain is in the form that DNS uses: lower case, and A-labels for
/// international names (IDNA). A port is kept unless it is 443; only servers of local mode have
/// one.
///
/// ```
/// use eko_protocol::address::Handle;
///
/// let handle = Handle::parse("acct:Bob@Bücher.example")?;
/// assert_eq!(handle.name().as_str(), "bob");
/// assert_eq!(handle.authority(), "xn--bcher-kva.example");
/// assert_eq!(handle.to_string(), "@bob@xn--bcher-kva.example");
///
/// assert!(Handle::parse("bob").is_err());
/// assert!(Handle::parse("bob@b.example@c.example").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    name: UserName,
    authority: String,
}

impl Handle {
    /// Reads a handle in any of its three forms.
    ///
    /// # Errors
    /// [`Invalid`] if the text has more or fewer `@`, percent-encoding, a trailing dot, an IP
    /// address in an unusual spelling, a port that is not a number from 1 to 65535 in its shortest
    /// spelling, or a name that is not a [`UserName`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fault = || Invalid::whole("must be a handle: @name@domain or acct:name@domain");
        let bare = match text.strip_prefix("acct:") {
            Some(rest) => rest,
            None => text.strip_prefix('@').unwrap_or(text),
        };
        let (name, domain) = bare.split_once('@').ok_or_else(fault)?;
        let name = UserName::parse(name).map_err(|_| fault())?;
        let authority = authority(domain).ok_or_else(fault)?;
        Ok(Self { name, authority })
    }

    /// Creates the handle of a user on the server at `origin`.
    pub fn new(name: UserName, origin: &super::Origin) -> Self {
        Self { name, authority: origin.authority().to_owned() }
    }

    /// Returns the user's name on its server.
    pub fn name(&self) -> &UserName {
        &self.name
    }

    /// Returns the host, with the port if there is one. It compares equal to the
    /// [`Origin::authority`](super::Origin::authority) of the user's server.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the `acct:` form, the resource of a WebFinger request (RFC 7565).
    pub fn acct(&self) -> String {
        format!("acct:{}@{}", self.name, self.authority)
    }
}

/// Writes `@name@domain`.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}@{}", self.name, self.authority)
    }
}

/// Returns a domain with an optional port in normal form, or `None` if it has another shape.
fn authority(text: &str) -> Option<String> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    if host.is_empty() || host.len() > 253 || host.ends_with('.') || !host.chars().all(plain) {
        return None;
    }
    let host = match Host::parse(host).ok()? {
        Host::Domain(name) if !name.ends_with('.') => name,
        Host::Ipv4(address) if address.to_string() == host => host.to_owned(),
        _ => return None,
    };
    match port {
        None => Some(host),
        Some(port) => match parse_port(port)? {
            443 => Some(host),
            port => Some(format!("{host}:{port}")),
        },
    }
}

/// Reads a port in its shortest spelling; 0 is none.
fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| *port != 0 && port.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_forms_are_one_handle() {
        for text in
            ["@bob@b.example", "acct:bob@b.example", "bob@b.example", "@Bob@B.Example", "bob@b.example:443"]
        {
            let handle = Handle::parse(text).unwrap();
            assert_eq!((handle.name().as_str(), handle.authority()), ("bob", "b.example"), "{text}");
            assert_eq!(handle.to_string(), "@bob@b.example");
            assert_eq!(handle.acct(), "acct:bob@b.example");
        }
        assert_eq!(Handle::parse("bob@localhost:8080").unwrap().authority(), "localhost:8080");
        assert_eq!(Handle::parse("bob@127.0.0.1:8080").unwrap().authority(), "127.0.0.1:8080");
    }

    #[test]
    fn idn_becomes_a_labels() {
        for text in [
            "bob@bücher.example",
            "bob@BÜCHER.example",
            "bob@xn--bcher-kva.example",
            "bob@XN--bcher-KVA.Example",
        ] {
            assert_eq!(Handle::parse(text).unwrap().authority(), "xn--bcher-kva.example", "{text}");
        }
    }

    #[test]
    fn ambiguous_handles_are_refused() {
        for text in [
            "",
            "bob",
            "@bob",
            "@@bob@b.example",
            "bob@@b.example",
            "bob@b.example@c.example",
            "@bob@b.example@c.example",
            "acct:@bob@b.example",
            "acct:acct:bob@b.example",
            "acct://bob@b.example",
            "bob@b.example.",
            "bob@b.exam%70le",
            "b%6fb@b.example",
            "bob@",
            "@b.example",
            "bob@b.example/x",
            "bob@b.example?x",
            "bob@b.example#x",
            "bob@b.example:",
            "bob@b.example:0",
            "bob@b.example:080",
            "bob@b.example:99999",
            "bob@b.example:+80",
            "bob@b.example:80:80",
            "bob@[::1]",
            "bob@::1",
            "bob@0x7f.1",
            "bob@2130706433",
            "bob@127.1",
            "bob@b .example",
            "bob @b.example",
            "bob@b.example\n",
            "bob@b..example\0",
            "bob@xn--a.example",
            "ACCT:bob@b.example",
            "bob@b_c.example\\",
        ] {
            assert!(Handle::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_host_is_as_long_as_dns_allows() {
        // Labels of 63, 63 and 61 bytes, and one that fills the rest.
        let host = |length: usize| {
            let labels = [63, 63, 61].map(|label| "a".repeat(label)).join(".");
            format!("{labels}.{}", "a".repeat(length - labels.len() - 1))
        };
        assert_eq!(host(253).len(), 253);
        assert_eq!(Handle::parse(&format!("bob@{}", host(253))).unwrap().authority(), host(253));
        assert!(Handle::parse(&format!("bob@{}", host(254))).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(
            name in "[a-z0-9_]{1,30}",
            domain in "[a-z][a-z0-9]{0,9}(\\.[a-z][a-z0-9]{0,9}){0,3}",
            port in proptest::option::of(1u16..),
        ) {
            let text = match port {
                Some(port) => format!("@{name}@{domain}:{port}"),
                None => format!("@{name}@{domain}"),
            };
            let handle = Handle::parse(&text).unwrap();
            prop_assert_eq!(Handle::parse(&handle.to_string()), Ok(handle.clone()));
            prop_assert_eq!(Handle::parse(&handle.acct()), Ok(handle));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(acct:|@)?.{0,10}@.{0,20}") {
            if let Ok(handle) = Handle::parse(&text) {
                prop_assert_eq!(Handle::parse(&handle.to_string()), Ok(handle));
            }
        }
    }
}
