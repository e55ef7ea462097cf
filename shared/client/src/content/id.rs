//! Ids of the form `urn:uuid:`, each kind with a type of its own.

use uuid::Uuid;

use eko_protocol::Invalid;

const URN: &str = "urn:uuid:";

/// Checks that a text is `urn:uuid:` and a UUID in lower case with hyphens, and not the nil UUID.
pub(crate) fn check(text: &str) -> Result<(), Invalid> {
    let uuid = text.strip_prefix(URN).and_then(|rest| {
        let uuid = Uuid::parse_str(rest).ok()?;
        // `Uuid` also reads other spellings.
        (!uuid.is_nil() && uuid.hyphenated().to_string() == rest).then_some(())
    });
    uuid.ok_or_else(|| Invalid::whole("must be urn:uuid: with a lower-case UUID, and not the nil UUID"))
}

/// Returns a fresh id with a random UUID.
fn draw(environment: &crate::Environment) -> String {
    format!("{URN}{}", uuid::Builder::from_random_bytes(environment.bytes()).into_uuid())
}

/// Defines a type for the ids of one kind of thing.
macro_rules! urn_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads an id.
            ///
            /// # Errors
            /// [`Invalid`](eko_protocol::Invalid) unless it is `urn:uuid:` and a lower-case
            /// hyphenated UUID, not the nil UUID.
            pub fn parse(text: &str) -> Result<Self, eko_protocol::Invalid> {
                $crate::content::id::check(text).map(|()| Self(text.to_owned()))
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = eko_protocol::Invalid;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}
pub(crate) use urn_id;

/// Adds the drawing of fresh ids to a type of [`urn_id`].
macro_rules! drawn {
    ($name:ident) => {
        impl $name {
            /// Returns a fresh id with a random UUID.
            pub fn generate(environment: &crate::Environment) -> Self {
                Self(draw(environment))
            }
        }
    };
}

drawn!(ActivityId);
drawn!(NoteId);

urn_id! {
    /// An activity's id: `urn:uuid:` and a lower-case UUID. It is unique only together with the
    /// activity's author.
    ActivityId
}

urn_id! {
    /// A note's id: `urn:uuid:` and a lower-case UUID.
    NoteId
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;
    use proptest::prelude::*;

    #[test]
    fn one_spelling_only() {
        for text in [
            "",
            "urn:uuid:",
            "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "urn:uuid:00000000-0000-0000-0000-000000000000",
            "urn:uuid:0F3C9B1E-5A57-4B0E-9C39-2F6F6F0F7A11",
            "urn:uuid:0f3c9b1e5a574b0e9c392f6f6f0f7a11",
            "urn:uuid:{0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11}",
            "urn:uuid:urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "URN:UUID:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11\n",
        ] {
            assert!(ActivityId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fresh_ones_differ_and_are_read() {
        let environment = Environment::system();
        let (one, other) = (ActivityId::generate(&environment), ActivityId::generate(&environment));
        assert_ne!(one, other);
        assert_eq!(ActivityId::parse(one.as_str()), Ok(one));
    }

    proptest! {
        #[test]
        fn round_trip(bits in 1u128..) {
            let text = format!("{URN}{}", Uuid::from_u128(bits));
            let id = ActivityId::parse(&text).unwrap();
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(String::from(serde_json::from_str::<ActivityId>(&json).unwrap()), text);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(urn:uuid:)?([0-9a-fA-F{}-]{30,40}|.{0,40})") {
            if let Ok(id) = ActivityId::parse(&text) {
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
