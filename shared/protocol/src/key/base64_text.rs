//! Base64 of keys and signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Invalid;

/// Decodes base64 (RFC 4648, section 4). The padding is required and spare bits must be 0, so that
/// bytes have one spelling only.
///
/// # Errors
/// [`Invalid`] if the text is not such base64.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Invalid> {
    STANDARD.decode(text).map_err(|_| Invalid::whole("must be base64: standard alphabet, padded"))
}

/// Encodes base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Implements base64 in text and in JSON for a type that has `from_bytes` and `as_bytes`.
macro_rules! base64_text {
    ($name:ident) => {
        impl $name {
            /// Reads base64: standard alphabet, padded.
            ///
            /// # Errors
            /// [`Invalid`](crate::Invalid) if the text is not base64, or if `from_bytes` refuses
            /// the bytes.
            pub fn from_base64(text: &str) -> Result<Self, crate::Invalid> {
                Self::from_bytes(&super::base64_text::decode(text)?)
            }

            /// Writes base64: standard alphabet, padded.
            pub fn to_base64(&self) -> String {
                super::base64_text::encode(self.as_bytes())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:.12}…)", stringify!($name), self.to_base64())
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::Invalid;

            fn try_from(text: String) -> Result<Self, crate::Invalid> {
                Self::from_base64(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_base64()
            }
        }
    };
}
pub(super) use base64_text;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_spelling_only() {
        assert_eq!(decode("AQI="), Ok(vec![1, 2]));
        for text in ["AQI", "AQJ=", "AQI==", "AQ I=", "AQI=\n", "_-8=", "é"] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn what_is_read_is_written_alike(text in "[A-Za-z0-9+/]{0,12}={0,2}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
