//! The MACs of joining.

use serde::{Deserialize, Serialize};

use super::base64_text::base64_text;
use crate::Invalid;

/// An HMAC-SHA256 under a key of a joining code: 32 bytes. [`crate::chain::JoiningKeys`] makes and
/// verifies it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JoiningMac([u8; 32]);

impl JoiningMac {
    /// Reads the 32 bytes.
    ///
    /// # Errors
    /// [`Invalid`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| Invalid::whole("must be a MAC of 32 bytes"))
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for JoiningMac {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

base64_text!(JoiningMac);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_32_bytes_are_a_mac(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(JoiningMac::from_bytes(&bytes).is_ok(), bytes.len() == 32);
        }

        #[test]
        fn round_trip(bytes in any::<[u8; 32]>()) {
            let mac = JoiningMac::from(bytes);
            prop_assert_eq!(JoiningMac::from_base64(&mac.to_base64()), Ok(mac));
        }
    }
}
