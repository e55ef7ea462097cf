//! A device's lasting keys: the keys that takes do not consume.
//!
//! They are apart from the device record ([`crate::device`]), because every take writes that one
//! and a write costs the size of the whole item.
//!
//! # Item `D#{user}#{device}` / `PREKEYS`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `ik` | B | | the identity key |
//! | `rid` | N | | the registration id |
//! | `pos` | B | | the signature that proves the possession of the identity key |
//! | `jm` | B | | the MAC by which the user's other devices recognise a further device |
//! | `nm` | S | | the name of the device, encrypted or plain, as the client chose |
//! | `at` | N | epoch ms | the time of registration |
//! | `si`, `sp`, `ss` | N, B, B | | the signed prekey: id, key, signature |
//! | `li`, `lp`, `ls` | N, B, B | | the last-resort Kyber prekey: id, key, signature |
//! | `pm` | N | epoch ms | the time that the publication of these prekeys states; missing for those of the registration |

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::NewDevice;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{CurveKey, IdentityKey, JoiningMac, KeyId, KyberKey, RegistrationId, Signature};
use eko_protocol::key_package::{KeyPackage, KyberPreKey, SignedPreKey};

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n, s};
use crate::device::DeviceAddress;
use crate::{Result, Store, key};

/// The names of the attributes.
pub(crate) mod attr {
    pub(super) const IDENTITY_KEY: &str = "ik";
    pub(super) const REGISTRATION_ID: &str = "rid";
    pub(super) const POSSESSION: &str = "pos";
    pub(super) const JOINING_MAC: &str = "jm";
    pub(super) const NAME: &str = "nm";
    pub(super) const REGISTERED_MS: &str = "at";
    pub(super) const SIGNED_ID: &str = "si";
    pub(super) const SIGNED_KEY: &str = "sp";
    pub(super) const SIGNED_SIGNATURE: &str = "ss";
    pub(crate) const LAST_RESORT_ID: &str = "li";
    pub(crate) const LAST_RESORT_KEY: &str = "lp";
    pub(crate) const LAST_RESORT_SIGNATURE: &str = "ls";
    pub(crate) const PUBLISHED_MS: &str = "pm";
}

/// A device's lasting keys, with what it said of itself when it registered.
#[derive(Clone, Debug)]
pub struct LastingKeys {
    /// The identity key.
    pub identity_key: IdentityKey,
    /// The registration id.
    pub registration_id: RegistrationId,
    /// The device's signature that proves the possession of the identity key.
    pub possession: Signature,
    /// The MAC by which the user's other devices recognise the device, if it registered as a further
    /// one.
    pub joining_mac: Option<JoiningMac>,
    /// The device's name, encrypted or plain, as the client chose.
    pub name: Option<String>,
    /// The time of registration, epoch milliseconds.
    pub registered_ms: i64,
    /// The signed prekey.
    pub signed_pre_key: SignedPreKey,
    /// The last-resort Kyber prekey. A device without one uses the legacy X3DH profile.
    pub last_resort: Option<KyberPreKey>,
}

impl LastingKeys {
    pub(crate) fn item(&self, address: DeviceAddress<'_>) -> Item {
        let mut item = key::prekeys(address).item();
        item.set(attr::IDENTITY_KEY, b(*self.identity_key.as_bytes()));
        item.set(attr::REGISTRATION_ID, n(self.registration_id.get()));
        item.set(attr::POSSESSION, b(*self.possession.as_bytes()));
        item.set(attr::REGISTERED_MS, n(self.registered_ms));
        if let Some(mac) = &self.joining_mac {
            item.set(attr::JOINING_MAC, b(*mac.as_bytes()));
        }
        if let Some(name) = &self.name {
            item.set(attr::NAME, s(name));
        }
        for (name, value) in replaceable(Some(&self.signed_pre_key), self.last_resort.as_ref()) {
            item.set(name, value);
        }
        item
    }

    /// Returns the device's key package, without one-time keys.
    pub fn package(self, origin: &Origin, user: &UserName, device: &DeviceId) -> KeyPackage {
        KeyPackage::new(
            origin,
            user,
            device,
            self.identity_key,
            self.registration_id,
            self.signed_pre_key,
            self.last_resort,
        )
    }

    /// Returns the device as it registered. `device` is its id.
    pub fn new_device(&self, device: &DeviceId) -> NewDevice {
        NewDevice {
            id: device.clone(),
            identity_key: self.identity_key,
            registration_id: self.registration_id,
            possession: self.possession,
        }
    }

    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            identity_key: IdentityKey::from_bytes(item.need_b(attr::IDENTITY_KEY)?).map_err(corrupt)?,
            registration_id: RegistrationId::new(item.need_u(attr::REGISTRATION_ID)?).map_err(corrupt)?,
            possession: signature(item, attr::POSSESSION)?,
            joining_mac: item
                .get_b(attr::JOINING_MAC)
                .map(JoiningMac::from_bytes)
                .transpose()
                .map_err(corrupt)?,
            name: item.get_s(attr::NAME).map(str::to_owned),
            registered_ms: item.need_n(attr::REGISTERED_MS)?,
            signed_pre_key: SignedPreKey {
                id: key_id(item, attr::SIGNED_ID)?,
                key: CurveKey::from_bytes(item.need_b(attr::SIGNED_KEY)?).map_err(corrupt)?,
                signature: signature(item, attr::SIGNED_SIGNATURE)?,
            },
            last_resort: match item.get_b(attr::LAST_RESORT_KEY) {
                None => None,
                Some(bytes) => Some(KyberPreKey {
                    id: key_id(item, attr::LAST_RESORT_ID)?,
                    key: KyberKey::from_bytes(bytes).map_err(corrupt)?,
                    signature: signature(item, attr::LAST_RESORT_SIGNATURE)?,
                }),
            },
        })
    }
}

/// Returns the attributes, by name, of the keys that a device replaces from time to time.
pub(crate) fn replaceable(
    signed: Option<&SignedPreKey>,
    last_resort: Option<&KyberPreKey>,
) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    let signed = signed.map(|key| {
        [
            (attr::SIGNED_ID, n(key.id.get())),
            (attr::SIGNED_KEY, b(*key.key.as_bytes())),
            (attr::SIGNED_SIGNATURE, b(*key.signature.as_bytes())),
        ]
    });
    let last_resort = last_resort.map(|key| {
        [
            (attr::LAST_RESORT_ID, n(key.id.get())),
            (attr::LAST_RESORT_KEY, b(key.key.as_bytes())),
            (attr::LAST_RESORT_SIGNATURE, b(*key.signature.as_bytes())),
        ]
    });
    signed.into_iter().chain(last_resort).flatten()
}

fn key_id(item: &Item, name: &str) -> Result<KeyId> {
    KeyId::new(item.need_u(name)?).map_err(corrupt)
}

fn signature(item: &Item, name: &str) -> Result<Signature> {
    Signature::from_bytes(item.need_b(name)?).map_err(corrupt)
}

impl Store {
    /// Reads the lasting keys of up to 100 devices of a user, strongly consistent. A device without
    /// keys, for example a revoked one, is left out.
    ///
    /// One BatchGetItem: 1 read unit a device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) and
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the reads;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if keys are not readable.
    pub async fn device_keys<'a>(
        &self,
        user: &UserName,
        devices: impl IntoIterator<Item = &'a DeviceId>,
    ) -> Result<BTreeMap<DeviceId, LastingKeys>> {
        let wanted: Vec<(&DeviceId, key::ItemKey)> = devices
            .into_iter()
            .map(|device| (device, key::prekeys(DeviceAddress::new(user, device))))
            .collect();
        let items = self.batch_get(wanted.iter().map(|(_, key)| key.clone()).collect()).await?;
        let mut keys = BTreeMap::new();
        for (device, key) in wanted {
            if let Some(item) = key.find_in(&items) {
                keys.insert(device.clone(), LastingKeys::from_item(item)?);
            }
        }
        Ok(keys)
    }

    /// Reads the lasting keys of one device; `None` if it has none. Calls, capacity and errors are
    /// those of [`Store::device_keys`].
    pub async fn own_keys(&self, address: DeviceAddress<'_>) -> Result<Option<LastingKeys>> {
        Ok(self.device_keys(address.user, [address.device]).await?.remove(address.device))
    }
}
