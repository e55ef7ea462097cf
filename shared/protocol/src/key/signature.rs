//! XEdDSA signatures.

use serde::{Deserialize, Serialize};

use super::base64_text::base64_text;
use crate::Invalid;

/// An XEdDSA signature: 64 bytes, `R` and `s`, with the sign bit of the key in the top bit of `s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

impl Signature {
    /// Reads the 64 bytes. [`crate::xeddsa::verify`] verifies them.
    ///
    /// # Errors
    /// [`Invalid`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let bytes =
            <[u8; 64]>::try_from(bytes).map_err(|_| Invalid::whole("must be a signature of 64 bytes"))?;
        Ok(Self(bytes))
    }

    /// Returns the 64 bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl From<[u8; 64]> for Signature {
    fn from(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

base64_text!(Signature);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 64)) {
            let signature = Signature::from_bytes(&bytes).unwrap();
            prop_assert_eq!(Signature::from_base64(&signature.to_base64()), Ok(signature));
            let json = serde_json::to_value(signature).unwrap();
            prop_assert_eq!(serde_json::from_value::<Signature>(json).unwrap(), signature);
        }

        #[test]
        fn other_lengths_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
            prop_assert_eq!(Signature::from_bytes(&bytes).is_ok(), bytes.len() == 64);
        }
    }
}
