//! The private halves of prekeys.

use eko_protocol::key::KeyId;
use rusqlite::{OptionalExtension as _, Row, params};
use zeroize::Zeroizing;

use super::{DeviceStoreError, Transaction};
use crate::keys::{CurvePair, DeviceKeys, KyberPair};
use crate::sessions::{KyberUse, PrivateKeys, SessionError};

/// The kinds of prekeys, as `pre_keys.kind` numbers them.
#[derive(Clone, Copy)]
enum PreKeyKind {
    Signed = 1,
    OneTime = 2,
    Kyber = 3,
}

impl Transaction<'_> {
    /// Keeps the private halves of keys that were made.
    pub(super) fn keep_pre_keys(&self, keys: &DeviceKeys, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO pre_keys (kind, id, secret, made) VALUES (?1, ?2, ?3, ?4)";
        let mut statement = self.inner.prepare_cached(sql)?;
        let mut keep = |kind: PreKeyKind, id: KeyId, secret: &[u8]| {
            statement.execute(params![kind as i64, id.get(), secret, now_ms])
        };
        for (id, pair) in keys.signed_pairs() {
            keep(PreKeyKind::Signed, id, pair.secret())?;
        }
        for (id, pair) in keys.one_time_pairs() {
            keep(PreKeyKind::OneTime, id, pair.secret())?;
        }
        for (id, pair) in keys.kyber_pairs() {
            keep(PreKeyKind::Kyber, id, pair.seed())?;
        }
        Ok(())
    }

    /// Deletes the keys that a first message used up, and records the use of a last-resort key.
    pub(crate) fn spend(
        &self,
        one_time: Option<KeyId>,
        kyber: Option<&KyberUse>,
        last_resort: impl Fn(KeyId) -> bool,
    ) -> Result<(), DeviceStoreError> {
        if let Some(id) = one_time {
            self.forget(PreKeyKind::OneTime, id)?;
        }
        match kyber {
            Some(used) if last_resort(used.id) => {
                let sql = "INSERT OR IGNORE INTO kyber_uses (kyber, signed, base_key) VALUES (?1, ?2, ?3)";
                let (id, signed) = (used.id.get(), used.signed.get());
                self.inner.execute(sql, params![id, signed, used.base_key.as_bytes()])?;
                Ok(())
            }
            Some(used) => self.forget(PreKeyKind::Kyber, used.id),
            None => Ok(()),
        }
    }

    /// Records that a Kyber key is or was a last-resort key.
    pub(crate) fn note_last_resort(&self, id: KeyId) -> Result<(), DeviceStoreError> {
        let mut known: Vec<u32> = self.last_resorts()?;
        if !known.contains(&id.get()) {
            known.push(id.get());
        }
        self.put_json("last_resorts", &known)
    }

    /// Returns the ids of all last-resort keys that this device ever had.
    pub(crate) fn last_resorts(&self) -> Result<Vec<u32>, DeviceStoreError> {
        Ok(self.json("last_resorts")?.unwrap_or_default())
    }

    /// Deletes signed prekeys and last-resort keys that were replaced and are older than
    /// `before_ms`, with the records of their uses. One-time keys stay until they are used, because
    /// the server may give them out at any time.
    pub(crate) fn forget_replaced(&self, keys: &DeviceKeys, before_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM pre_keys WHERE kind = ?1 AND id <> ?2 AND made < ?3";
        self.inner
            .execute(sql, params![PreKeyKind::Signed as i64, keys.signed_pre_key().id.get(), before_ms])?;
        let current = keys.last_resort().map(|key| key.id.get());
        for id in self.last_resorts()?.into_iter().filter(|id| Some(*id) != current) {
            let sql = "DELETE FROM pre_keys WHERE kind = ?1 AND id = ?2 AND made < ?3";
            self.inner.execute(sql, params![PreKeyKind::Kyber as i64, id, before_ms])?;
        }
        let orphans = "DELETE FROM kyber_uses WHERE NOT EXISTS \
                       (SELECT 1 FROM pre_keys WHERE kind = ?1 AND id = kyber)";
        self.inner.execute(orphans, params![PreKeyKind::Kyber as i64])?;
        Ok(())
    }

    fn forget(&self, kind: PreKeyKind, id: KeyId) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM pre_keys WHERE kind = ?1 AND id = ?2";
        self.inner.prepare_cached(sql)?.execute(params![kind as i64, id.get()])?;
        Ok(())
    }

    fn secret<const N: usize>(
        &self,
        kind: PreKeyKind,
        id: KeyId,
    ) -> Result<Option<Zeroizing<[u8; N]>>, SessionError> {
        let sql = "SELECT secret FROM pre_keys WHERE kind = ?1 AND id = ?2";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, [u8; N]>(0).map(Zeroizing::new);
        let found = self
            .inner
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params![kind as i64, id.get()], read).optional());
        found.map_err(broken)
    }
}

impl PrivateKeys for Transaction<'_> {
    fn signed(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError> {
        Ok(self.secret(PreKeyKind::Signed, id)?.map(|secret| CurvePair::from_secret(*secret)))
    }

    fn one_time(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError> {
        Ok(self.secret(PreKeyKind::OneTime, id)?.map(|secret| CurvePair::from_secret(*secret)))
    }

    fn kyber(&self, id: KeyId) -> Result<Option<KyberPair>, SessionError> {
        Ok(self.secret(PreKeyKind::Kyber, id)?.map(|seed| KyberPair::from_seed(*seed)))
    }

    fn was_used(&self, kyber: &KyberUse) -> Result<bool, SessionError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM kyber_uses WHERE kyber = ?1 AND signed = ?2 AND base_key = ?3)";
        let parameters = params![kyber.id.get(), kyber.signed.get(), kyber.base_key.as_bytes()];
        self.inner.query_row(sql, parameters, |row| row.get(0)).map_err(broken)
    }
}

fn broken(error: impl std::fmt::Display) -> SessionError {
    SessionError::Broken(error.to_string())
}

/// Checks that a row has a private half of its kind.
pub(super) fn check(row: &Row<'_>) -> rusqlite::Result<()> {
    match row.get::<_, i64>(0)? == PreKeyKind::Kyber as i64 {
        true => row.get::<_, [u8; 64]>(2).map(drop),
        false => row.get::<_, [u8; 32]>(2).map(drop),
    }
}
