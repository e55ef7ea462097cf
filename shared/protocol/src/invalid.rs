//! The error of the decoders: a fault in a document, with its place.

use std::borrow::Cow;
use std::fmt;

/// A value that breaks a rule of the protocol. The server answers it with HTTP 422.
///
/// ```
/// use eko_protocol::Invalid;
///
/// let fault = Invalid::whole("must be a string").under("/to").under("/object/messages/0");
/// assert_eq!(fault.pointer, "/object/messages/0/to");
/// assert_eq!(fault.to_string(), "/object/messages/0/to: must be a string");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The RFC 6901 pointer to the member at fault. It is empty if the whole document is at fault.
    pub pointer: String,
    /// The rule that the member breaks, for the developer of the client.
    pub detail: String,
}

impl Invalid {
    /// Creates a fault of the member at `pointer`.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// Creates a fault of a value whose place in the document is not known here. The caller adds
    /// the place with [`Invalid::under`].
    pub fn whole(detail: impl Into<String>) -> Self {
        Self::at("", detail)
    }

    /// Returns the fault in words for a person, who knows no pointers: the member's name and the rule.
    ///
    /// ```
    /// use eko_protocol::Invalid;
    ///
    /// let fault = Invalid::at("/object/eko:keys/0", "must be a string");
    /// assert_eq!(fault.in_words(), "keys must be a string");
    /// assert_eq!(Invalid::whole("is too long").in_words(), "is too long");
    /// ```
    pub fn in_words(&self) -> String {
        let is_name = |token: &&str| !token.is_empty() && !token.bytes().all(|byte| byte.is_ascii_digit());
        match self.pointer.rsplit('/').find(is_name) {
            Some(name) => format!("{} {}", name.rsplit(':').next().unwrap_or(name), self.detail),
            None => self.detail.clone(),
        }
    }

    /// Moves the fault into a larger document, in which the value is at the pointer `prefix`.
    #[must_use]
    pub fn under(self, prefix: impl AsRef<str>) -> Self {
        Self { pointer: format!("{}{}", prefix.as_ref(), self.pointer), detail: self.detail }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            f.write_str(&self.detail)
        } else {
            write!(f, "{}: {}", self.pointer, self.detail)
        }
    }
}

impl std::error::Error for Invalid {}

/// Escapes a member's name as a reference token of an RFC 6901 pointer.
pub(crate) fn token(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_before_the_pointer() {
        let fault = Invalid::at("/to", "must be a string").under("/object/messages/0");
        assert_eq!(fault, Invalid::at("/object/messages/0/to", "must be a string"));
        assert_eq!(fault.to_string(), "/object/messages/0/to: must be a string");
        assert_eq!(Invalid::whole("must be an object").to_string(), "must be an object");
    }

    #[test]
    fn tokens_are_escaped() {
        assert_eq!(token("a/b~c"), "a~1b~0c");
        assert_eq!(token("eko:deviceSet"), "eko:deviceSet");
    }
}
