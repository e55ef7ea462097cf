//! Device ids.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Builder;

use super::is_uuid;
use crate::Invalid;

/// The nil UUID. It is refused, because a client sends it if it forgets to draw an id.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// A device's id: a UUID in lower-case hyphenated form, drawn by the device (`docs/protocol.md`,
/// section 1).
///
/// An id is unique within its user, for ever. Two users' devices may have the same id, so stored
/// keys carry the user as well.
///
/// ```
/// use eko_protocol::id::DeviceId;
///
/// assert!(DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").is_ok());
/// assert!(DeviceId::parse("0F3C9B1E-5A57-4B0E-9C39-2F6F6F0F7A11").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`Invalid`] if the text is not a lower-case hyphenated UUID, or if it is the nil UUID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_uuid(text) && text != NIL {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::whole("must be a UUID in lower case with hyphens, and not the nil UUID"))
        }
    }

    /// Returns the id that random bytes make: a UUID of version 4 (RFC 9562).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_spelling_only() {
        for text in [
            "",
            NIL,
            "0F3C9B1E-5A57-4B0E-9C39-2F6F6F0F7A11",
            "0f3c9b1e5a574b0e9c392f6f6f0f7a11",
            "{0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11}",
            "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a1",
            "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a111",
            "0f3c9b1e-5a57-4b0e-9c392-f6f6f0f7a11",
            "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a1g",
            "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a1\n",
        ] {
            assert!(DeviceId::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_make_an_id(bytes in any::<[u8; 16]>()) {
            let id = DeviceId::from_random(bytes);
            prop_assert_eq!(DeviceId::parse(id.as_str()), Ok(id));
        }

        #[test]
        fn round_trip(bits in 1u128..) {
            let text = uuid::Uuid::from_u128(bits).to_string();
            let id = DeviceId::parse(&text).unwrap();
            prop_assert_eq!(id.as_str(), &text);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<DeviceId>(&json).unwrap(), id);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[0-9a-fA-F-]{34,38}|.{0,40}") {
            if let Ok(id) = DeviceId::parse(&text) {
                prop_assert_eq!(uuid::Uuid::parse_str(id.as_str()).unwrap().to_string(), text);
            }
        }
    }
}
