//! The keys of sealed group records, which only the devices of one user have.

use std::collections::BTreeMap;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use eko_protocol::Invalid;
use eko_protocol::json::list;
use serde_json::{Value, json};

use crate::Environment;
use crate::content::member::{parsed, required};
use crate::secret::Secret;

/// The greatest number of keys that a device keeps and sends.
pub const MOST_STATE_KEYS: usize = 16;

/// The number of bytes of a key's id.
pub(super) const ID_BYTES: usize = 16;

const ID: &[u8] = b"eko-group-state-v1 id";
const SEAL: &[u8] = b"eko-group-state-v1 seal";

/// A key under which group records are sealed.
///
/// The keys that follow from it, by HKDF-SHA-256 (RFC 5869) without a salt:
///
/// ```text
/// id       = HKDF(key, info "eko-group-state-v1 id", 16 bytes)
/// seal key = HKDF(key, info "eko-group-state-v1 seal" ‖ 0x00 ‖ address of the state, 32 bytes)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateKey {
    secret: Secret,
    /// The length of the own device chain when the key was made. A device that was revoked later may have
    /// the key.
    pub(super) length: u64,
}

/// The keys of one user, by their ids. They are [`MOST_STATE_KEYS`] at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateKeys {
    keys: BTreeMap<[u8; ID_BYTES], StateKey>,
}

impl StateKey {
    /// Makes a key. `length` is that of the own device chain now.
    pub fn generate(length: u64, environment: &Environment) -> Self {
        Self { secret: Secret::new(environment.bytes()), length }
    }

    /// Returns the id, which says nothing of the key.
    pub(super) fn id(&self) -> Result<[u8; ID_BYTES], Invalid> {
        self.derived([ID, &[], &[]])
    }

    /// Returns the key that seals the state with this address.
    pub(super) fn seal_key(&self, address: &str) -> Result<[u8; 32], Invalid> {
        self.derived([SEAL, &[0], address.as_bytes()])
    }

    fn derived<const N: usize>(&self, info: [&[u8]; 3]) -> Result<[u8; N], Invalid> {
        /// A number of bytes.
        struct Bytes(usize);
        impl aws_lc_rs::hkdf::KeyType for Bytes {
            fn len(&self) -> usize {
                self.0
            }
        }
        let (mut bytes, key) = ([0; N], Salt::none(HKDF_SHA256).extract(self.secret.as_bytes()));
        key.expand(&info, Bytes(N))
            .and_then(|output| output.fill(&mut bytes))
            .map_err(|_| Invalid::whole("has no key"))?;
        Ok(bytes)
    }

    fn parse(value: &Value) -> Result<Self, Invalid> {
        let length = required(value, "length", 1)?;
        Ok(Self { secret: parsed(value, "key", Secret::from_base64)?, length })
    }
}

impl StateKeys {
    /// Reads the `object` of an activity `StateKeys`, or what [`StateKeys::to_value`] wrote.
    ///
    /// # Errors
    /// [`Invalid`] if there are none or more than [`MOST_STATE_KEYS`], or at the first that is wrong.
    pub fn parse(activity: &Value) -> Result<Self, Invalid> {
        let items = list(activity, "object");
        if items.is_empty() || items.len() > MOST_STATE_KEYS {
            return Err(Invalid::at("/object", format!("must be 1 to {MOST_STATE_KEYS} keys")));
        }
        let mut keys = Self::default();
        for (index, item) in items.iter().enumerate() {
            let key = StateKey::parse(item).map_err(|fault| fault.under(format!("/object/{index}")))?;
            keys.add(key)?;
        }
        Ok(keys)
    }

    /// Returns the `object` of an activity `StateKeys`.
    pub fn to_value(&self) -> Value {
        let item = |key: &StateKey| json!({ "type": "StateKey", "key": key.secret.to_base64(), "length": key.length });
        self.keys.values().map(item).collect()
    }

    /// Adds a key. If there are too many, the one goes that was made first. Returns true if it is new
    /// and stays.
    ///
    /// # Errors
    /// [`Invalid`] if no id can be derived.
    pub fn add(&mut self, key: StateKey) -> Result<bool, Invalid> {
        let id = key.id()?;
        if self.keys.contains_key(&id) {
            return Ok(false);
        }
        self.keys.insert(id, key);
        if self.keys.len() > MOST_STATE_KEYS
            && let Some(oldest) =
                self.keys.iter().min_by_key(|(id, key)| (key.length, **id)).map(|(id, _)| *id)
        {
            self.keys.remove(&oldest);
        }
        Ok(self.keys.contains_key(&id))
    }

    /// Adds the keys of another device. A key counts as made when the chain had at most `length` nodes,
    /// whatever it says: one that claims to be of a longer chain would outlive later revocations.
    /// Returns true if one is new.
    ///
    /// # Errors
    /// [`Invalid`] if no id can be derived.
    pub fn merge(&mut self, others: &Self, length: u64) -> Result<bool, Invalid> {
        let mut is_new = false;
        for key in others.keys.values() {
            is_new |= self.add(StateKey { length: key.length.min(length), ..key.clone() })?;
        }
        Ok(is_new)
    }

    /// Returns the keys that were made when the chain had at least `length` nodes.
    pub fn since(&self, length: u64) -> Self {
        let keys = self.keys.iter().filter(|(_, key)| key.length >= length);
        Self { keys: keys.map(|(id, key)| (*id, key.clone())).collect() }
    }

    /// Returns the key under which records are sealed: the newest one, if it was made when the chain
    /// had at least `length` nodes.
    pub fn newest(&self, length: u64) -> Option<&StateKey> {
        let newest = self.keys.iter().max_by_key(|(id, key)| (key.length, **id)).map(|(_, key)| key);
        newest.filter(|key| key.length >= length)
    }

    /// Returns the key with this id.
    pub(super) fn get(&self, id: &[u8]) -> Option<&StateKey> {
        self.keys.get(&<[u8; ID_BYTES]>::try_from(id).ok()?)
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
