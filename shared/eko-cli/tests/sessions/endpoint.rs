//! One end of sessions: a device's keys, and the session records that it keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::keys::{CurvePair, KyberPair};
use eko_client::sessions::{DecryptedMessage, KyberUse, LocalDevice, PeerDevice, PrivateKeys};
use eko_client::{DeviceKeys, Environment, KeyCounts, SessionError, SignalSessions};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_protocol::key::{IdentityKey, KeyId};
use eko_protocol::key_package::KeyPackage;

pub(crate) const START_MS: i64 = 1_769_715_000_000;

pub(crate) struct SessionEndpoint {
    origin: Origin,
    user: UserName,
    id: DeviceId,
    pub(crate) keys: DeviceKeys,
    pub(crate) environment: Environment,
    /// The session records, by the address of the other device.
    pub(crate) records: BTreeMap<String, Vec<u8>>,
    /// The one-time prekeys that first messages have used up.
    pub(crate) spent: BTreeSet<KeyId>,
    /// The uses of Kyber prekeys.
    pub(crate) used: Vec<KyberUse>,
}

/// Returns an environment with a fixed time, whose random bytes are the same in each run.
pub(crate) fn repeatable(now_ms: i64) -> Environment {
    let drawn = Mutex::new(0u64);
    let random = move |bytes: &mut [u8]| {
        let mut drawn = drawn.lock().unwrap();
        for byte in bytes {
            *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = drawn.to_le_bytes()[7];
        }
    };
    Environment { clock: Arc::new(move || now_ms), random: Arc::new(random) }
}

impl SessionEndpoint {
    pub(crate) fn new(user: &str) -> Self {
        Self::with(user, Environment::system())
    }

    pub(crate) fn with(user: &str, environment: Environment) -> Self {
        let counts = KeyCounts { pre_keys: 3, kyber_pre_keys: 2, last_resort: true };
        Self {
            origin: Origin::parse("https://a.example").unwrap(),
            user: UserName::parse(user).unwrap(),
            id: environment.device_id(),
            keys: DeviceKeys::generate(counts, &environment).unwrap(),
            environment,
            records: BTreeMap::new(),
            spent: BTreeSet::new(),
            used: Vec::new(),
        }
    }

    pub(crate) fn address(&self) -> String {
        self.origin.device(&self.user, &self.id)
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        self.keys.identity().public()
    }

    /// Returns the key package that a server gives out if no one-time keys are left.
    pub(crate) fn package(&self) -> KeyPackage {
        KeyPackage::new(
            &self.origin,
            &self.user,
            &self.id,
            self.identity(),
            self.keys.registration_id(),
            self.keys.signed_pre_key().clone(),
            self.keys.last_resort().cloned(),
        )
    }

    /// Returns the key package with the `n`th one-time keys of both kinds.
    pub(crate) fn package_with(&self, n: usize) -> KeyPackage {
        let first = self.keys.first();
        KeyPackage {
            pre_key: first.pre_keys.get(n).cloned(),
            kyber_pre_key: first.kyber_pre_keys.get(n).cloned(),
            ..self.package()
        }
    }

    pub(crate) fn begin(&mut self, with: &SessionEndpoint, package: &KeyPackage) -> Result<(), SessionError> {
        let (address, identity) = (with.address(), with.identity());
        let record = self.records.get(&address).map(Vec::as_slice);
        let peer = PeerDevice { address: &address, identity: &identity };
        let record = LibSignal.begin(self.own(&self.address()), peer, package, record)?;
        self.records.insert(address, record);
        Ok(())
    }

    pub(crate) fn try_write(&mut self, to: &SessionEndpoint, text: &str) -> Result<Vec<u8>, SessionError> {
        let (address, identity) = (to.address(), to.identity());
        let peer = PeerDevice { address: &address, identity: &identity };
        let record = self.records.get(&address).map_or(&[][..], Vec::as_slice);
        let encrypted = LibSignal.encrypt(self.own(&self.address()), peer, record, text.as_bytes())?;
        self.records.insert(address, encrypted.record);
        Ok(encrypted.content)
    }

    pub(crate) fn write(&mut self, to: &SessionEndpoint, text: &str) -> Vec<u8> {
        self.try_write(to, text).unwrap()
    }

    /// Decrypts a message without keeping the result.
    pub(crate) fn look(
        &self,
        from: &SessionEndpoint,
        content: &[u8],
    ) -> Result<DecryptedMessage, SessionError> {
        let (address, identity) = (from.address(), from.identity());
        let peer = PeerDevice { address: &address, identity: &identity };
        let record = self.records.get(&address).map(Vec::as_slice);
        LibSignal.decrypt(self.own(&self.address()), peer, record, self, content)
    }

    /// Decrypts a message, keeps the session record, and removes the used prekeys.
    pub(crate) fn read(&mut self, from: &SessionEndpoint, content: &[u8]) -> Result<String, SessionError> {
        let decrypted = self.look(from, content)?;
        self.records.insert(from.address(), decrypted.record);
        self.spent.extend(decrypted.one_time);
        self.used.extend(decrypted.kyber);
        Ok(String::from_utf8(decrypted.plaintext).unwrap())
    }

    pub(crate) fn own<'a>(&'a self, address: &'a str) -> LocalDevice<'a> {
        LocalDevice {
            address,
            identity: self.keys.identity(),
            registration_id: self.keys.registration_id(),
            environment: &self.environment,
        }
    }
}

impl PrivateKeys for SessionEndpoint {
    fn signed(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError> {
        Ok(self.keys.signed_pair(id).map(copied))
    }

    fn one_time(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError> {
        Ok(self.keys.one_time_pair(id).filter(|_| !self.spent.contains(&id)).map(copied))
    }

    fn kyber(&self, id: KeyId) -> Result<Option<KyberPair>, SessionError> {
        let is_last_resort = self.keys.last_resort().is_some_and(|key| key.id == id);
        let is_there = is_last_resort || self.used.iter().all(|used| used.id != id);
        let pair = self.keys.kyber_pair(id).filter(|_| is_there);
        Ok(pair.map(|pair| KyberPair::from_seed(*pair.seed())))
    }

    fn was_used(&self, kyber: &KyberUse) -> Result<bool, SessionError> {
        Ok(self.used.contains(kyber))
    }
}

fn copied(pair: &CurvePair) -> CurvePair {
    CurvePair::from_secret(*pair.secret())
}

/// Returns two endpoints. The first has begun a session with the second's first one-time keys.
pub(crate) fn begun() -> (SessionEndpoint, SessionEndpoint) {
    let (mut alice, bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
    alice.begin(&bob, &bob.package_with(0)).unwrap();
    (alice, bob)
}

/// Returns two endpoints that have each read a message of the other.
pub(crate) fn acquainted() -> (SessionEndpoint, SessionEndpoint) {
    let (mut alice, mut bob) = begun();
    let content = alice.write(&bob, "hello");
    assert_eq!(bob.read(&alice, &content), Ok("hello".to_owned()));
    let content = bob.write(&alice, "hello yourself");
    assert_eq!(alice.read(&bob, &content), Ok("hello yourself".to_owned()));
    (alice, bob)
}
