//! User names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::limits::MAX_USER_NAME_CHARS;

/// A user's name: `[a-z0-9_]{1,30}` (`docs/protocol.md`, section 1). It is read in any case and
/// kept in lower case.
///
/// ```
/// use eko_protocol::address::UserName;
///
/// assert_eq!(UserName::parse("Alice_01")?.as_str(), "alice_01");
/// assert!(UserName::parse("al-ice").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Reads a name in any case.
    ///
    /// # Errors
    /// [`Invalid`] if the text is empty, has more than [`MAX_USER_NAME_CHARS`] characters, or holds
    /// another character than an ASCII letter, an ASCII digit or `_`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = (1..=MAX_USER_NAME_CHARS).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid::whole("must be 1 to 30 of the characters a-z, 0-9 and _"))
        }
    }

    /// Reads a name from an address. A name with upper-case letters is `None`: the address would be
    /// a second spelling.
    pub(crate) fn parse_exact(text: &str) -> Option<Self> {
        Self::parse(text).ok().filter(|name| name.0 == text)
    }

    /// Returns the name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UserName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_does_not_count() {
        assert_eq!(UserName::parse("Alice_01").unwrap().as_str(), "alice_01");
        assert_eq!(UserName::parse("ALICE"), UserName::parse("alice"));
        assert_eq!(UserName::parse_exact("Alice"), None);
    }

    #[test]
    fn other_characters_are_refused() {
        let long = "a".repeat(31);
        for text in [
            "", "a b", "a-b", "a.b", "ä", "ａlice", "alice\n", "a\0", "alıce", "а", "\u{212a}", "..", "%61",
            &long,
        ] {
            assert!(UserName::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(text in "[A-Za-z0-9_]{1,30}") {
            let name = UserName::parse(&text).unwrap();
            prop_assert_eq!(name.as_str(), text.to_ascii_lowercase());
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<UserName>(&json).unwrap(), name);
        }

        #[test]
        fn never_longer_or_stranger(text in ".{0,40}") {
            if let Ok(name) = UserName::parse(&text) {
                prop_assert!(name.as_str().bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')));
                prop_assert!((1..=30).contains(&name.as_str().len()));
            }
        }
    }
}
