//! Whom this server federates with: an allow list or a deny list of domains.

use eko_protocol::address::Origin;

/// Domains that are allowed or denied; each stands for the names under it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FederationPolicy {
    /// Only these, where it is not empty.
    pub allow: Vec<String>,
    /// Never these, even where they are allowed.
    pub deny: Vec<String>,
}

impl FederationPolicy {
    /// Reads comma-separated domains, `b.example` or `localhost:8081`; the case does not matter.
    ///
    /// # Errors
    /// The entry that is no domain.
    pub fn list(text: &str) -> Result<Vec<String>, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| domain(entry).ok_or_else(|| format!("{entry} is no domain"))).collect()
    }

    /// Whether a server may be talked to, and listened to.
    pub fn permits(&self, origin: &Origin) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| covers(entry, origin.authority()));
        !listed(&self.deny) && (self.allow.is_empty() || listed(&self.allow))
    }
}

/// A domain in the form that origins have it: lower case, A-labels, a port only where it is not the usual one.
fn domain(entry: &str) -> Option<String> {
    let secure = Origin::parse(&format!("https://{entry}"));
    Some(secure.or_else(|_| Origin::parse(&format!("http://{entry}"))).ok()?.authority().to_owned())
}

/// An entry without a port covers every port.
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
