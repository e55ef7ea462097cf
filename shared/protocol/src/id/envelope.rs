//! Envelope ids.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Builder;

use super::is_uuid;
use crate::Invalid;
use crate::address::{Origin, check_url};

/// An envelope's id, chosen by its author (`docs/protocol.md`, section 1).
///
/// ```text
/// urn:uuid:{lower-case UUID}
/// {URL without query and fragment}/message/{id}
/// ```
///
/// Two authors may choose the same id, so an id names an envelope only together with its author.
///
/// ```
/// use eko_protocol::address::Origin;
/// use eko_protocol::id::EnvelopeId;
///
/// let id = EnvelopeId::parse("https://a.example/message/1")?;
/// assert!(id.may_come_from(&Origin::parse("https://a.example")?));
/// assert!(!id.may_come_from(&Origin::parse("https://b.example")?));
///
/// assert!(EnvelopeId::parse("https://a.example/note/1").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvelopeId(String);

impl EnvelopeId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`Invalid`] if the text has neither of the two forms, or if a URL is not in its normal form,
    /// has credentials, a query or a fragment, or is longer than [`crate::limits::MAX_ID_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let valid = match text.strip_prefix("urn:uuid:") {
            Some(uuid) => is_uuid(uuid),
            None => check_url(text).is_ok_and(|url| is_message_path(url.path())),
        };
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::whole(
                "must be urn:uuid: with a lower-case UUID, or an http(s) URL that ends in /message/{id}",
            ))
        }
    }

    /// Returns the id that random bytes make: `urn:uuid:` and a UUID of version 4 (RFC 9562).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("urn:uuid:{}", Builder::from_random_bytes(bytes).into_uuid()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the origin of a URL; `None` for a `urn:uuid:`.
    pub fn origin(&self) -> Option<Origin> {
        Origin::of(&self.0)
    }

    /// True if an author on the server at `origin` may use the id: a `urn:uuid:`, or a URL under
    /// `origin`.
    pub fn may_come_from(&self, origin: &Origin) -> bool {
        self.0.starts_with("urn:") || origin.owns(&self.0)
    }
}

/// True if a path ends in `/message/{id}`.
fn is_message_path(path: &str) -> bool {
    let mut segments = path.rsplit('/');
    segments.next().is_some_and(|id| !id.is_empty()) && segments.next() == Some("message")
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

    #[test]
    fn two_forms() {
        for text in [
            "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "https://a.example/message/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "http://localhost:8080/message/x",
            "https://a.example/prefix/message/x",
        ] {
            assert_eq!(EnvelopeId::parse(text).unwrap().as_str(), text);
        }
        let long = format!("https://a.example/message/{}", "x".repeat(500));
        for text in [
            "",
            "urn:uuid:",
            "urn:uuid:0F3C9B1E-5A57-4B0E-9C39-2F6F6F0F7A11",
            "URN:UUID:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "urn:isbn:1",
            "https://a.example/message/",
            "https://a.example/message",
            "https://a.example/x",
            "https://a.example/message/x/y",
            "https://a.example/message/x#y",
            "https://a.example/message/x?y",
            "https://u@a.example/message/x",
            "https://a.example/message/x\0",
            "https://a.example/message/x y",
            "https://A.example/message/x",
            "https://a.example/nomessage/x",
            "ftp://a.example/message/x",
            &long,
        ] {
            assert!(EnvelopeId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_url_belongs_to_its_origin() {
        let origin = Origin::parse("https://a.example").unwrap();
        let may = |text: &str| EnvelopeId::parse(text).unwrap().may_come_from(&origin);
        assert!(may("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11"));
        assert!(may("https://a.example/message/x"));
        assert!(!may("https://a.example.evil.example/message/x"));
        assert_eq!(
            EnvelopeId::parse("https://b.example/message/x").unwrap().origin(),
            Origin::parse("https://b.example").ok()
        );
    }

    proptest! {
        #[test]
        fn random_bytes_make_an_id(bytes in any::<[u8; 16]>()) {
            let id = EnvelopeId::from_random(bytes);
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
