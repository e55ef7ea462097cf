//! The private halves of this device's prekeys, as stores for libsignal.

use async_trait::async_trait;
use eko_client::SessionError;
use eko_client::sessions::{KyberUse, PrivateKeys};
use eko_protocol::key::{CurveKey, KeyId};
use libsignal_protocol_syft::{
    GenericSignedPreKey, KyberPreKeyId, KyberPreKeyRecord, KyberPreKeyStore, PreKeyId, PreKeyRecord,
    PreKeyStore, PublicKey, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore,
    Timestamp,
};

use super::convert;
use super::failure::carried;

/// The date of every prekey record. libsignal does not look at the date or the signature of a
/// prekey when it reads a message.
const UNDATED: Timestamp = Timestamp::from_epoch_millis(0);
const UNSIGNED: &[u8] = &[];

/// The private halves of the prekeys. The stores only note which prekeys a first message uses up;
/// the caller removes them together with keeping the new session record.
pub(super) struct PreKeyStores<'a> {
    keys: &'a dyn PrivateKeys,
    spent: Option<KeyId>,
    used: Option<KyberUse>,
}

impl<'a> PreKeyStores<'a> {
    pub(super) fn of(keys: &'a dyn PrivateKeys) -> Self {
        Self { keys, spent: None, used: None }
    }

    /// Returns the one-time prekey that was used up.
    pub(super) fn spent(self) -> Option<KeyId> {
        self.spent
    }

    /// Returns the use of a Kyber prekey.
    pub(super) fn used(self) -> Option<KyberUse> {
        self.used
    }
}

/// Finds a key by the id that a message names.
fn found<K>(
    kind: &'static str,
    id: u32,
    find: impl FnOnce(KeyId) -> Result<Option<K>, SessionError>,
) -> Result<K, SignalProtocolError> {
    // No key of this device has an id out of range.
    let key = KeyId::new(id.into()).map_or(Ok(None), find).map_err(carried)?;
    key.ok_or_else(|| carried(SessionError::MissingKey(kind)))
}

/// The answer to every request to save a prekey. libsignal generates no prekeys, so it has none to
/// save.
fn unexpected_save<T>() -> Result<T, SignalProtocolError> {
    Err(carried(SessionError::Broken("libsignal changes prekeys by itself".to_owned())))
}

#[async_trait(?Send)]
impl PreKeyStore for PreKeyStores<'_> {
    async fn get_pre_key(&self, id: PreKeyId) -> Result<PreKeyRecord, SignalProtocolError> {
        let pair = found("one-time prekey", id.into(), |id| self.keys.one_time(id))?;
        Ok(PreKeyRecord::new(id, &convert::curve_pair(&pair).map_err(carried)?))
    }

    async fn save_pre_key(&mut self, _: PreKeyId, _: &PreKeyRecord) -> Result<(), SignalProtocolError> {
        unexpected_save()
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Result<(), SignalProtocolError> {
        self.spent = Some(found("one-time prekey", id.into(), |id| Ok(Some(id)))?);
        Ok(())
    }
}

#[async_trait(?Send)]
impl SignedPreKeyStore for PreKeyStores<'_> {
    async fn get_signed_pre_key(
        &self,
        id: SignedPreKeyId,
    ) -> Result<SignedPreKeyRecord, SignalProtocolError> {
        let pair = found("signed prekey", id.into(), |id| self.keys.signed(id))?;
        let pair = convert::curve_pair(&pair).map_err(carried)?;
        Ok(SignedPreKeyRecord::new(id, UNDATED, &pair, UNSIGNED))
    }

    async fn save_signed_pre_key(
        &mut self,
        _: SignedPreKeyId,
        _: &SignedPreKeyRecord,
    ) -> Result<(), SignalProtocolError> {
        unexpected_save()
    }
}

#[async_trait(?Send)]
impl KyberPreKeyStore for PreKeyStores<'_> {
    async fn get_kyber_pre_key(&self, id: KyberPreKeyId) -> Result<KyberPreKeyRecord, SignalProtocolError> {
        let pair = found("Kyber prekey", id.into(), |id| self.keys.kyber(id))?;
        let pair = convert::kyber_pair(&pair).map_err(carried)?;
        Ok(KyberPreKeyRecord::new(id, UNDATED, &pair, UNSIGNED))
    }

    async fn save_kyber_pre_key(
        &mut self,
        _: KyberPreKeyId,
        _: &KyberPreKeyRecord,
    ) -> Result<(), SignalProtocolError> {
        unexpected_save()
    }

    async fn mark_kyber_pre_key_used(
        &mut self,
        id: KyberPreKeyId,
        signed: SignedPreKeyId,
        base_key: &PublicKey,
    ) -> Result<(), SignalProtocolError> {
        // Nothing authenticates the encoding of the base key. Only the canonical encoding is
        // accepted; otherwise a replay in another encoding would pass for a new first message.
        let base_key = CurveKey::from_bytes(&base_key.serialize())
            .map_err(|fault| carried(SessionError::Unreadable(format!("its base key {fault}"))))?;
        let id = found("Kyber prekey", id.into(), |id| Ok(Some(id)))?;
        let signed = found("signed prekey", signed.into(), |id| Ok(Some(id)))?;
        let kyber = KyberUse { id, signed, base_key };
        if self.keys.was_used(&kyber).map_err(carried)? {
            return Err(carried(SessionError::Duplicate));
        }
        self.used = Some(kyber);
        Ok(())
    }
}
