//! Keys of 32 bytes that are wiped when dropped, never shown, and compared in constant time.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::Invalid;
use zeroize::Zeroizing;

/// A secret of 32 bytes.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads base64: standard alphabet, padded.
    pub(crate) fn from_base64(text: &str) -> Result<Self, Invalid> {
        decode_32(text).map(Self::new)
    }

    pub(crate) fn to_base64(&self) -> String {
        STANDARD.encode(*self.0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&*self.0, &*other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

/// Decodes 32 bytes from their one spelling in base64.
pub(crate) fn decode_32(text: &str) -> Result<[u8; 32], Invalid> {
    let bytes = STANDARD.decode(text).ok().map(Zeroizing::new);
    bytes
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
        .ok_or_else(|| Invalid::whole("must be 32 bytes in base64: standard alphabet, padded"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_shown() {
        let shown = format!("{:?}", Secret::new([7; 32]));
        assert_eq!(shown, "hidden");
    }

    proptest! {
        #[test]
        fn round_trip(bytes in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
            let secret = Secret::new(bytes);
            let read = Secret::from_base64(&secret.to_base64()).unwrap();
            prop_assert_eq!(read.as_bytes(), &bytes);
            prop_assert!(read == secret);
            prop_assert_eq!(Secret::new(other) == secret, other == bytes);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[A-Za-z0-9+/=]{40,46}|.{0,50}") {
            if let Ok(secret) = Secret::from_base64(&text) {
                prop_assert_eq!(secret.to_base64(), text);
            }
        }
    }
}
