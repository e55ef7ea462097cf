//! Handles: a user's name together with the domain of the user's server.

use std::fmt;

use url::Host;

use super::UserName;
use crate::Invalid;
use crate::limits::MAX_HANDLE_NAME_BYTES;

/// A handle (`docs/protocol.md`, section 1).
///
/// ```text
/// ["acct:" | "@"] name "@" domain [":" port]
/// ```
///
/// The name is a `userpart` of RFC 7565, section 7, and is kept as it was written: only its own
/// server knows which names are equal. On an Eko server it is a [`UserName`]. The domain is in the form that DNS uses: lower case, and A-labels for
/// international names (IDNA). A port is kept unless it is 443; only servers of local mode have
/// one.
///
/// ```
/// use eko_protocol::address::Handle;
///
/// let handle = Handle::parse("acct:Bob.Smith@Bücher.example")?;
/// assert_eq!(handle.name(), "Bob.Smith");
/// assert_eq!(handle.user(), None);
/// assert_eq!(handle.authority(), "xn--bcher-kva.example");
/// assert_eq!(handle.to_string(), "@Bob.Smith@xn--bcher-kva.example");
///
/// assert!(Handle::parse("bob").is_err());
/// assert!(Handle::parse("bob@b.example@c.example").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    name: String,
    authority: String,
}

impl Handle {
    /// Reads a handle in any of its three forms.
    ///
    /// # Errors
    /// [`Invalid`] if the text has more or fewer `@`, a trailing dot, an IP address in an unusual
    /// spelling, a port that is not a number from 1 to 65535 in its shortest spelling, or a name
    /// that is no `userpart` or has more than [`MAX_HANDLE_NAME_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fault = || Invalid::whole("must be a handle: @name@domain or acct:name@domain");
        // The name of a scheme has no case (RFC 3986, section 3.1).
        let bare = match text.split_at_checked("acct:".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("acct:") => rest,
            _ => text.strip_prefix('@').unwrap_or(text),
        };
        let (name, domain) = bare.split_once('@').ok_or_else(fault)?;
        if !is_userpart(name) || name.len() > MAX_HANDLE_NAME_BYTES {
            return Err(fault());
        }
        let authority = authority(domain).ok_or_else(fault)?;
        Ok(Self { name: name.to_owned(), authority })
    }

    /// Creates the handle of a user on the server at `origin`.
    pub fn new(name: UserName, origin: &super::Origin) -> Self {
        Self { name: name.into(), authority: origin.authority().to_owned() }
    }

    /// Creates the handle of a user at the domain `authority`, which may be another one than the server's.
    ///
    /// ```
    /// use eko_protocol::address::{Handle, UserName};
    ///
    /// let me = Handle::at(UserName::parse("me")?, "example.org");
    /// assert!(me.is_same(&Handle::parse("@Me@example.org")?) && !me.is_same(&Handle::parse("@me@a.example")?));
    /// # Ok::<(), eko_protocol::Invalid>(())
    /// ```
    pub fn at(name: UserName, authority: &str) -> Self {
        Self { name: name.into(), authority: authority.to_owned() }
    }

    /// True if two handles name the same user: names are compared without regard to case, as the
    /// servers of this protocol and most others do.
    pub fn is_same(&self, other: &Self) -> bool {
        self.authority == other.authority && self.name.eq_ignore_ascii_case(&other.name)
    }

    /// Returns the user's name on its server, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name as an Eko server's, or `None` if no such server has this name.
    pub fn user(&self) -> Option<UserName> {
        UserName::parse(&self.name).ok()
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

/// True if a text is a `userpart` (RFC 7565, section 7): unreserved characters, sub-delimiters and
/// percent-encoded bytes, of which the first is not percent-encoded.
fn is_userpart(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte);
    let mut bytes = text.bytes();
    if !bytes.next().is_some_and(|first| plain(&first)) {
        return false;
    }
    while let Some(byte) = bytes.next() {
        let is_hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
        let fits = plain(&byte) || (byte == b'%' && is_hex(bytes.next()) && is_hex(bytes.next()));
        if !fits {
            return false;
        }
    }
    true
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
        for text in [
            "@bob@b.example",
            "acct:bob@b.example",
            "Acct:bob@b.example",
            "bob@B.Example",
            "bob@b.example:443",
        ] {
            let handle = Handle::parse(text).unwrap();
            assert_eq!((handle.name(), handle.authority()), ("bob", "b.example"), "{text}");
            assert_eq!(handle.to_string(), "@bob@b.example");
            assert_eq!(handle.acct(), "acct:bob@b.example");
        }
        assert_eq!(Handle::parse("bob@localhost:8080").unwrap().authority(), "localhost:8080");
        assert_eq!(Handle::parse("bob@127.0.0.1:8080").unwrap().authority(), "127.0.0.1:8080");
    }

    /// Names of other software: our rules for names are not theirs.
    #[test]
    fn a_name_is_kept_as_it_is_written() {
        let long = "x".repeat(MAX_HANDLE_NAME_BYTES);
        for name in ["first.last", "MixedCase", &"a".repeat(40), "a-b", "a+b", "o'neil", "a%20b", "~x", &long]
        {
            let handle = Handle::parse(&format!("@{name}@b.example")).unwrap();
            assert_eq!(handle.name(), name);
            assert_eq!(handle.acct(), format!("acct:{name}@b.example"));
        }
        assert_eq!(Handle::parse("@Bob@b.example").unwrap().user().unwrap().as_str(), "bob");
        assert_eq!(Handle::parse("@first.last@b.example").unwrap().user(), None);
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
            "%62ob@b.example",
            "b%6@b.example",
            "b%6gb@b.example",
            "b/b@b.example",
            "b:b@b.example",
            "bö@b.example",
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
            name in "[a-zA-Z0-9_.~+-]{1,60}",
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
