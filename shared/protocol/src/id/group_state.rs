//! Ids of group states.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Builder;

use super::is_uuid;
use crate::Invalid;

/// The id under which a user's devices keep the state of one group at their server: a UUID in
/// lower-case hyphenated form (`docs/protocol.md`, section 9).
///
/// The devices derive it from the group's id and a secret of their own, so that the server cannot
/// see which of its users are in the same group.
///
/// ```
/// use eko_protocol::id::GroupStateId;
///
/// assert!(GroupStateId::parse("8d2f6b7c-1a2e-8d40-9c39-2f6f6f0f7a11").is_ok());
/// assert!(GroupStateId::parse("urn:uuid:8d2f6b7c-1a2e-8d40-9c39-2f6f6f0f7a11").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupStateId(String);

impl GroupStateId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`Invalid`] if the text is not a lower-case hyphenated UUID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match is_uuid(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(Invalid::whole("must be a UUID in lower case with hyphens")),
        }
    }

    /// Returns the id that the bytes of a MAC make: a UUID of version 8 (RFC 9562).
    pub fn from_mac(bytes: [u8; 16]) -> Self {
        Self(Builder::from_custom_bytes(bytes).into_uuid().to_string())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupStateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for GroupStateId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<GroupStateId> for String {
    fn from(id: GroupStateId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mac_makes_an_id(bytes in any::<[u8; 16]>()) {
            let id = GroupStateId::from_mac(bytes);
            prop_assert_eq!(GroupStateId::parse(id.as_str()), Ok(id));
        }

        #[test]
        fn one_spelling_only(text in "[0-9a-fA-F-]{34,38}|.{0,40}") {
            if let Ok(id) = GroupStateId::parse(&text) {
                prop_assert_eq!(uuid::Uuid::parse_str(id.as_str()).unwrap().to_string(), text);
            }
        }
    }
}
