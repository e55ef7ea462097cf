//! Users as people name them on the command line, with or without the server.

use std::fmt;
use std::str::FromStr;

use eko_protocol::address::{Handle, UserName};

/// The server of a name without a host, unless the person names another: the one that `cargo run`
/// starts.
pub const DEFAULT_SERVER: &str = "http://localhost:8080";

/// A user's name, with or without the server: `alice`, `@alice`, `alice@a.example`,
/// `@alice@a.example` or `acct:alice@a.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialHandle {
    /// The user's name.
    pub user: UserName,
    /// The host, and the port if there is one; `None` if the person named no server.
    pub host: Option<String>,
}

impl FromStr for PartialHandle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("acct:").or_else(|| text.strip_prefix('@')).unwrap_or(text);
        if bare.contains('@') {
            let handle = Handle::parse(text).ok().and_then(|handle| Some((handle.user()?, handle)));
            let (user, handle) = handle.ok_or_else(|| {
                "a handle is NAME@HOST, such as @alice@a.example; a name has 1 to 30 letters, digits and _".to_owned()
            })?;
            return Ok(Self { user, host: Some(handle.authority().to_owned()) });
        }
        let user =
            UserName::parse(bare).map_err(|_| "a name has 1 to 30 letters, digits and _".to_owned())?;
        Ok(Self { user, host: None })
    }
}

impl PartialHandle {
    /// True if a person who types this means the user with a handle.
    pub(crate) fn means(&self, handle: &Handle) -> bool {
        let host = self.host.as_deref().unwrap_or(handle.authority());
        Handle::at(self.user.clone(), host).is_same(handle)
    }

    /// Returns the base URL of the user's server: `named` if given, else the URL of the host, else
    /// [`DEFAULT_SERVER`].
    pub fn server(&self, named: Option<&str>) -> String {
        match (named, &self.host) {
            (Some(named), _) => named.trim_end_matches('/').to_owned(),
            (None, Some(host)) if is_this_machine(host) => format!("http://{host}"),
            (None, Some(host)) => format!("https://{host}"),
            (None, None) => DEFAULT_SERVER.to_owned(),
        }
    }
}

impl fmt::Display for PartialHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "@{}@{host}", self.user),
            None => write!(f, "@{}", self.user),
        }
    }
}

/// True if a host is this machine, where servers have no certificates.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    name == "localhost" || name.ends_with(".localhost") || name == "127.0.0.1"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(text: &str) -> (String, Option<String>) {
        let who: PartialHandle = text.parse().unwrap();
        (who.user.to_string(), who.host)
    }

    #[test]
    fn names_and_handles() {
        for text in ["alice", "@alice", "Alice", "acct:alice"] {
            assert_eq!(who(text), ("alice".to_owned(), None), "{text}");
        }
        for text in ["alice@a.example", "@alice@a.example", "acct:alice@a.example", "@alice@A.Example"] {
            assert_eq!(who(text), ("alice".to_owned(), Some("a.example".to_owned())), "{text}");
        }
        assert_eq!(who("a@localhost:8080").1.as_deref(), Some("localhost:8080"));
        for text in ["", "@", "al ice", "alice@", "@@alice", "alice@b@c", "a/b", "alice@http://x", "é"] {
            assert!(text.parse::<PartialHandle>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_meant_in_any_case() {
        let handle = Handle::parse("@Me@example.org").unwrap();
        let means = |text: &str| text.parse::<PartialHandle>().unwrap().means(&handle);
        assert!(means("me") && means("@me@example.org") && means("ME@Example.org"));
        assert!(!means("you") && !means("@me@a.example"));
    }

    #[test]
    fn servers() {
        for (who, named, server) in [
            ("alice", None, DEFAULT_SERVER),
            ("alice", Some("https://a.example/"), "https://a.example"),
            ("alice@b.example", Some("https://a.example"), "https://a.example"),
            ("alice@b.example", None, "https://b.example"),
            ("alice@b.example:8443", None, "https://b.example:8443"),
            ("alice@localhost:8081", None, "http://localhost:8081"),
            ("alice@b.localhost:8081", None, "http://b.localhost:8081"),
            ("alice@127.0.0.1:8081", None, "http://127.0.0.1:8081"),
            ("alice@localhost.example", None, "https://localhost.example"),
        ] {
            assert_eq!(who.parse::<PartialHandle>().unwrap().server(named), server, "{who} {named:?}");
        }
    }
}
