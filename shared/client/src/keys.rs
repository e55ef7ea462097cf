//! A device's keys, both halves: identity, signed prekeys, one-time prekeys, Kyber prekeys
//! (`docs/protocol.md`, section 4).
//!
//! Private halves stay in here and are wiped when dropped. What was replaced is kept: messages made with it
//! may be under way.

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

/// How many keys a device begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCounts {
    /// One-time Curve25519 prekeys.
    pub pre_keys: u16,
    /// One-time Kyber prekeys.
    pub kyber_pre_keys: u16,
    /// Whether there is a last-resort Kyber key; without any Kyber key it is the legacy X3DH profile.
    pub last_resort: bool,
}

impl Default for KeyCounts {
    /// As Signal's clients begin: 100 of each, the most that one request carries.
    fn default() -> Self {
        Self { pre_keys: 100, kyber_pre_keys: 100, last_resort: true }
    }
}

/// What a device goes on with after its process has ended, besides its prekeys' private halves, which it is not given
/// back: sessions read them where they are kept.
pub struct SavedKeys {
    /// The identity.
    pub identity: IdentityPair,
    /// The registration id.
    pub registration_id: RegistrationId,
    /// The newest signed prekey.
    pub signed_pre_key: SignedPreKey,
    /// The newest last-resort Kyber key.
    pub last_resort: Option<KyberPreKey>,
    /// What a registration publishes; empty once it has.
    pub first: PublishedKeys,
    /// How many were made.
    pub made: MadeKeyCounts,
}

/// How many prekeys were ever made of each kind, which are their last ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeKeyCounts {
    /// Signed prekeys.
    pub signed: u64,
    /// One-time prekeys.
    pub one_time: u64,
    /// Kyber prekeys.
    pub kyber: u64,
}

/// The keys of one device.
pub struct DeviceKeys {
    identity: IdentityPair,
    registration_id: RegistrationId,
    signed_pre_key: SignedPreKey,
    last_resort: Option<KyberPreKey>,
    /// The one-time keys of the registration.
    first: PublishedKeys,
    signed: PairPool<CurvePair>,
    one_time: PairPool<CurvePair>,
    /// Last-resort and one-time keys: they share the numbers.
    kyber: PairPool<KyberPair>,
}

impl DeviceKeys {
    /// Fresh keys of a new device.
    ///
    /// # Errors
    /// None that can happen: the ids last for any count.
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

    /// The keys of a device that goes on.
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

    /// What a registration publishes.
    pub fn first(&self) -> &PublishedKeys {
        &self.first
    }

    /// Makes more one-time keys, to be published.
    ///
    /// # Errors
    /// The ids have run out.
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

    /// Makes the next signed prekey and, where there is one, the next last-resort key, to be published.
    ///
    /// # Errors
    /// The ids have run out.
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

    /// The identity, which signs.
    pub fn identity(&self) -> &IdentityPair {
        &self.identity
    }

    /// The registration id.
    pub fn registration_id(&self) -> RegistrationId {
        self.registration_id
    }

    /// The newest signed prekey.
    pub fn signed_pre_key(&self) -> &SignedPreKey {
        &self.signed_pre_key
    }

    /// The newest last-resort Kyber key.
    pub fn last_resort(&self) -> Option<&KyberPreKey> {
        self.last_resort.as_ref()
    }

    /// How many were made.
    pub fn made(&self) -> MadeKeyCounts {
        let (signed, one_time, kyber) = (self.signed.made(), self.one_time.made(), self.kyber.made());
        MadeKeyCounts { signed, one_time, kyber }
    }

    /// The pairs of the signed prekeys that were made since the beginning or [`DeviceKeys::restore`].
    pub fn signed_pairs(&self) -> impl Iterator<Item = (KeyId, &CurvePair)> {
        self.signed.iter()
    }

    /// The same of the one-time prekeys.
    pub fn one_time_pairs(&self) -> impl Iterator<Item = (KeyId, &CurvePair)> {
        self.one_time.iter()
    }

    /// The same of the Kyber prekeys.
    pub fn kyber_pairs(&self) -> impl Iterator<Item = (KeyId, &KyberPair)> {
        self.kyber.iter()
    }

    /// The pair of a signed prekey, new or old, for sessions.
    pub fn signed_pair(&self, id: KeyId) -> Option<&CurvePair> {
        self.signed.get(id)
    }

    /// The pair of a one-time prekey, for sessions.
    pub fn one_time_pair(&self, id: KeyId) -> Option<&CurvePair> {
        self.one_time.get(id)
    }

    /// The pair of a Kyber prekey, one-time or last-resort, for sessions.
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
