//! The user who signs in, known by the name that was typed.

/// A name of 1 to 64 lower-case letters, digits, dots, hyphens and underscores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IssuerSubject(String);

impl IssuerSubject {
    /// Parses a name as it was typed. Removes spaces around it, and makes capitals small.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let name = typed.trim().to_ascii_lowercase();
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        (1..=64).contains(&name.len()).then_some(())?;
        name.bytes().all(plain).then_some(Self(name))
    }

    /// Returns the name.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// Returns the `sub` claim, which depends on the name alone.
    pub(super) fn sub(&self) -> String {
        format!("dev|{}", self.0)
    }

    /// Returns an e-mail address that gets no mail, because `.localhost` is reserved (RFC 2606).
    pub(super) fn email(&self) -> String {
        format!("{}@eko.localhost", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_folded() {
        for (typed, name) in [("alice", Some("alice")), ("  Bob_2 ", Some("bob_2")), ("a.b-c", Some("a.b-c"))]
        {
            assert_eq!(IssuerSubject::parse(typed).as_ref().map(IssuerSubject::name), name);
        }
        for typed in ["", "  ", "a b", "ä", "<b>", "a|b", &"x".repeat(65)] {
            assert_eq!(IssuerSubject::parse(typed), None, "{typed}");
        }
    }
}
