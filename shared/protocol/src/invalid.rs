use std::borrow::Cow;
use std::fmt;

/// A value that breaks a rule of the contract: where, and which. The server answers it as HTTP 422.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// RFC 6901 pointer to the member at fault; empty for the whole document.
    pub pointer: String,
    /// What is wrong with it, for the person who wrote the client.
    pub detail: String,
}

impl Invalid {
    /// The member at `pointer` is wrong.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The value as a whole is wrong; whoever knows its place adds it with [`Invalid::under`].
    pub fn whole(detail: impl Into<String>) -> Self {
        Self::at("", detail)
    }

    /// The same fault, seen from a document that holds the value at `prefix`.
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

/// One reference token of an RFC 6901 pointer, escaped.
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
