//! Envelope ids.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use uuid::Builder;

use super::is_uuid;
use crate::Invalid;
use crate::address::Origin;
use crate::limits::MAX_ID_BYTES;

const URN: &str = "urn:uuid:";

/// An envelope's id, chosen by its author (`docs/protocol.md`, section 1).
///
/// ```text
/// ORIGIN/message/{id}          of the clients of the server at ORIGIN, with a UUID as the id
/// {any URL}                    of other servers, on the author's origin
/// urn:uuid:{UUID}              of anyone
/// ```
///
/// A URL is compared byte by byte, and means nothing beyond its origin. A `urn:uuid:` is the same in
/// upper and lower case (RFC 8141, section 3.1; RFC 9562, section 4); the author's spelling is kept
/// for the author. Two authors may choose the same id, so an id names an envelope only together with
/// its author.
///
/// ```
/// use eko_protocol::address::Origin;
/// use eko_protocol::id::EnvelopeId;
///
/// let (a, b) = (Origin::parse("https://a.example")?, Origin::parse("https://b.example")?);
/// let id = EnvelopeId::parse("https://a.example/objects?id=1#envelope")?;
/// assert!(id.may_come_from(&a));
/// assert!(!id.may_come_from(&b));
///
/// // A client's id names nothing else of its server.
/// assert!(!id.may_be_of_client(&a));
/// assert!(EnvelopeId::from_random(&a, [7; 16]).may_be_of_client(&a));
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvelopeId(String);

impl EnvelopeId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`Invalid`] if the text is neither `urn:uuid:` with a UUID nor an opaque URL
    /// ([`Origin::of_opaque`]).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let valid = match is_urn(text) {
            true => text.to_ascii_lowercase().strip_prefix(URN).is_some_and(is_uuid),
            false => Origin::of_opaque(text).is_some(),
        };
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::whole(format!(
                "must be an https URL of at most {MAX_ID_BYTES} bytes, or urn:uuid: with a UUID"
            )))
        }
    }

    /// Returns the id that random bytes make for a client of the server at `origin`: a UUID of
    /// version 4 (RFC 9562) under it.
    pub fn from_random(origin: &Origin, bytes: [u8; 16]) -> Self {
        Self(origin.message(&Builder::from_random_bytes(bytes).into_uuid()))
    }

    /// Returns the id that the first bytes of a hash make for a client of the server at `origin`: a UUID
    /// of version 8 (RFC 9562) under it.
    pub fn from_hash(origin: &Origin, bytes: [u8; 16]) -> Self {
        Self(origin.message(&Builder::from_custom_bytes(bytes).into_uuid()))
    }

    /// Returns the id as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text that equal ids have in common, by which envelopes are told apart.
    pub fn key(&self) -> Cow<'_, str> {
        match is_urn(&self.0) && self.0.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(self.0.to_ascii_lowercase()),
            false => Cow::Borrowed(&self.0),
        }
    }

    /// True if an author on the server at `origin` may use the id: a `urn:uuid:`, or a URL on that
    /// origin.
    pub fn may_come_from(&self, origin: &Origin) -> bool {
        is_urn(&self.0) || Origin::of_opaque(&self.0).as_ref() == Some(origin)
    }

    /// True if a client of the server at `origin` may use the id: a `urn:uuid:`, or
    /// `ORIGIN/message/{id}` with letters, digits, `-` and `_`. Every other URL there is the
    /// server's own.
    pub fn may_be_of_client(&self, origin: &Origin) -> bool {
        let is_name = |name: &str| {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            !name.is_empty() && name.bytes().all(is_plain)
        };
        is_urn(&self.0) || origin.message_name(&self.0).is_some_and(is_name)
    }
}

/// True if a text begins with `urn:uuid:`, in whatever case.
fn is_urn(text: &str) -> bool {
    text.get(..URN.len()).is_some_and(|start| start.eq_ignore_ascii_case(URN))
}

impl PartialEq for EnvelopeId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for EnvelopeId {}

impl PartialOrd for EnvelopeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EnvelopeId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for EnvelopeId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EnvelopeId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<EnvelopeId> for String {
    fn from(id: EnvelopeId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin() -> Origin {
        Origin::parse("https://a.example").unwrap()
    }

    #[test]
    fn urls_and_uuids() {
        for text in [
            "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "https://a.example/message/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "http://localhost:8080/message/x",
            "https://a.example/objects/1?x=%20&y#z",
            "https://a.example/",
            "URN:UUID:0F3C9B1E-5A57-4B0E-9C39-2F6F6F0F7A11",
        ] {
            assert_eq!(EnvelopeId::parse(text).unwrap().as_str(), text);
        }
        let of_length = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert!(EnvelopeId::parse(&of_length(512)).is_ok());
        for text in [
            "",
            "urn:uuid:",
            "urn:uuid:0f3c9b1e5a574b0e9c392f6f6f0f7a11",
            "URN:UUID:",
            "urn:isbn:1",
            "https://u@a.example/message/x",
            "https://a.example/message/x\0",
            "https://a.example/message/x y",
            "http://a.example/message/x",
            "ftp://a.example/message/x",
            &of_length(513),
        ] {
            assert!(EnvelopeId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_uuid_is_the_same_in_upper_and_lower_case() {
        let of = |text: &str| EnvelopeId::parse(text).unwrap();
        let lower = of("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11");
        for text in [
            "urn:uuid:0F3C9B1E-5A57-4B0E-9C39-2F6F6F0F7A11",
            "URN:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "urn:UUID:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7A11",
        ] {
            let id = of(text);
            assert_eq!((&id, id.key()), (&lower, lower.key()));
            assert_eq!(std::collections::HashSet::from([id.clone(), lower.clone()]).len(), 1);
            assert_eq!(id.cmp(&lower), Ordering::Equal);
            assert_eq!(id.as_str(), text, "as its author wrote it");
            assert!(id.may_come_from(&origin()) && id.may_be_of_client(&origin()));
        }
        assert_ne!(of("https://a.example/message/a"), of("https://a.example/message/A"));
    }

    #[test]
    fn a_url_belongs_to_its_origin() {
        let may = |text: &str| EnvelopeId::parse(text).unwrap().may_come_from(&origin());
        assert!(may("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11"));
        assert!(may("https://a.example/message/x"));
        assert!(may("https://a.example/objects?id=1#x"));
        assert!(!may("https://a.example.evil.example/message/x"));
        assert!(!may("https://b.example/message/x"));
        assert!(!may("https://a.example:8443/message/x"));
    }

    #[test]
    fn a_client_names_nothing_else() {
        let may = |text: &str| EnvelopeId::parse(text).unwrap().may_be_of_client(&origin());
        assert!(may("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11"));
        assert!(may("https://a.example/message/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11"));
        for text in [
            "https://a.example/user/bob",
            "https://a.example/activity/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "https://a.example/message/",
            "https://a.example/message/x/y",
            "https://a.example/message/x?y",
            "https://a.example/message/x#y",
            "https://a.example/message/../user",
            "https://A.example/message/x",
            "https://b.example/message/x",
        ] {
            assert!(!may(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_make_an_id(bytes in any::<[u8; 16]>()) {
            let id = EnvelopeId::from_random(&origin(), bytes);
            prop_assert!(id.may_be_of_client(&origin()) && id.may_come_from(&origin()));
            prop_assert_eq!(EnvelopeId::parse(id.as_str()), Ok(id));
        }

        #[test]
        fn round_trip(bits in any::<u128>(), id in "[A-Za-z0-9_-]{1,60}") {
            for text in [format!("urn:uuid:{}", uuid::Uuid::from_u128(bits)),
            format!("https://a.example/message/{id}")] {
                let read = EnvelopeId::parse(&text).unwrap();
                let json = serde_json::to_string(&read).unwrap();
                prop_assert_eq!(String::from(serde_json::from_str::<EnvelopeId>(&json).unwrap()), text);
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(urn:uuid:|https://).{0,50}") {
            let _ = EnvelopeId::parse(&text);
        }
    }
}
