//! What a device publishes and keeps: `D#{user}#{device}` / `PREKEYS`.
//!
//! `ik` identity key, `rid` registration id, `pos` possession signature, `nm` device name, `at` registered
//! (epoch milliseconds); `si`, `sp`, `ss` signed prekey: id, key, signature; `li`, `lp`, `ls` the last-resort
//! Kyber key likewise. Apart from the device's own record, since that one is written by every take.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{CurveKey, IdentityKey, KeyId, KyberKey, RegistrationId, Signature};
use eko_protocol::key_package::{KyberPreKey, SignedPreKey};

use crate::attribute::{Item, ReadItem, b, corrupt, n, s};
use crate::device::DeviceAddress;
use crate::{Result, Store, key};

/// A device's public keys without the one-time ones.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    /// Its identity key.
    pub identity_key: IdentityKey,
    /// Its registration id.
    pub registration_id: RegistrationId,
    /// Its signature that it holds the identity key.
    pub possession: Signature,
    /// Its name, sealed or plain as the client chose.
    pub name: Option<String>,
    /// When it registered, epoch milliseconds.
    pub registered_ms: i64,
    /// Its signed prekey.
    pub signed_pre_key: SignedPreKey,
    /// Its last-resort Kyber key; without one it is the legacy X3DH profile.
    pub last_resort: Option<KyberPreKey>,
}

impl DeviceKeys {
    pub(crate) fn item(&self, address: DeviceAddress<'_>) -> Item {
        let mut item = key::prekeys(address).item();
        item.insert("ik".to_owned(), b(*self.identity_key.as_bytes()));
        item.insert("rid".to_owned(), n(self.registration_id.get()));
        item.insert("pos".to_owned(), b(*self.possession.as_bytes()));
        item.insert("at".to_owned(), n(self.registered_ms));
        if let Some(name) = &self.name {
            item.insert("nm".to_owned(), s(name));
        }
        let signed = Some(&self.signed_pre_key);
        item.extend(
            replaceable(signed, self.last_resort.as_ref()).map(|(name, value)| (name.to_owned(), value)),
        );
        item
    }

    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            identity_key: IdentityKey::from_bytes(item.need_b("ik")?).map_err(corrupt)?,
            registration_id: RegistrationId::new(item.need_n("rid")?.unsigned_abs()).map_err(corrupt)?,
            possession: signature(item, "pos")?,
            name: item.get_s("nm").map(str::to_owned),
            registered_ms: item.need_n("at")?,
            signed_pre_key: SignedPreKey {
                id: key_id(item, "si")?,
                key: CurveKey::from_bytes(item.need_b("sp")?).map_err(corrupt)?,
                signature: signature(item, "ss")?,
            },
            last_resort: match item.get_b("lp") {
                None => None,
                Some(bytes) => Some(KyberPreKey {
                    id: key_id(item, "li")?,
                    key: KyberKey::from_bytes(bytes).map_err(corrupt)?,
                    signature: signature(item, "ls")?,
                }),
            },
        })
    }
}

/// The attributes of the keys that a device replaces from time to time.
pub(crate) fn replaceable(
    signed: Option<&SignedPreKey>,
    last_resort: Option<&KyberPreKey>,
) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    let signed = signed.map(|key| {
        [("si", n(key.id.get())), ("sp", b(*key.key.as_bytes())), ("ss", b(*key.signature.as_bytes()))]
    });
    let last_resort = last_resort.map(|key| {
        [("li", n(key.id.get())), ("lp", b(key.key.as_bytes())), ("ls", b(*key.signature.as_bytes()))]
    });
    signed.into_iter().chain(last_resort).flatten()
}

fn key_id(item: &Item, name: &str) -> Result<KeyId> {
    KeyId::new(item.need_n(name)?.unsigned_abs()).map_err(corrupt)
}

fn signature(item: &Item, name: &str) -> Result<Signature> {
    Signature::from_bytes(item.need_b(name)?).map_err(corrupt)
}

impl Store {
    /// The keys of some devices of a user, at most 16, in one BatchGetItem; a device without keys is left
    /// out.
    pub async fn device_keys<'a>(
        &self,
        user: &UserName,
        devices: impl IntoIterator<Item = &'a DeviceId>,
    ) -> Result<BTreeMap<DeviceId, DeviceKeys>> {
        let wanted: Vec<(DeviceId, key::ItemKey)> = devices
            .into_iter()
            .map(|device| (device.clone(), key::prekeys(DeviceAddress::new(user, device))))
            .collect();
        let items = self.batch_get(wanted.iter().map(|(_, key)| key.clone()).collect()).await?;
        wanted
            .into_iter()
            .filter_map(|(device, key)| {
                let item = items.iter().find(|item| item.get_s("pk") == Some(key.pk.as_str()))?;
                Some(DeviceKeys::from_item(item).map(|keys| (device, keys)))
            })
            .collect()
    }

    /// The keys of one device, in one BatchGetItem; `None` if the device has none.
    pub async fn own_keys(&self, address: DeviceAddress<'_>) -> Result<Option<DeviceKeys>> {
        Ok(self.device_keys(address.user, [address.device]).await?.remove(address.device))
    }
}
