//! The private halves of prekeys.

use eko_protocol::key::KeyId;
use eko_protocol::key_package::PublishedKeys;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
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

/// The name under which the store keeps the newest keys that the server has taken.
const PUBLISHED: &str = "keys_published";

/// The ids of the newest keys that the server has taken. A store of an earlier version does not know them,
/// which are 0 then.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct NewestPublished {
    signed: u32,
    last_resort: u32,
}

impl Transaction<'_> {
    /// Returns the ids of the newest keys that the server has taken.
    pub(super) fn newest_published(&self) -> Result<NewestPublished, DeviceStoreError> {
        Ok(self.json(PUBLISHED)?.unwrap_or_default())
    }

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

    /// True if this device has the private halves of its newest signed prekey and last-resort key.
    pub(crate) fn has_newest_keys(&self, keys: &DeviceKeys) -> Result<bool, DeviceStoreError> {
        let signed = (PreKeyKind::Signed, keys.signed_pre_key().id);
        let last_resort = keys.last_resort().map(|key| (PreKeyKind::Kyber, key.id));
        let sql = "SELECT 1 FROM pre_keys WHERE kind = ?1 AND id = ?2";
        let mut statement = self.inner.prepare_cached(sql)?;
        for (kind, id) in [signed].into_iter().chain(last_resort) {
            if !statement.exists(params![kind as i64, id.get()])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Records that the server has taken these keys, at `now_ms`. The age of the signed prekeys and last-resort
    /// keys that it gives out no more counts from now on. Deletes those that were replaced before `before_ms`,
    /// with the records of their uses. One-time keys stay until they are used, because the server may give
    /// them out at any time.
    pub(crate) fn note_published(
        &self,
        keys: &PublishedKeys,
        now_ms: i64,
        before_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let former = self.newest_published()?;
        let signed = keys.signed_pre_key.as_ref().map_or(0, |key| key.id.get()).max(former.signed);
        let last_resort = keys.last_resort.as_ref().map_or(0, |key| key.id.get()).max(former.last_resort);
        let last_resorts = serde_json::json!(self.last_resorts()?).to_string();
        let replaced = "kind = ?1 AND (kind <> 3 OR id IN (SELECT value FROM json_each(?2))) AND id < ?3";
        for (kind, former, newest) in [
            (PreKeyKind::Signed, former.signed, signed),
            (PreKeyKind::Kyber, former.last_resort, last_resort),
        ] {
            let sql = format!("UPDATE pre_keys SET made = ?4 WHERE {replaced} AND id >= ?5");
            self.inner.execute(&sql, params![kind as i64, last_resorts, newest, now_ms, former])?;
            let sql = format!("DELETE FROM pre_keys WHERE {replaced} AND made < ?4");
            self.inner.execute(&sql, params![kind as i64, last_resorts, newest, before_ms])?;
        }
        if signed > former.signed {
            // Whoever could not begin a session with this device can do so from now on. Neither side waits for
            // the pause of what failed before.
            self.inner.execute("UPDATE sessions SET renewed = 0 WHERE renew = 1", [])?;
            self.inner.execute("DELETE FROM asked", [])?;
        }
        self.put_json(PUBLISHED, &NewestPublished { signed, last_resort })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;
    use crate::keys::KeyCounts;
    use crate::store::DeviceStore;

    #[test]
    fn a_replaced_key_goes_some_time_after_the_server_has_taken_its_successor() {
        let (environment, store) = (Environment::system(), DeviceStore::in_memory().unwrap());
        let counts = KeyCounts { pre_keys: 1, kyber_pre_keys: 1, last_resort: true };
        let mut keys = DeviceKeys::generate(counts, &environment).unwrap();
        let former = keys.first().clone();
        let keep = |keys: &DeviceKeys, now_ms| {
            let kept = store.write(|tx| {
                tx.note_last_resort(keys.last_resort().unwrap().id)?;
                tx.keep_keys(keys, now_ms)
            });
            kept.unwrap();
        };
        keep(&keys, 0);
        let renewed = keys.rotate(&environment).unwrap();
        keep(&keys, 10);
        let published = |keys: &PublishedKeys, now_ms: i64, before_ms: i64| {
            store.write(|tx| tx.note_published(keys, now_ms, before_ms)).unwrap();
            let has = |keys: &PublishedKeys| {
                let (signed, kyber) =
                    (keys.signed_pre_key.as_ref().unwrap(), keys.last_resort.as_ref().unwrap());
                let has = store.read(|tx| {
                    let signed = tx.signed(signed.id).unwrap().is_some();
                    Ok::<_, DeviceStoreError>((signed, tx.kyber(kyber.id).unwrap().is_some()))
                });
                has.unwrap()
            };
            (has(&former), has(&renewed))
        };
        let (both, nothing) = (((true, true), (true, true)), PublishedKeys::default());
        assert_eq!(published(&nothing, 1_000, 999), both, "the server gives the former ones out");
        assert_eq!(published(&renewed, 2_000, 1_900), both);
        assert_eq!(published(&renewed, 2_500, 2_000), both, "a repetition");
        assert_eq!(published(&nothing, 2_500, 2_001), ((false, false), (true, true)));
        assert!(store.read(|tx| tx.has_newest_keys(&keys)).unwrap());
        store.write(|tx| tx.forget(PreKeyKind::Signed, keys.signed_pre_key().id)).unwrap();
        assert!(!store.read(|tx| tx.has_newest_keys(&keys)).unwrap());
    }
}
