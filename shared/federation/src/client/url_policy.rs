//! The check of URLs before they are requested.

use url::{Host, Url};

use super::{GuardRefusal, HTTPS_PORT, PrivateHosts};

/// The maximum length of a URL in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// The suffixes of names that have a meaning within one network or one machine only (RFC 6761, RFC
/// 6762, and ICANN's private-use `internal`). The address check would refuse their addresses as
/// well; with this list, no resolver is asked.
const LOCAL_SUFFIXES: &[&str] = &[".localhost", ".local", ".internal"];

/// The policy for URLs: https to public domain names. It looks at the URL only; the connector
/// checks the addresses.
///
/// ```
/// use eko_federation::client::{GuardRefusal, UrlPolicy};
///
/// let policy = UrlPolicy::default();
/// assert_eq!(policy.read("https://A.example/x#y")?.as_str(), "https://a.example/x");
/// assert!(matches!(policy.read("https://127.1/"), Err(GuardRefusal::IpLiteral { .. })));
/// assert!(matches!(policy.read("http://a.example/"), Err(GuardRefusal::Scheme { .. })));
/// # Ok::<(), GuardRefusal>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    /// If true, `http://` to `localhost`, to names under it and to 127.0.0.1 is allowed too, and
    /// their addresses must be loopback addresses. It is for local mode only.
    pub danger_allow_loopback_http: bool,
}

impl UrlPolicy {
    /// Reads and checks a URL. Returns it in normal form, without a fragment.
    ///
    /// # Errors
    /// [`GuardRefusal`] if the URL must not be requested.
    pub fn read(self, text: &str) -> Result<Url, GuardRefusal> {
        self.read_exempt(text, &PrivateHosts::default())
    }

    /// Does as [`UrlPolicy::read`]. A host of `private` may be an address or a local name.
    ///
    /// # Errors
    /// [`GuardRefusal`] if the URL must not be requested.
    pub fn read_exempt(self, text: &str, private: &PrivateHosts) -> Result<Url, GuardRefusal> {
        if text.len() > MAX_URL_BYTES {
            return Err(GuardRefusal::TooLong);
        }
        // The URL standard drops these silently, so another reader could see another URL.
        if text.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(GuardRefusal::NotAUrl);
        }
        self.check_exempt(Url::parse(text).map_err(|_| GuardRefusal::NotAUrl)?, private)
    }

    /// Checks a parsed URL. Returns it without its fragment, which is never sent.
    ///
    /// # Errors
    /// [`GuardRefusal`] if the URL must not be requested.
    pub fn check(self, url: Url) -> Result<Url, GuardRefusal> {
        self.check_exempt(url, &PrivateHosts::default())
    }

    /// Checks a parsed URL, whose host may be one of `private`.
    fn check_exempt(self, mut url: Url, private: &PrivateHosts) -> Result<Url, GuardRefusal> {
        url.set_fragment(None);
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(GuardRefusal::TooLong);
        }
        let Some(host) = url.host() else { return Err(GuardRefusal::NotAUrl) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GuardRefusal::Credentials { host: host.to_string() });
        }
        match url.scheme() {
            "https" if private.contains(&host.to_string(), url.port().unwrap_or(HTTPS_PORT)) => {}
            "https" => check_public_name(&host)?,
            "http" if self.allows_http_to(&host) => {}
            scheme => {
                return Err(GuardRefusal::Scheme { scheme: scheme.to_owned(), host: host.to_string() });
            }
        }
        Ok(url)
    }

    /// Checks the target of a redirect. A redirect from https to http is refused even in local
    /// mode: with it, a stranger could direct requests to this machine.
    pub(super) fn check_redirect(self, from: &Url, target: Url) -> Result<Url, GuardRefusal> {
        let policy =
            Self { danger_allow_loopback_http: self.danger_allow_loopback_http && from.scheme() == "http" };
        policy.check(target)
    }

    fn allows_http_to(self, host: &Host<&str>) -> bool {
        self.danger_allow_loopback_http
            && match host {
                Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
                Host::Ipv4(address) => address.octets() == [127, 0, 0, 1],
                Host::Ipv6(_) => false,
            }
    }
}

/// Checks that a host is a public domain name. The URL parser has already recognised every spelling
/// of an IPv4 address (decimal, octal, hexadecimal, short) and lower-cased names.
fn check_public_name(host: &Host<&str>) -> Result<(), GuardRefusal> {
    let Host::Domain(name) = host else { return Err(GuardRefusal::IpLiteral { host: host.to_string() }) };
    if name.ends_with('.') {
        return Err(GuardRefusal::TrailingDot { host: host.to_string() });
    }
    if !name.contains('.') || LOCAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return Err(GuardRefusal::LocalName { host: host.to_string() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: UrlPolicy = UrlPolicy { danger_allow_loopback_http: false };
    const LOCAL: UrlPolicy = UrlPolicy { danger_allow_loopback_http: true };

    #[test]
    fn public_names_under_https_pass() {
        for (text, expected) in [
            ("https://a.example/user/bob", "https://a.example/user/bob"),
            ("https://A.Example", "https://a.example/"),
            ("https://a.example:8443/x?y=z", "https://a.example:8443/x?y=z"),
            ("https://a.example/actor#main-key", "https://a.example/actor"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://localhost.example/", "https://localhost.example/"),
            ("https://local.example/", "https://local.example/"),
        ] {
            for policy in [STRICT, LOCAL] {
                assert_eq!(policy.read(text).as_ref().map(Url::as_str), Ok(expected));
            }
        }
    }

    #[test]
    fn other_urls_are_refused() {
        let ip = |host: &str| GuardRefusal::IpLiteral { host: host.to_owned() };
        let local = |host: &str| GuardRefusal::LocalName { host: host.to_owned() };
        let dot = |host: &str| GuardRefusal::TrailingDot { host: host.to_owned() };
        let credentials = || GuardRefusal::Credentials { host: "a.example".to_owned() };
        let scheme =
            |scheme: &str, host: &str| GuardRefusal::Scheme { scheme: scheme.into(), host: host.into() };
        for (text, refusal) in [
            ("https://127.0.0.1/", ip("127.0.0.1")),
            ("https://93.184.215.14/", ip("93.184.215.14")),
            ("https://2130706433/", ip("127.0.0.1")),
            ("https://0x7f000001/", ip("127.0.0.1")),
            ("https://0x7f.1/", ip("127.0.0.1")),
            ("https://0177.0.0.1/", ip("127.0.0.1")),
            ("https://127.1/", ip("127.0.0.1")),
            ("https://127.0.0.1./", ip("127.0.0.1")),
            ("https://0/", ip("0.0.0.0")),
            ("https://%31%32%37.1/", ip("127.0.0.1")),
            ("https://１２７.0.0.1/", ip("127.0.0.1")),
            ("https://127。0。0。1/", ip("127.0.0.1")),
            ("https://[::1]/", ip("[::1]")),
            ("https://[::ffff:127.0.0.1]/", ip("[::ffff:7f00:1]")),
            ("https://localhost/", local("localhost")),
            ("https://LOCALHOST:8443/", local("localhost")),
            ("https://a.localhost/", local("a.localhost")),
            ("https://printer.local/", local("printer.local")),
            ("https://metadata.google.internal/", local("metadata.google.internal")),
            ("https://intranet/", local("intranet")),
            ("https://localhost./", dot("localhost.")),
            ("https://a.example./", dot("a.example.")),
            ("https://u@a.example/", credentials()),
            ("https://u:p@a.example/", credentials()),
            ("https://:p@a.example/", credentials()),
            ("http://a.example/", scheme("http", "a.example")),
            ("http://2130706434/", scheme("http", "127.0.0.2")),
            ("ftp://a.example/", scheme("ftp", "a.example")),
            ("wss://a.example/", scheme("wss", "a.example")),
            ("file:///etc/passwd", GuardRefusal::NotAUrl),
            ("data:application/json,{}", GuardRefusal::NotAUrl),
            ("urn:uuid:0", GuardRefusal::NotAUrl),
            ("//a.example/", GuardRefusal::NotAUrl),
            ("/user/bob", GuardRefusal::NotAUrl),
            ("", GuardRefusal::NotAUrl),
            (" https://a.example/", GuardRefusal::NotAUrl),
            ("https://a.\texample/", GuardRefusal::NotAUrl),
            ("https://a.example/\r\nHost: b.example", GuardRefusal::NotAUrl),
            ("https://1.2.3.4.5/", GuardRefusal::NotAUrl),
            ("https://a.example:99999/", GuardRefusal::NotAUrl),
        ] {
            for policy in [STRICT, LOCAL] {
                assert_eq!(policy.read(text), Err(refusal.clone()), "{text:?}");
            }
        }
    }

    #[test]
    fn long_urls_are_refused_in_whatever_spelling() {
        let base = "https://a.example/";
        let fits = format!("{base}{}", "x".repeat(MAX_URL_BYTES - base.len()));
        assert!(STRICT.read(&fits).is_ok());
        assert_eq!(STRICT.read(&format!("{fits}x")), Err(GuardRefusal::TooLong));
        // Three times as long once it is escaped.
        assert_eq!(STRICT.read(&format!("{base}{}", "ä".repeat(500))), Err(GuardRefusal::TooLong));
    }

    #[test]
    fn the_switch_allows_http_to_this_machine_only() {
        for text in ["http://localhost:8080/x", "http://b.localhost/", "http://127.0.0.1:1/", "http://127.1/"]
        {
            assert!(LOCAL.read(text).is_ok(), "{text}");
            assert!(matches!(STRICT.read(text), Err(GuardRefusal::Scheme { .. })), "{text}");
        }
        for text in [
            "http://127.0.0.2/",
            "http://[::1]/",
            "http://0/",
            "http://localhost./",
            "http://localhost.example/",
        ] {
            assert!(matches!(LOCAL.read(text), Err(GuardRefusal::Scheme { .. })), "{text}");
        }
        assert!(matches!(LOCAL.read("http://u@localhost/"), Err(GuardRefusal::Credentials { .. })));
    }

    #[test]
    fn a_private_host_may_have_any_name_but_no_other_scheme() {
        let private = PrivateHosts::list("push.lan, intranet:443,10.0.0.1").unwrap();
        for good in ["https://push.lan/1", "https://PUSH.lan:8443/", "https://intranet/", "https://10.0.0.1/"]
        {
            assert!(STRICT.read_exempt(good, &private).is_ok(), "{good}");
        }
        for bad in [
            "http://push.lan/",
            "https://u@push.lan/",
            "https://x.push.lan.local/",
            "https://10.0.0.2/",
            "https://intranet:8443/",
        ] {
            assert!(STRICT.read_exempt(bad, &private).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_https_to_a_name(
            text in r"[a-z]{3,5}:[/\\]{1,3}[a-zA-Z0-9.@:\[\]%-]{0,16}/[ -~]{0,20}",
        ) {
            if let Ok(url) = STRICT.read(&text) {
                prop_assert_eq!(url.scheme(), "https");
                prop_assert!(url.domain().is_some_and(|name| name.contains('.') && !name.ends_with('.')));
                prop_assert!(url.username().is_empty() && url.password().is_none());
                prop_assert_eq!(STRICT.check(url.clone()), Ok(url));
            }
        }
    }
}
