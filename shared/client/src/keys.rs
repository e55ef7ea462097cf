//! The keys of a device, both halves: its identity, signed prekeys, one-time prekeys and Kyber
//! prekeys (`docs/protocol.md`, section 4).
//!
//! Private halves are wiped when dropped. Keys that were replaced are kept, because messages made
//! with them may still be on their way.

mod curve;
mod identity;
mod kyber;
mod pool;

use eko_protocol::Invalid;
use eko_protocol::key::{KeyId, RegistrationId};
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey, PublishedKeys, SignedPreKey};

pub use curve::CurvePair;
pub use identity::IdentityPair;
pub use kyber::KyberPair;
use pool::PairPool;

use crate::Environment;

/// The numbers of keys that a device begins with, and tops up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCounts {
    /// The number of one-time Curve25519 prekeys.
    pub pre_keys: u16,
    /// The number of one-time Kyber prekeys.
    pub kyber_pre_keys: u16,
    /// True if there is a last-resort Kyber key. A device without any Kyber key has the legacy X3DH
    /// profile.
    pub last_resort: bool,
}

impl Default for KeyCounts {
    /// Returns the numbers of Signal's clients: 100 of each, which is the most that one request
    /// carries.
    fn default() -> Self {
        Self { pre_keys: 100, kyber_pre_keys: 100, last_resort: true }
    }
}

/// The keys from which a device goes on in a new process. The private halves of prekeys are not
/// among them: sessions read those from the store.
pub struct SavedKeys {
    /// The identity.
    pub identity: IdentityPair,
    /// The registration id.
    pub registration_id: RegistrationId,
    /// The newest signed prekey.
    pub signed_pre_key: SignedPreKey,
    /// The newest last-resort Kyber key.
    pub last_resort: Option<KyberPreKey>,
    /// The keys that the registration publishes. Empty once it has.
    pub first: PublishedKeys,
    /// The numbers of prekeys that were made.
    pub made: MadeKeyCounts,
}

/// The numbers of prekeys ever made, by kind. They are also the last ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeKeyCounts {
    /// The number of signed prekeys.
    pub signed: u64,
    /// The number of one-time prekeys.
    pub one_time: u64,
    /// The number of Kyber prekeys.
    pub kyber: u64,
}

/// The keys of one device.
pub struct DeviceKeys {
    identity: IdentityPair,
    registration_id: RegistrationId,
    signed_pre_key: SignedPreKey,
    last_resort: Option<KyberPreKey>,
    /// The keys that the registration publishes.
    first: PublishedKeys,
    signed: PairPool<CurvePair>,
    one_time: PairPool<CurvePair>,
    /// Last-resort and one-time keys, which share their ids.
    kyber: PairPool<KyberPair>,
}

impl DeviceKeys {
    /// Returns fresh keys for a new device.
    ///
    /// # Errors
    /// [`Invalid`] if the ids of a kind run out, which takes more keys than `counts` can ask for.
    pub fn generate(counts: KeyCounts, environment: &Environment) -> Result<Self, Invalid> {
        let registration_id = RegistrationId::from_random(u16::from_le_bytes(environment.bytes()));
        let identity = IdentityPair::generate(environment);
        let mut signed = PairPool::new();
        let signed_pre_key = signed_pre_key(&identity, &mut signed, environment)?;
        let mut keys = Self {
            identity,
            registration_id,
            signed_pre_key,
            last_resort: None,
            first: PublishedKeys::default(),
            signed,
            one_time: PairPool::new(),
            kyber: PairPool::new(),
        };
        if counts.last_resort {
            keys.last_resort = Some(keys.kyber_pre_key(environment)?);
        }
        keys.first = keys.more(counts.pre_keys, counts.kyber_pre_keys, environment)?;
        keys.first.signed_pre_key = Some(keys.signed_pre_key.clone());
        keys.first.last_resort = keys.last_resort.clone();
        Ok(keys)
    }

    /// Returns the keys of a device that goes on.
    pub fn restore(saved: SavedKeys) -> Self {
        Self {
            identity: saved.identity,
            registration_id: saved.registration_id,
            signed_pre_key: saved.signed_pre_key,
            last_resort: saved.last_resort,
            first: saved.first,
            signed: PairPool::after(saved.made.signed),
            one_time: PairPool::after(saved.made.one_time),
            kyber: PairPool::after(saved.made.kyber),
        }
    }

    /// Returns the keys that the registration publishes.
    pub fn first(&self) -> &PublishedKeys {
        &self.first
    }

    /// Makes more one-time keys, which are then to be published.
    ///
    /// # Errors
    /// [`Invalid`] if the ids of a kind have run out, after 2^31 - 1 keys.
    pub fn more(
        &mut self,
        pre_keys: u16,
        kyber_pre_keys: u16,
        environment: &Environment,
    ) -> Result<PublishedKeys, Invalid> {
        let mut made = PublishedKeys::default();
        for _ in 0..pre_keys {
            let pair = CurvePair::generate(environment);
            let key = pair.public();
            made.pre_keys.push(OneTimePreKey { id: self.one_time.add(pair)?, key });
        }
        for _ in 0..kyber_pre_keys {
            made.kyber_pre_keys.push(self.kyber_pre_key(environment)?);
        }
        Ok(made)
    }

    /// Makes the next signed prekey and, if there is one, the next last-resort key, which are then
    /// to be published.
    ///
    /// # Errors
    /// [`Invalid`] if the ids of a kind have run out, after 2^31 - 1 keys.
    pub fn rotate(&mut self, environment: &Environment) -> Result<PublishedKeys, Invalid> {
        self.signed_pre_key = signed_pre_key(&self.identity, &mut self.signed, environment)?;
        if self.last_resort.is_some() {
            self.last_resort = Some(self.kyber_pre_key(environment)?);
        }
        Ok(PublishedKeys {
            signed_pre_key: Some(self.signed_pre_key.clone()),
            last_resort: self.last_resort.clone(),
            ..PublishedKeys::default()
        })
    }

    fn kyber_pre_key(&mut self, environment: &Environment) -> Result<KyberPreKey, Invalid> {
        let pair = KyberPair::generate(environment);
        let key = pair.public().clone();
        let signature = self.identity.sign(key.as_bytes(), environment);
        Ok(KyberPreKey { id: self.kyber.add(pair)?, key, signature })
    }

    /// Returns the identity, which signs.
    pub fn identity(&self) -> &IdentityPair {
        &self.identity
    }

    /// Returns the registration id.
    pub fn registration_id(&self) -> RegistrationId {
        self.registration_id
    }

    /// Returns the newest signed prekey.
    pub fn signed_pre_key(&self) -> &SignedPreKey {
        &self.signed_pre_key
    }

    /// Returns the newest last-resort Kyber key.
    pub fn last_resort(&self) -> Option<&KyberPreKey> {
        self.last_resort.as_ref()
    }

    /// Returns the numbers of keys that were made.
    pub fn made(&self) -> MadeKeyCounts {
        let (signed, one_time, kyber) = (self.signed.made(), self.one_time.made(), self.kyber.made());
        MadeKeyCounts { signed, one_time, kyber }
    }

    /// Returns the pairs of the signed prekeys that were made since [`DeviceKeys::generate`] or
    /// [`DeviceKeys::restore`].
    pub fn signed_pairs(&self) -> impl Iterator<Item = (KeyId, &CurvePair)> {
        self.signed.iter()
    }

    /// Returns the pairs of the one-time prekeys that were made since [`DeviceKeys::generate`] or
    /// [`DeviceKeys::restore`].
    pub fn one_time_pairs(&self) -> impl Iterator<Item = (KeyId, &CurvePair)> {
        self.one_time.iter()
    }

    /// Returns the pairs of the Kyber prekeys that were made since [`DeviceKeys::generate`] or
    /// [`DeviceKeys::restore`].
    pub fn kyber_pairs(&self) -> impl Iterator<Item = (KeyId, &KyberPair)> {
        self.kyber.iter()
    }

    /// Returns the pair of a signed prekey, new or old.
    pub fn signed_pair(&self, id: KeyId) -> Option<&CurvePair> {
        self.signed.get(id)
    }

    /// Returns the pair of a one-time prekey.
    pub fn one_time_pair(&self, id: KeyId) -> Option<&CurvePair> {
        self.one_time.get(id)
    }

    /// Returns the pair of a Kyber prekey, one-time or last-resort.
    pub fn kyber_pair(&self, id: KeyId) -> Option<&KyberPair> {
        self.kyber.get(id)
    }
}

fn signed_pre_key(
    identity: &IdentityPair,
    pool: &mut PairPool<CurvePair>,
    environment: &Environment,
) -> Result<SignedPreKey, Invalid> {
    let pair = CurvePair::generate(environment);
    let key = pair.public();
    let signature = identity.sign(key.as_bytes(), environment);
    Ok(SignedPreKey { id: pool.add(pair)?, key, signature })
}

#[cfg(test)]
mod tests;
