//! The device itself: its names, keys and tokens, and single values such as times.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_protocol::key::{NonceRandom, RegistrationId, Signature};
use eko_protocol::key_package::{KyberPreKey, PublishedKeys, SignedPreKey};
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{DeviceStoreError, Transaction};
use crate::device::{DeviceTokens, SavedDevice};
use crate::joining::JoiningCode;
use crate::keys::{DeviceKeys, IdentityPair, KeyCounts, MadeKeyCounts, SavedKeys};
use crate::stored_time::lasts;
use crate::{Device, SignInChallenge, Transport};

/// The name under which the numbers of one-time keys that the device tops up to are kept.
const KEY_COUNTS: &str = "key_counts";
/// The name under which the secret of the joining code is kept.
const JOINING_CODE: &str = "joining_code";
/// The name under which the random bytes of a sign-in's nonce are kept.
const NONCE_RANDOM: &str = "nonce_random";

impl Transaction<'_> {
    /// Returns the device of this store, if there is one.
    pub(crate) fn account(&self) -> Result<Option<SavedDevice>, DeviceStoreError> {
        let Some(device) = self.text("device")? else { return Ok(None) };
        let corrupt = DeviceStoreError::Corrupt("device");
        let user = self.text("user")?.and_then(|user| UserName::parse(&user).ok());
        let (Some(origin), Some(user)) = (self.origin()?, user) else { return Err(corrupt) };
        let id = DeviceId::parse(&device).map_err(|_| corrupt)?;
        let possession = self.bytes("possession")?.and_then(|bytes| Signature::from_bytes(&bytes).ok());
        let possession = possession.ok_or(DeviceStoreError::Corrupt("possession"))?;
        let (name, keys, tokens) = (self.text("device_name")?, self.device_keys()?, self.tokens()?);
        Ok(Some(SavedDevice { origin, user, id, possession, name, keys, tokens }))
    }

    /// Keeps a new device with all its keys.
    pub(crate) fn keep_device<T: Transport>(
        &self,
        device: &Device<T>,
        now_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let keys = device.keys();
        self.put("origin", device.origin().as_str().as_bytes())?;
        self.put("user", device.user().as_str().as_bytes())?;
        self.put("device", device.id().as_str().as_bytes())?;
        self.put("possession", device.possession().as_bytes())?;
        if let Some(name) = device.name() {
            self.put("device_name", name.as_bytes())?;
        }
        self.put("identity", keys.identity().secret())?;
        self.put("registration_id", keys.registration_id().to_string().as_bytes())?;
        self.put_moment("keys_renewed", now_ms)?;
        self.put_moment("keys_checked", now_ms)?;
        self.keep_keys(keys, now_ms)
    }

    /// Records that the device is registered, so that the keys of the registration are not
    /// published again.
    pub(crate) fn registered(&self) -> Result<(), DeviceStoreError> {
        self.put_json("first", &PublishedKeys::default())
    }

    /// True if the device is known to be registered.
    pub(crate) fn is_registered(&self) -> Result<bool, DeviceStoreError> {
        Ok(self.json::<PublishedKeys>("first")?.unwrap_or_default().signed_pre_key.is_none())
    }

    /// Returns the actor id of this user, if it is known.
    pub(super) fn own_actor(&self) -> Result<Option<String>, DeviceStoreError> {
        Ok(self.origin()?.zip(self.text("user")?).map(|(origin, user)| format!("{origin}/user/{user}")))
    }

    /// Returns the address of this device, if its keys were made.
    pub(super) fn own_device(&self) -> Result<Option<String>, DeviceStoreError> {
        let id = self.text("device")?;
        Ok(self.own_actor()?.zip(id).map(|(actor, id)| format!("{actor}/device/{id}")))
    }

    fn origin(&self) -> Result<Option<Origin>, DeviceStoreError> {
        Ok(self.text("origin")?.and_then(|origin| Origin::parse(&origin).ok()))
    }

    /// Returns the device's keys, without the private halves of prekeys.
    pub(crate) fn device_keys(&self) -> Result<DeviceKeys, DeviceStoreError> {
        let corrupt = || DeviceStoreError::Corrupt("key");
        let identity = self.bytes("identity")?.map(Zeroizing::new).ok_or_else(corrupt)?;
        let identity = <[u8; 32]>::try_from(identity.as_slice()).map_err(|_| corrupt())?;
        let registration_id = self.text("registration_id")?.and_then(|id| id.parse().ok());
        let registration_id = registration_id.and_then(|id| RegistrationId::new(id).ok());
        Ok(DeviceKeys::restore(SavedKeys {
            identity: IdentityPair::from_secret(identity),
            registration_id: registration_id.ok_or_else(corrupt)?,
            signed_pre_key: self.json::<SignedPreKey>("signed_pre_key")?.ok_or_else(corrupt)?,
            last_resort: self.json::<KyberPreKey>("last_resort")?,
            first: self.json::<PublishedKeys>("first")?.unwrap_or_default(),
            made: MadeKeyCounts {
                signed: self.number("made_signed")?,
                one_time: self.number("made_one_time")?,
                kyber: self.number("made_kyber")?,
            },
        }))
    }

    /// Keeps the newest keys and the private halves of those that were made.
    pub(crate) fn keep_keys(&self, keys: &DeviceKeys, now_ms: i64) -> Result<(), DeviceStoreError> {
        self.put_json("signed_pre_key", keys.signed_pre_key())?;
        self.put_json("last_resort", &keys.last_resort())?;
        self.put_json("first", keys.first())?;
        let made = keys.made();
        for (name, count) in
            [("made_signed", made.signed), ("made_one_time", made.one_time), ("made_kyber", made.kyber)]
        {
            self.put(name, count.to_string().as_bytes())?;
        }
        self.keep_pre_keys(keys, now_ms)
    }

    /// Keeps the numbers of one-time keys that the device begins with, and tops up to.
    pub(crate) fn keep_key_counts(&self, counts: KeyCounts) -> Result<(), DeviceStoreError> {
        self.put_json(KEY_COUNTS, &[counts.pre_keys, counts.kyber_pre_keys])
    }

    /// Returns the numbers of one-time keys that the device tops up to. A store of a former version has none.
    pub(crate) fn key_counts(&self) -> Result<KeyCounts, DeviceStoreError> {
        let defaults = KeyCounts::default();
        Ok(match self.json::<[u16; 2]>(KEY_COUNTS)? {
            Some([pre_keys, kyber_pre_keys]) => KeyCounts { pre_keys, kyber_pre_keys, ..defaults },
            None => defaults,
        })
    }

    /// Returns the tokens that the device is signed in with.
    pub(crate) fn tokens(&self) -> Result<Option<DeviceTokens>, DeviceStoreError> {
        let (access, refresh) = (self.text("access_token")?, self.text("refresh_token")?);
        let expires_ms = self.text("token_expires")?.and_then(|ms| ms.parse().ok()).unwrap_or_default();
        Ok(access.zip(refresh).map(|(access, refresh)| DeviceTokens { access, refresh, expires_ms }))
    }

    /// Keeps tokens, or deletes them.
    pub(crate) fn keep_tokens(&self, tokens: Option<&DeviceTokens>) -> Result<(), DeviceStoreError> {
        let Some(tokens) = tokens else {
            let sql = "DELETE FROM account WHERE name IN ('access_token', 'refresh_token', 'token_expires')";
            self.inner.execute(sql, [])?;
            return Ok(());
        };
        self.put("access_token", tokens.access.as_bytes())?;
        self.put("refresh_token", tokens.refresh.as_bytes())?;
        self.put("token_expires", tokens.expires_ms.to_string().as_bytes())
    }

    /// Returns the challenge of a sign-in of this device that is not over.
    pub(crate) fn challenge<T: Transport>(
        &self,
        device: &Device<T>,
    ) -> Result<Option<SignInChallenge>, DeviceStoreError> {
        let random = self.json::<NonceRandom>(NONCE_RANDOM)?;
        let identity = device.keys().identity().public();
        Ok(random.map(|random| SignInChallenge::new(device.origin(), &identity, random)))
    }

    /// Keeps the challenge of a sign-in that begins.
    pub(crate) fn keep_challenge(&self, challenge: &SignInChallenge) -> Result<(), DeviceStoreError> {
        self.put_json(NONCE_RANDOM, challenge.random())
    }

    /// Deletes the challenge of a sign-in that has succeeded. The next one has another.
    pub(crate) fn forget_challenge(&self) -> Result<(), DeviceStoreError> {
        self.delete(NONCE_RANDOM)
    }

    /// Returns the joining code, while the device waits for approval.
    pub(crate) fn joining_code(&self) -> Result<Option<JoiningCode>, DeviceStoreError> {
        let Some(secret) = self.bytes(JOINING_CODE)?.map(Zeroizing::new) else { return Ok(None) };
        let secret = secret.as_slice().try_into().map_err(|_| DeviceStoreError::Corrupt("joining code"))?;
        Ok(Some(JoiningCode::from_secret(secret)))
    }

    /// Keeps the joining code of a device that is about to register as a further one.
    pub(crate) fn keep_joining_code(&self, code: &JoiningCode) -> Result<(), DeviceStoreError> {
        self.put(JOINING_CODE, code.secret())
    }

    /// Deletes the joining code.
    pub(crate) fn forget_joining_code(&self) -> Result<(), DeviceStoreError> {
        self.delete(JOINING_CODE)
    }

    /// Takes the lease of this name for `lease_ms`. Returns false if another process has it.
    pub(crate) fn take_lease(
        &self,
        name: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        let free = self.moment(name)?.is_none_or(|until_ms| !lasts(now_ms, until_ms, lease_ms));
        if free {
            self.put_moment(name, now_ms.saturating_add(lease_ms))?;
        }
        Ok(free)
    }

    /// Returns the time that is kept under a name, in epoch milliseconds.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<i64>, DeviceStoreError> {
        Ok(self.text(name)?.and_then(|ms| ms.parse().ok()))
    }

    /// Keeps a time under a name.
    pub(crate) fn put_moment(&self, name: &str, ms: i64) -> Result<(), DeviceStoreError> {
        self.put(name, ms.to_string().as_bytes())
    }

    /// Moves the mark of this name forward to a position. Returns false if it is there already.
    pub(crate) fn pass_mark(&self, name: &str, position: i64) -> Result<bool, DeviceStoreError> {
        let is_new = self.moment(name)?.is_none_or(|mark| mark < position);
        if is_new {
            self.put_moment(name, position)?;
        }
        Ok(is_new)
    }

    pub(crate) fn put_json(&self, name: &str, value: &impl Serialize) -> Result<(), DeviceStoreError> {
        let json = serde_json::to_vec(value).map_err(|_| DeviceStoreError::Corrupt("value"))?;
        self.put(name, &json)
    }

    pub(crate) fn json<V: DeserializeOwned>(&self, name: &str) -> Result<Option<V>, DeviceStoreError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map_err(|_| DeviceStoreError::Corrupt("value"))
    }

    fn number(&self, name: &str) -> Result<u64, DeviceStoreError> {
        self.text(name)?.and_then(|n| n.parse().ok()).ok_or(DeviceStoreError::Corrupt("number"))
    }

    fn text(&self, name: &str) -> Result<Option<String>, DeviceStoreError> {
        let text = self.bytes(name)?.map(String::from_utf8).transpose();
        text.map_err(|_| DeviceStoreError::Corrupt("text"))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT value FROM account WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Returns the ends of the names that begin with `prefix`, in order.
    pub(super) fn names(&self, prefix: &str) -> Result<Vec<String>, DeviceStoreError> {
        let sql = "SELECT substr(name, length(?1) + 1) FROM account WHERE name >= ?1 AND name < ?1 || char(1114111) \
                   ORDER BY name";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_map([prefix], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM account WHERE name = ?1", [name])?;
        Ok(())
    }

    pub(super) fn put(&self, name: &str, value: &[u8]) -> Result<(), DeviceStoreError> {
        let sql =
            "INSERT INTO account (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        self.inner.prepare_cached(sql)?.execute(params![name, value])?;
        Ok(())
    }
}
