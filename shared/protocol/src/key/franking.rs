//! The keys, tags and MACs of franking.

use serde::{Deserialize, Serialize};

use super::base64_text::base64_text;
use crate::Invalid;

/// Defines a type of 32 bytes.
macro_rules! bytes_32 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            /// Reads the 32 bytes.
            ///
            /// # Errors
            /// [`Invalid`] for another length.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
                let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| Invalid::whole($what))?;
                Ok(Self(bytes))
            }

            /// Returns the 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        base64_text!($name);
    };
}

bytes_32! {
    /// The random key of a note's franking tag. It is in the encrypted content alone.
    FrankingKey, "must be a key of 32 bytes"
}

bytes_32! {
    /// The commitment to an encrypted content: HMAC-SHA-256 under a [`FrankingKey`].
    FrankingTag, "must be a tag of 32 bytes"
}

bytes_32! {
    /// The word of a sender's server for a [`FrankingTag`]: HMAC-SHA-256 under a key of that server.
    FrankingMac, "must be a MAC of 32 bytes"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_32_bytes_are_a_tag(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(FrankingTag::from_bytes(&bytes).is_ok(), bytes.len() == 32);
        }

        #[test]
        fn round_trip(bytes in any::<[u8; 32]>()) {
            let key = FrankingKey::from(bytes);
            prop_assert_eq!(FrankingKey::from_base64(&key.to_base64()), Ok(key));
        }
    }
}
