//! The numbers that go with keys.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::limits::{MAX_KEY_ID, MAX_REGISTRATION_ID};

/// The id of a prekey: 0 to 2^31 - 1. Ids grow within a device and a kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u32")]
pub struct KeyId(u32);

impl KeyId {
    /// Creates the id if the number is in range.
    ///
    /// # Errors
    /// [`Invalid`] if the number is above 2^31 - 1.
    pub fn new(id: u64) -> Result<Self, Invalid> {
        match u32::try_from(id) {
            Ok(id) if id <= MAX_KEY_ID => Ok(Self(id)),
            _ => Err(Invalid::whole("must be a key id: 0 to 2147483647")),
        }
    }

    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for KeyId {
    type Error = Invalid;

    fn try_from(id: u64) -> Result<Self, Invalid> {
        Self::new(id)
    }
}

impl From<KeyId> for u32 {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device's registration id: 1 to 0x3FFF. A client draws it when it sets libsignal up, so that
/// others can tell a reinstalled device from the former one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct RegistrationId(u16);

impl RegistrationId {
    /// Creates the id if the number is in range.
    ///
    /// # Errors
    /// [`Invalid`] if the number is 0 or above 0x3FFF.
    pub fn new(id: u64) -> Result<Self, Invalid> {
        match u16::try_from(id) {
            Ok(id) if (1..=MAX_REGISTRATION_ID).contains(&id) => Ok(Self(id)),
            _ => Err(Invalid::whole("must be a registration id: 1 to 16383")),
        }
    }

    /// Returns the id that a random number makes: its remainder by the count of ids, from 1 on.
    pub fn from_random(number: u16) -> Self {
        Self((number % MAX_REGISTRATION_ID).saturating_add(1))
    }

    /// Returns the number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u64> for RegistrationId {
    type Error = Invalid;

    fn try_from(id: u64) -> Result<Self, Invalid> {
        Self::new(id)
    }
}

impl From<RegistrationId> for u16 {
    fn from(id: RegistrationId) -> Self {
        id.0
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn ranges() {
        for (value, key_id, registration_id) in [
            (json!(0), true, false),
            (json!(1), true, true),
            (json!(16383), true, true),
            (json!(16384), true, false),
            (json!(2_147_483_647), true, false),
            (json!(2_147_483_648_u64), false, false),
            (json!(u64::MAX), false, false),
            (json!(-1), false, false),
            (json!(1.0), false, false),
            (json!("1"), false, false),
            (json!(null), false, false),
        ] {
            assert_eq!(from_value::<KeyId>(value.clone()).is_ok(), key_id, "{value}");
            assert_eq!(from_value::<RegistrationId>(value.clone()).is_ok(), registration_id, "{value}");
        }
        for number in [0, 1, MAX_REGISTRATION_ID - 1, MAX_REGISTRATION_ID, u16::MAX] {
            let id = RegistrationId::from_random(number);
            assert_eq!(RegistrationId::new(u64::from(id.get())), Ok(id));
        }
        assert_eq!(json!([KeyId::new(7).unwrap(), RegistrationId::new(8).unwrap()]), json!([7, 8]));
    }
}
