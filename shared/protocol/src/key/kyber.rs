//! Kyber-1024 public keys.

use serde::{Deserialize, Serialize};

use super::base64_text::base64_text;
use crate::Invalid;

/// The type byte of a Kyber-1024 public key, as libsignal writes it.
const TYPE: u8 = 0x08;

/// The length of an encoded Kyber-1024 public key in bytes, type byte included.
const LENGTH: usize = 1569;

/// A Kyber-1024 public key: 1569 bytes, the first `0x08`. The rest is not checked here: only the
/// client that encapsulates to the key decodes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KyberKey(Box<[u8]>);

impl KyberKey {
    /// Reads the 1569 bytes.
    ///
    /// # Errors
    /// [`Invalid`] for another length or another type byte.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() == LENGTH && bytes.first() == Some(&TYPE) {
            Ok(Self(bytes.into()))
        } else {
            Err(Invalid::whole("must be a Kyber-1024 key of 1569 bytes, the first 0x08"))
        }
    }

    /// Returns the key of an ML-KEM-1024 encapsulation key (FIPS 203), which lacks the type byte.
    pub fn from_encapsulation_key(bytes: &[u8; LENGTH - 1]) -> Self {
        Self([&[TYPE], bytes.as_slice()].concat().into())
    }

    /// Returns the 1569 bytes, type byte first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

base64_text!(KyberKey);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wrong_length_or_type_is_refused() {
        let mut bytes = vec![7; LENGTH];
        assert!(KyberKey::from_bytes(&bytes).is_err());
        bytes[0] = TYPE;
        assert!(KyberKey::from_bytes(&bytes).is_ok());
        assert!(KyberKey::from_bytes(&bytes[..LENGTH - 1]).is_err());
        bytes.push(0);
        assert!(KyberKey::from_bytes(&bytes).is_err());
        assert!(KyberKey::from_bytes(&[]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(body in proptest::collection::vec(any::<u8>(), LENGTH - 1)) {
            let key = KyberKey::from_bytes(&[vec![TYPE], body.clone()].concat()).unwrap();
            let body = <[u8; LENGTH - 1]>::try_from(body).unwrap();
            prop_assert_eq!(&KyberKey::from_encapsulation_key(&body), &key);
            prop_assert_eq!(KyberKey::from_base64(&key.to_base64()), Ok(key.clone()));
            let json = serde_json::to_value(&key).unwrap();
            prop_assert_eq!(serde_json::from_value::<KyberKey>(json).unwrap(), key);
        }
    }
}
