//! The choice between signatures of both schemes on one request: a proxy may sign what passes by the
//! other scheme than the sender. Both schemes use the header `Signature`.
//!
//! ```text
//! Signature: keyId="https://b.example/user/alice#main-key",headers="…",signature="…"   draft-cavage
//! Signature: proxy=:…:                                                                 RFC 9421
//! Signature: keyId="…",headers="…",signature="…", proxy=:…:          as some gateways join them
//! ```

use crate::address::Origin;

/// The content of the header `Signature`, by scheme.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SignatureParts {
    /// The signatures by RFC 9421: a dictionary.
    pub(super) rfc9421: String,
    /// The signature by draft-cavage: its parameters; `None` if there is none.
    pub(super) cavage: Option<String>,
}

impl SignatureParts {
    /// Separates the schemes. A member whose value begins with a colon, as base64 does in RFC 9421,
    /// is of that scheme; the others are parameters of draft-cavage if `keyId` is among them.
    pub(super) fn split(header: &str) -> Self {
        let is_rfc9421 = |member: &&str| {
            member
                .split_once('=')
                .is_some_and(|(_, value)| value.trim_start_matches([' ', '\t']).starts_with(':'))
        };
        let (rfc9421, cavage): (Vec<&str>, Vec<&str>) = members(header).into_iter().partition(is_rfc9421);
        match cavage.iter().any(|member| member.split('=').next() == Some("keyId")) {
            true => Self { rfc9421: rfc9421.join(", "), cavage: Some(cavage.join(",")) },
            false => Self { rfc9421: header.to_owned(), cavage: None },
        }
    }
}

/// Splits a header at the commas outside its strings.
fn members(header: &str) -> Vec<&str> {
    let (mut in_string, mut escaped) = (false, false);
    let ends_member = |c: char| {
        let is_escaped = escaped;
        escaped = in_string && c == '\\' && !is_escaped;
        if c == '"' && !is_escaped {
            in_string = !in_string;
        }
        c == ',' && !in_string
    };
    header.split(ends_member).map(|member| member.trim_matches([' ', '\t'])).collect()
}

/// The place of a key, seen from the actor whose signature is wanted. A later one counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPlace {
    /// Another server, or no address.
    Elsewhere,
    /// The actor's server.
    Server,
    /// The actor's own document.
    Document,
}

impl KeyPlace {
    /// Returns the place of the key with this id.
    pub(super) fn of(key_id: &str, actor: &str) -> Self {
        let document = key_id.split('#').next().unwrap_or_default();
        let server = Origin::of(actor);
        if document == actor {
            Self::Document
        } else if server.is_some() && Origin::of(document) == server {
            Self::Server
        } else {
            Self::Elsewhere
        }
    }
}
