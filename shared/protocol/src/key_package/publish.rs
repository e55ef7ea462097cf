//! The keys that a device publishes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KyberPreKey, OneTimePreKey, SignedPreKey};
use crate::Invalid;
use crate::json::{exact, only_as_object};
use crate::key::{IdentityKey, KeyId};
use crate::limits::{MAX_KEY_ID_JUMP, MAX_ONE_TIME_KEYS};

/// The keys that a device publishes at its registration (section 10) or later with `Add` (section
/// 4).
///
/// ```text
/// {"signedPreKey": {"keyId","key","signature"},           required at registration
///  "lastResortKyberPreKey": {"keyId","key","signature"},  optional
///  "preKeys": [{"keyId","key"}, …],                       optional, at most 100
///  "kyberPreKeys": [{"keyId","key","signature"}, …]}      optional, at most 100
/// ```
///
/// The object may have other members, which are ignored here.
///
/// ```
/// use eko_protocol::key_package::PublishedKeys;
/// use serde_json::json;
///
/// assert!(PublishedKeys::parse(&json!({"preKeys": []}))?.is_empty());
/// let fault = PublishedKeys::parse(&json!({"preKeys": [{"keyId": 1, "key": "BQ=="}]})).unwrap_err();
/// assert_eq!(fault.pointer, "/preKeys/0/key");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct PublishedKeys {
    /// The signed prekey, `signedPreKey`. It is required at registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_pre_key: Option<SignedPreKey>,
    /// The last-resort Kyber key, `lastResortKyberPreKey`. It is never consumed.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "lastResortKyberPreKey")]
    pub last_resort: Option<KyberPreKey>,
    /// The one-time prekeys, `preKeys`.
    #[serde(default)]
    pub pre_keys: Vec<OneTimePreKey>,
    /// The one-time Kyber prekeys, `kyberPreKeys`.
    #[serde(default)]
    pub kyber_pre_keys: Vec<KyberPreKey>,
}

only_as_object!(PublishedKeys);

impl PublishedKeys {
    /// Reads the members of an object. The keys keep their order.
    ///
    /// # Errors
    /// [`Invalid`] for the first member of the wrong shape. Lengths, type bytes, ranges and base64
    /// are part of the shape.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        exact(value)
    }

    /// Checks counts, ids and signatures. No key of a request that fails here may be stored.
    ///
    /// # Errors
    /// [`Invalid`] for more than [`MAX_ONE_TIME_KEYS`] of a kind, for an id that appears twice in a
    /// kind (the last-resort key counts as a Kyber key), and for a signature that is not the
    /// identity key's.
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

    /// Checks the ids of the one-time keys that a device publishes at its registration.
    ///
    /// # Errors
    /// [`Invalid`] for an id above [`MAX_KEY_ID_JUMP`].
    pub fn check_first_ids(&self) -> Result<(), Invalid> {
        check_jump(self.pre_keys.iter().map(|key| key.id), None).map_err(|fault| fault.under("/preKeys"))?;
        check_jump(self.kyber_pre_keys.iter().map(|key| key.id), None)
            .map_err(|fault| fault.under("/kyberPreKeys"))
    }

    /// Sorts the one-time keys by id, which is the order in which they are consumed.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.pre_keys.sort_by_key(|key| key.id);
        self.kyber_pre_keys.sort_by_key(|key| key.id);
        self
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Checks that no id is more than [`MAX_KEY_ID_JUMP`] above `highest`, the highest id that was
/// published before. `None` counts as 0.
///
/// Ids only grow, so one publication of the greatest id would end all later ones. With this limit
/// and at most 400 keys in a pool, the ids last for 2^31 / 4000 = 536,870 publications that jump as
/// far as they may.
///
/// # Errors
/// [`Invalid`] at the first id that is too high. The pointer is relative to the list of keys.
pub fn check_jump(ids: impl IntoIterator<Item = KeyId>, highest: Option<KeyId>) -> Result<(), Invalid> {
    let most = highest.map_or(0, KeyId::get).saturating_add(MAX_KEY_ID_JUMP);
    match ids.into_iter().position(|id| id.get() > most) {
        None => Ok(()),
        Some(index) => {
            let detail =
                format!("is more than {MAX_KEY_ID_JUMP} above the highest id before: at most {most}");
            Err(Invalid::at(format!("/{index}/keyId"), detail))
        }
    }
}

fn check_count(count: usize, pointer: &str) -> Result<(), Invalid> {
    if count > MAX_ONE_TIME_KEYS {
        return Err(Invalid::at(pointer, format!("holds more than {MAX_ONE_TIME_KEYS} keys")));
    }
    Ok(())
}

/// Refuses an id that is in `seen` or appears twice in `ids`.
fn check_ids(
    mut seen: BTreeSet<KeyId>,
    ids: impl Iterator<Item = KeyId>,
    pointer: &str,
) -> Result<(), Invalid> {
    for (index, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(Invalid::at(format!("{pointer}/{index}/keyId"), format!("{id} appears twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
