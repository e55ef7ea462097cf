//! The random part of a sign-in's nonce.

use serde::{Deserialize, Serialize};

use super::base64_text::base64_text;
use crate::Invalid;

/// The random bytes of the nonce that an ID token carries: 32 bytes. [`crate::sign_in::nonce`]
/// hashes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NonceRandom([u8; 32]);

impl NonceRandom {
    /// Reads the 32 bytes.
    ///
    /// # Errors
    /// [`Invalid`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| Invalid::whole("must be 32 random bytes"))
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for NonceRandom {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

base64_text!(NonceRandom);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_32_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(NonceRandom::from_bytes(&bytes).is_ok(), bytes.len() == 32);
        }

        #[test]
        fn round_trip(bytes in any::<[u8; 32]>()) {
            let random = NonceRandom::from(bytes);
            prop_assert_eq!(NonceRandom::from_base64(&random.to_base64()), Ok(random));
        }
    }
}
