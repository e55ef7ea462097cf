//! The policy of federation: an allow list and a deny list of domains.

use eko_protocol::address::Origin;

/// The domains that this server federates with. An entry stands for its subdomains as well, and for
/// every port if it names none.
///
/// ```
/// use eko_federation::policy::FederationPolicy;
/// use eko_protocol::address::Origin;
///
/// let deny = FederationPolicy::list("b.example, c.example")?;
/// let policy = FederationPolicy { allow: vec![], deny };
/// assert!(policy.permits(&Origin::parse("https://a.example")?));
/// assert!(!policy.permits(&Origin::parse("https://chat.b.example")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FederationPolicy {
    /// The allowed domains. An empty list allows every domain.
    pub allow: Vec<String>,
    /// The denied domains. A domain on both lists is denied.
    pub deny: Vec<String>,
}

impl FederationPolicy {
    /// Reads a list of domains, such as `b.example, localhost:8081`, in any case.
    ///
    /// # Errors
    /// A text that names the first entry which is not a domain.
    pub fn list(text: &str) -> Result<Vec<String>, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| domain(entry).ok_or_else(|| format!("{entry} is no domain"))).collect()
    }

    /// True if this server sends to and accepts from the server at `origin`.
    pub fn permits(&self, origin: &Origin) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| covers(entry, origin.authority()));
        !listed(&self.deny) && (self.allow.is_empty() || listed(&self.allow))
    }
}

/// Returns an entry in the form of [`Origin::authority`]: in lower case, with A-labels, and without
/// the default port.
fn domain(entry: &str) -> Option<String> {
    let secure = Origin::parse(&format!("https://{entry}"));
    Some(secure.or_else(|_| Origin::parse(&format!("http://{entry}"))).ok()?.authority().to_owned())
}

/// True if an entry stands for the authority. An entry without a port covers every port.
fn covers(entry: &str, authority: &str) -> bool {
    let host = if entry.contains(':') { authority } else { authority.split(':').next().unwrap_or_default() };
    host == entry || host.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allow: &str, deny: &str, origin: &str) -> bool {
        let policy = FederationPolicy {
            allow: FederationPolicy::list(allow).unwrap(),
            deny: FederationPolicy::list(deny).unwrap(),
        };
        policy.permits(&Origin::parse(origin).unwrap())
    }

    #[test]
    fn lists() {
        for (allow, deny, origin, expected) in [
            ("", "", "https://b.example", true),
            ("", "b.example", "https://b.example", false),
            ("", "b.example", "https://b.example:8443", false),
            ("", "b.example", "https://deep.under.b.example", false),
            ("", "b.example", "https://notb.example", true),
            ("", "B.Example, c.example", "https://b.example", false),
            ("", "bücher.example", "https://xn--bcher-kva.example", false),
            ("b.example", "", "https://b.example", true),
            ("b.example", "", "https://x.b.example", true),
            ("b.example", "", "https://c.example", false),
            ("b.example", "x.b.example", "https://x.b.example", false),
            ("localhost:8081", "", "http://localhost:8081", true),
            ("localhost:8081", "", "http://localhost:8082", false),
            ("", "localhost", "http://localhost:8082", false),
        ] {
            assert_eq!(permits(allow, deny, origin), expected, "{allow} | {deny} | {origin}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in ["https://b.example", "b.example/x", "@b.example", "1.2.3.4", "b.example."] {
            assert!(FederationPolicy::list(text).is_err(), "{text}");
        }
        assert_eq!(FederationPolicy::list(" , ,").unwrap(), Vec::<String>::new());
    }
}
