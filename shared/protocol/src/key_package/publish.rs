use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KyberPreKey, OneTimePreKey, SignedPreKey};
use crate::Invalid;
use crate::json::{only_as_object, shape};
use crate::key::{IdentityKey, KeyId};
use crate::limits::MAX_ONE_TIME_KEYS;

/// Keys that a device publishes, at its registration (section 10) or later with `Add` (section 4): those
/// members of an object; its other members are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct PublishedKeys {
    /// The signed prekey, `signedPreKey`; needed at registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_pre_key: Option<SignedPreKey>,
    /// The Kyber key that is never consumed, `lastResortKyberPreKey`.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "lastResortKyberPreKey")]
    pub last_resort: Option<KyberPreKey>,
    /// One-time prekeys, `preKeys`.
    #[serde(default)]
    pub pre_keys: Vec<OneTimePreKey>,
    /// One-time Kyber prekeys, `kyberPreKeys`.
    #[serde(default)]
    pub kyber_pre_keys: Vec<KyberPreKey>,
}

only_as_object!(PublishedKeys);

impl PublishedKeys {
    /// Reads the members of an object; the keys stay in the order they came.
    ///
    /// # Errors
    /// The first member of the wrong shape: lengths, type bytes, ranges, base64.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        shape(value)
    }

    /// Checks what the shape cannot: counts, ids, signatures. Nothing may be stored of a request that fails
    /// here.
    ///
    /// # Errors
    /// More than [`MAX_ONE_TIME_KEYS`] of a kind, an id twice in a kind (the last-resort key is of the Kyber
    /// kind), or a signature that is not the identity key's; the pointer names the first of them.
    pub fn validate(&self, identity: &IdentityKey) -> Result<(), Invalid> {
        check_count(self.pre_keys.len(), "/preKeys")?;
        check_count(self.kyber_pre_keys.len(), "/kyberPreKeys")?;
        check_ids(BTreeSet::new(), self.pre_keys.iter().map(|key| key.id), "/preKeys")?;
        let last_resort = self.last_resort.iter().map(|key| key.id).collect();
        check_ids(last_resort, self.kyber_pre_keys.iter().map(|key| key.id), "/kyberPreKeys")?;
        if let Some(key) = &self.signed_pre_key {
            key.verify(identity).map_err(|fault| fault.under("/signedPreKey"))?;
        }
        if let Some(key) = &self.last_resort {
            key.verify(identity).map_err(|fault| fault.under("/lastResortKyberPreKey"))?;
        }
        self.kyber_pre_keys.iter().enumerate().try_for_each(|(index, key)| {
            key.verify(identity).map_err(|fault| fault.under(format!("/kyberPreKeys/{index}")))
        })
    }

    /// The same keys, one-time keys by id: the order in which they are handed out.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.pre_keys.sort_by_key(|key| key.id);
        self.kyber_pre_keys.sort_by_key(|key| key.id);
        self
    }

    /// Whether there is nothing to publish.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn check_count(count: usize, pointer: &str) -> Result<(), Invalid> {
    if count > MAX_ONE_TIME_KEYS {
        return Err(Invalid::at(pointer, format!("holds more than {MAX_ONE_TIME_KEYS} keys")));
    }
    Ok(())
}

fn check_ids(
    mut seen: BTreeSet<KeyId>,
    ids: impl Iterator<Item = KeyId>,
    pointer: &str,
) -> Result<(), Invalid> {
    for (index, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(Invalid::at(format!("{pointer}/{index}/id"), format!("{id} appears twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
