//! The devices of the examples and of the test vectors: their ids are chosen, and every key follows
//! from a label.

use eko_client::device::{Device, SavedDevice};
use eko_client::group::GroupSigner;
use eko_client::keys::{CurvePair, IdentityPair, KyberPair, MadeKeyCounts, SavedKeys};
use eko_client::transport::Transport;
use eko_client::{DeviceKeys, Environment, JoiningCode};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{NewDevice, possession_base};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{KeyId, RegistrationId, Signature};
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey, PublishedKeys, SignedPreKey};
use eko_service::state::Clock;
use eko_testkit::{START_MS, seeded};

/// A device that is not registered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceRole {
    /// The user's name.
    pub(crate) user: &'static str,
    /// The device's id.
    pub(crate) id: &'static str,
    /// The device's name.
    pub(crate) name: &'static str,
    /// The device's registration id.
    registration_id: u64,
}

/// Alice's first device.
pub(crate) const ALICE: DeviceRole = role("alice", "a11ce001-5c1b-4e9a-9d2f-6b7c1a2e3d40", "Phone", 4711);
/// Alice's second device.
pub(crate) const ALICE_TABLET: DeviceRole =
    role("alice", "a11ce002-5c1b-4e9a-9d2f-6b7c1a2e3d40", "Tablet", 815);
/// Alice's third device.
pub(crate) const ALICE_LAPTOP: DeviceRole =
    role("alice", "a11ce003-5c1b-4e9a-9d2f-6b7c1a2e3d40", "Laptop", 12_345);
/// The first device of the account to which Alice moves.
pub(crate) const ALINA: DeviceRole = role("alina", "a11ce101-5c1b-4e9a-9d2f-6b7c1a2e3d40", "Phone", 2211);
/// Bob's first device.
pub(crate) const BOB: DeviceRole = role("bob", "b0b00001-5c1b-4e9a-9d2f-6b7c1a2e3d40", "Phone", 1234);
/// Bob's second device.
pub(crate) const BOB_LAPTOP: DeviceRole = role("bob", "b0b00002-5c1b-4e9a-9d2f-6b7c1a2e3d40", "Laptop", 5678);

const fn role(user: &'static str, id: &'static str, name: &'static str, registration_id: u64) -> DeviceRole {
    DeviceRole { user, id, name, registration_id }
}

/// Returns a clock that stands still at the examples' time.
pub(crate) fn stopped() -> Clock {
    std::sync::Arc::new(|| START_MS)
}

/// Returns an environment whose random bytes follow from a label.
pub(crate) fn environment(label: &str, clock: Clock) -> Environment {
    Environment { clock, random: seeded(format!("docs/vectors: {label}")) }
}

/// Has an actor's only device sign controls and grants of groups, with a device set of one node.
pub(crate) fn signing<R>(
    actor: &str,
    environment: &Environment,
    work: impl FnOnce(&GroupSigner<'_>) -> R,
) -> R {
    let identity = member_identity(actor);
    let device = member_device(actor);
    let device_set = Some(&member_set(actor));
    work(&GroupSigner { actor, device: &device, identity: &identity, device_set, environment })
}

/// Returns the address of that device.
pub(crate) fn member_device(actor: &str) -> String {
    format!("{actor}/device/0e0d0001-5c1b-4e9a-9d2f-6b7c1a2e3d40")
}

/// Returns that actor's device set.
pub(crate) fn member_set(actor: &str) -> DeviceSetRef {
    let head: [u8; 32] = environment(&format!("head of {actor}"), stopped()).bytes();
    DeviceSetRef::new(1, head.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).unwrap()
}

/// Returns the identity of that device.
pub(crate) fn member_identity(actor: &str) -> IdentityPair {
    IdentityPair::from_secret(environment(&format!("group member {actor}"), stopped()).bytes())
}

impl DeviceRole {
    fn label(&self, what: &str) -> String {
        format!("{} {} {what}", self.user, self.name)
    }

    /// Returns the user's name.
    pub(crate) fn user(&self) -> UserName {
        UserName::parse(self.user).unwrap()
    }

    /// Returns the device's id.
    pub(crate) fn device_id(&self) -> DeviceId {
        DeviceId::parse(self.id).unwrap()
    }

    fn secret(&self, what: &str) -> [u8; 32] {
        environment(&self.label(what), stopped()).bytes()
    }

    /// Returns the device's identity.
    pub(crate) fn identity(&self) -> IdentityPair {
        IdentityPair::from_secret(self.secret("identity"))
    }

    /// Returns the device as it registers at a server.
    pub(crate) fn new_device(&self, origin: &Origin) -> NewDevice {
        NewDevice {
            id: self.device_id(),
            identity_key: self.identity().public(),
            registration_id: self.registration_id(),
            possession: self.possession(origin),
        }
    }

    /// Signs bytes with the device's identity key, with a nonce that follows from `what`.
    pub(crate) fn sign(&self, bytes: &[u8], what: &str) -> Signature {
        self.identity().sign(bytes, &environment(&self.label(what), stopped()))
    }

    /// Returns the secret of the device's joining code.
    pub(crate) fn joining_secret(&self) -> [u8; 16] {
        environment(&self.label("joining code"), stopped()).bytes()
    }

    /// Returns the device's joining code.
    pub(crate) fn joining_code(&self) -> JoiningCode {
        JoiningCode::from_secret(self.joining_secret())
    }

    /// Returns the device's registration id.
    pub(crate) fn registration_id(&self) -> RegistrationId {
        RegistrationId::new(self.registration_id).unwrap()
    }

    /// Returns the private half of a one-time prekey.
    pub(crate) fn one_time(&self, id: u64) -> CurvePair {
        CurvePair::from_secret(self.secret(&format!("one-time prekey {id}")))
    }

    /// Returns the private half of the signed prekey.
    pub(crate) fn signed(&self) -> CurvePair {
        CurvePair::from_secret(self.secret("signed prekey"))
    }

    /// Returns the private half of a Kyber prekey.
    pub(crate) fn kyber(&self, id: u64) -> KyberPair {
        let label = self.label(&format!("Kyber prekey {id}"));
        KyberPair::from_seed(environment(&label, stopped()).bytes())
    }

    /// Returns the signed prekey, of id 1.
    pub(crate) fn signed_pre_key(&self) -> SignedPreKey {
        let key = self.signed().public();
        let signature = self.sign(key.as_bytes(), "signed prekey's signature");
        SignedPreKey { id: KeyId::new(1).unwrap(), key, signature }
    }

    /// Returns a one-time prekey.
    pub(crate) fn pre_key(&self, id: u64) -> OneTimePreKey {
        OneTimePreKey { id: KeyId::new(id).unwrap(), key: self.one_time(id).public() }
    }

    /// Returns a Kyber prekey, one-time or last-resort.
    pub(crate) fn kyber_pre_key(&self, id: u64) -> KyberPreKey {
        let key = self.kyber(id).public().clone();
        let signature = self.sign(key.as_bytes(), &format!("Kyber prekey {id}'s signature"));
        KyberPreKey { id: KeyId::new(id).unwrap(), key, signature }
    }

    /// Returns the device's keys: a signed prekey, a last-resort Kyber key of id 1, two one-time
    /// prekeys of ids 1 and 2, and a one-time Kyber key of id 2.
    pub(crate) fn keys(&self) -> DeviceKeys {
        let last_resort = Some(self.kyber_pre_key(1));
        let first = PublishedKeys {
            signed_pre_key: Some(self.signed_pre_key()),
            last_resort: last_resort.clone(),
            pre_keys: vec![self.pre_key(1), self.pre_key(2)],
            kyber_pre_keys: vec![self.kyber_pre_key(2)],
        };
        DeviceKeys::restore(SavedKeys {
            identity: self.identity(),
            registration_id: self.registration_id(),
            signed_pre_key: self.signed_pre_key(),
            last_resort,
            first,
            made: MadeKeyCounts { signed: 1, one_time: 2, kyber: 2 },
        })
    }

    /// Returns the device's `possession` at a server.
    pub(crate) fn possession(&self, origin: &Origin) -> Signature {
        let (actor, address) = (origin.actor(&self.user()), origin.device(&self.user(), &self.device_id()));
        let base = possession_base(&actor, &address, &self.identity().public(), self.registration_id());
        self.sign(&base, "possession")
    }

    /// Returns the device, not registered, at a server.
    pub(crate) fn device<T: Transport>(&self, transport: T, origin: &Origin, clock: Clock) -> Device<T> {
        let saved = SavedDevice {
            origin: origin.clone(),
            user: self.user(),
            id: self.device_id(),
            possession: self.possession(origin),
            name: Some(self.name.to_owned()),
            keys: self.keys(),
            tokens: None,
        };
        Device::restore(transport, saved, environment(&self.label("device"), clock))
    }
}
