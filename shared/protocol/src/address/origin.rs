//! Origins: the public bases of servers.

use std::fmt;

use url::{Host, Url};

use super::check_url;
use crate::Invalid;
use crate::limits::MAX_ID_BYTES;

/// The public base of a server: `https://DOMAIN`, or `http://localhost:PORT` in local mode
/// (`docs/protocol.md`, section 1).
///
/// Every id of a server starts with its origin. This type makes those ids and recognises them by
/// exact text; see the methods in `address/path.rs`.
///
/// ```
/// use eko_protocol::address::{Origin, UserName};
///
/// let origin = Origin::parse("https://A.example:443")?;
/// assert_eq!(origin.as_str(), "https://a.example");
///
/// let bob = UserName::parse("bob")?;
/// assert_eq!(origin.actor(&bob), "https://a.example/user/bob");
/// assert_eq!(origin.parse_actor("https://a.example/user/bob"), Some(bob));
/// assert_eq!(origin.parse_actor("https://a.example/user/Bob"), None);
///
/// assert!(Origin::parse("http://a.example").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    text: String,
    authority: String,
}

impl Origin {
    /// Reads an origin as an operator configures it. Upper case and a default port are normalised.
    ///
    /// # Errors
    /// [`Invalid`] if the text has a path (a trailing slash is one), a query, a fragment or
    /// credentials; if the host is an IP address; or if the scheme is http and the host is not this
    /// machine (`localhost`, a name under it, `127.0.0.1`).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fault = || Invalid::whole("must be https://DOMAIN, or http://localhost:PORT in local mode");
        if text.contains(['%', '@', '?', '#', '\\'])
            || text.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(fault());
        }
        let url = Url::parse(text).map_err(|_| fault())?;
        let has_path = text.split_once("://").is_none_or(|(_, rest)| rest.contains('/'));
        if has_path { Err(fault()) } else { Self::from_url(&url).ok_or_else(fault) }
    }

    /// Returns the origin of an id or address of any server. It is `None` if the text is not a URL
    /// in normal form (`docs/protocol.md`, section 1), or if [`Origin::parse`] would refuse its
    /// scheme and host.
    pub fn of(url: &str) -> Option<Self> {
        check_url(url).ok().and_then(|url| Self::from_url(&url))
    }

    /// Returns the origin of an opaque id: a URL that is compared byte by byte and never fetched
    /// (`docs/protocol.md`, section 1). It has at most [`MAX_ID_BYTES`] bytes, and may have query,
    /// fragment and escapes behind its authority. `None` for any other text, and for the schemes
    /// and hosts that [`Origin::parse`] refuses.
    ///
    /// ```
    /// use eko_protocol::address::Origin;
    ///
    /// let origin = Origin::of_opaque("https://a.example/objects?id=%31#create");
    /// assert_eq!(origin.unwrap().as_str(), "https://a.example");
    /// assert!(Origin::of_opaque("https://u@a.example/objects/1").is_none());
    /// ```
    pub fn of_opaque(id: &str) -> Option<Self> {
        if id.len() > MAX_ID_BYTES || !id.bytes().all(|b| b.is_ascii_graphic()) || id.contains('\\') {
            return None;
        }
        let (_, rest) = id.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        // Readers of URLs differ in what they make of an escaped host and of credentials.
        if authority.is_empty() || authority.contains(['%', '@']) {
            return None;
        }
        Self::from_url(&Url::parse(id).ok()?)
    }

    fn from_url(url: &Url) -> Option<Self> {
        let host = url.host()?;
        let host_text = host.to_string();
        let allowed = match (url.scheme(), host) {
            ("https", Host::Domain(name)) => !name.ends_with('.'),
            ("http", Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            ("http", Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
            _ => false,
        };
        if !allowed {
            return None;
        }
        let authority = match url.port() {
            Some(port) => format!("{host_text}:{port}"),
            None => host_text,
        };
        Some(Self { text: format!("{}://{authority}", url.scheme()), authority })
    }

    /// Returns the base without a trailing slash, such as `https://a.example`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host, with the port if it is not the scheme's default. It is the domain of the
    /// handles of this server's users.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the host without the port.
    pub fn host(&self) -> &str {
        host_of(&self.authority)
    }
}

/// Returns an authority without its port, if it has one.
///
/// ```
/// use eko_protocol::address::host_of;
///
/// assert_eq!(host_of("b.example:8443"), "b.example");
/// assert_eq!(host_of("[::1]"), "[::1]");
/// ```
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_opaque_id_has_an_origin() {
        for id in [
            "https://a.example",
            "https://a.example/",
            "https://a.example/objects/1",
            "https://a.example/users/x?id=1&y=%20#create/1",
            "https://a.example#1",
            "https://a.example?1",
            "https://a.example/a/../b//c",
            "https://A.example:443/x",
        ] {
            assert_eq!(Origin::of_opaque(id), Origin::parse("https://a.example").ok(), "{id}");
        }
        assert_eq!(
            Origin::of_opaque("http://localhost:8080/x#y"),
            Origin::parse("http://localhost:8080").ok()
        );
        let long = format!("https://a.example/{}", "x".repeat(MAX_ID_BYTES));
        for id in [
            "",
            "https://",
            "https:///a.example/x",
            "https:a.example/x",
            "//a.example/x",
            "http://a.example/x",
            "ftp://a.example/x",
            "https://127.0.0.1/x",
            "https://u@a.example/x",
            "https://%61.example/x",
            "https://a.example/x y",
            "https://a.example/ä",
            "https://a.example\\x",
            "https://a.example/x\n",
            "https://a.example./x",
            "urn:uuid:https://a.example/x",
            "x:https://a.example/x",
            &long,
        ] {
            assert_eq!(Origin::of_opaque(id), None, "{id:?}");
        }
    }

    #[test]
    fn origins_are_normalised() {
        for (text, expected, authority) in [
            ("https://a.example", "https://a.example", "a.example"),
            ("https://A.Example:443", "https://a.example", "a.example"),
            ("https://a.example:8443", "https://a.example:8443", "a.example:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("http://localhost:8080", "http://localhost:8080", "localhost:8080"),
            ("http://b.localhost:8080", "http://b.localhost:8080", "b.localhost:8080"),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081", "127.0.0.1:8081"),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!((origin.as_str(), origin.authority()), (expected, authority));
            assert_eq!(Origin::parse(origin.as_str()), Ok(origin));
        }
    }

    #[test]
    fn other_bases_are_refused() {
        for text in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example?x",
            "https://a.example#x",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example.",
            "http://a.example",
            "http://localhost.",
            "ftp://a.example",
            "https://1.2.3.4",
            "https://[::1]",
            "http://[::1]:80",
            "http://2130706434",
            "http://0.0.0.0:80",
            "https:a.example",
            "https:/a.example",
            "https:\\\\a.example",
            "https://a.exam%70le",
            " https://a.example",
            "https://a.\texample",
            "wss://a.example",
        ] {
            assert!(Origin::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_origin_of_an_id() {
        assert_eq!(Origin::of("https://a.example/user/bob"), Origin::parse("https://a.example").ok());
        for text in [
            "https://a.example@b.example/x",
            "https://a.example/x?y",
            "http://a.example/x",
            "urn:uuid:0",
            "https://1.2.3.4/x",
        ] {
            assert_eq!(Origin::of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in r"https?://[a-zA-Z0-9.:-]{1,20}") {
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert_eq!(Origin::parse(origin.as_str()), Ok(origin.clone()));
                prop_assert_eq!(Origin::of(&format!("{origin}/user/bob")), Some(origin));
            }
        }
    }
}
