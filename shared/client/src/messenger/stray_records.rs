//! Records at the server that count for nobody, at addresses of no group that this device knows. A device that
//! was revoked may have left as many as the server keeps, and they take the places of others.
//!
//! Only once the server has no room they are deleted, and only by a device that has the user's keys: those
//! that it could not open a day before either, under the same epoch. What another device seals under a newer
//! key can be opened by then, since the key is sent before. What is deleted all the same is stored anew by the
//! device that knows the group, which compares all records once a day.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::id::GroupStateId;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::known::SAID_AGAIN_MS;
use super::state_keys::{EARLY, EarlyKeys};
use super::{Messenger, MessengerError};
use crate::sealed;
use crate::store::{DeviceStoreError, KeptNotice, Transaction};
use crate::stored_time::{TOLERANCE_MS, age_ms, is_over};
use crate::{SignalSessions, Transport};

/// The name under which the store keeps the stray records, by their ids.
pub(super) const STRAYS: &str = "stray_records";
/// The name under which the store keeps that the server had no room for a record.
pub(super) const FULL: &str = "records_full";
/// The name under which the store keeps when the user was told so.
pub(super) const FULL_SAID: &str = "records_full_said";
/// The time for which a record is a stray one before it is deleted.
const DELETED_AFTER_MS: i64 = 24 * 3_600_000;
/// The most records that are deleted in one look.
const DELETED_IN_LOOK: usize = 100;
/// The number of records that are deleted at the same time.
const AT_ONCE: usize = 8;

/// A record that no current key opens, at an address of no known group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StrayRecord {
    /// The epoch under which it is stored.
    epoch: u64,
    /// The time at which this device has first seen it, in epoch milliseconds.
    seen_ms: i64,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Keeps which records are stray ones. `unopened` are the epochs of all records that no current key opens.
    pub(super) fn keep_strays(
        &self,
        tx: &Transaction<'_>,
        mut unopened: BTreeMap<GroupStateId, u64>,
    ) -> Result<(), MessengerError> {
        let (me, now_ms) = (self.device.actor(), self.now_ms());
        let before: BTreeMap<String, StrayRecord> = tx.json(STRAYS)?.unwrap_or_default();
        for known in &tx.groups()? {
            unopened.remove(&sealed::key_of(&known.current, &me));
        }
        // Without the keys of the other devices this one cannot judge their records.
        let is_early = tx.json::<Option<EarlyKeys>>(EARLY)?.flatten().is_some();
        if is_early || self.current_state_keys(tx)?.is_empty() {
            unopened.clear();
        }
        let strays: BTreeMap<String, StrayRecord> = unopened
            .into_iter()
            .map(|(id, epoch)| {
                let seen = before.get(id.as_str()).filter(|seen| {
                    seen.epoch == epoch && age_ms(now_ms, seen.seen_ms, TOLERANCE_MS).is_some()
                });
                let seen_ms = seen.map_or(now_ms, |seen| seen.seen_ms);
                (id.as_str().to_owned(), StrayRecord { epoch, seen_ms })
            })
            .collect();
        if strays != before {
            tx.put_json(STRAYS, &strays)?;
        }
        Ok(())
    }

    /// Records that the server has no room for a record, and tells the user, once in [`SAID_AGAIN_MS`].
    pub(super) fn note_full(&self, tx: &Transaction<'_>) -> Result<(), DeviceStoreError> {
        tx.put_json(FULL, &true)?;
        if tx.json::<i64>(FULL_SAID)?.is_none_or(|said_ms| is_over(self.now_ms(), said_ms, SAID_AGAIN_MS)) {
            let strays: BTreeMap<String, StrayRecord> = tx.json(STRAYS)?.unwrap_or_default();
            let unreadable = u64::try_from(strays.len()).unwrap_or(u64::MAX);
            tx.keep_notice(&self.device.actor(), &KeptNotice::RecordsFull(unreadable))?;
            tx.put_json(FULL_SAID, &self.now_ms())?;
        }
        Ok(())
    }

    /// Once the server has no room, deletes the stray records that have been there for a day. What waits for
    /// room is stored then.
    pub(super) async fn delete_strays(&self) -> Result<(), MessengerError> {
        let due = self.store.write(|tx| {
            if tx.json::<bool>(FULL)? != Some(true) {
                return Ok(Vec::new());
            }
            let strays: BTreeMap<String, StrayRecord> = tx.json(STRAYS)?.unwrap_or_default();
            if strays.is_empty() {
                tx.put_json(FULL, &false)?;
            }
            let is_due = |stray: &StrayRecord| is_over(self.now_ms(), stray.seen_ms, DELETED_AFTER_MS);
            let due = strays.into_iter().filter(|(_, stray)| is_due(stray)).take(DELETED_IN_LOOK);
            Ok::<_, DeviceStoreError>(due.collect())
        })?;
        if due.is_empty() {
            return Ok(());
        }
        let deleted = due.iter().map(async |(text, stray)| {
            let id = GroupStateId::parse(text)?;
            // What another device has stored since stays, and is read with the rest.
            self.signed_in(async || self.device.drop_group_state(&id, stray.epoch).await).await?;
            Ok::<_, MessengerError>(text.clone())
        });
        let outcomes: Vec<_> = stream::iter(deleted).buffer_unordered(AT_ONCE).collect().await;
        let (mut gone, mut failure) = (BTreeSet::new(), Ok(()));
        for outcome in outcomes {
            match outcome {
                Ok(id) => drop(gone.insert(id)),
                Err(error) => failure = Err(error),
            }
        }
        self.store.write(|tx| {
            let mut strays: BTreeMap<String, StrayRecord> = tx.json(STRAYS)?.unwrap_or_default();
            strays.retain(|id, _| !gone.contains(id));
            tx.put_json(STRAYS, &strays)?;
            for (group, from_ms) in tx.unstored()?.iter().filter(|_| !gone.is_empty()) {
                if *from_ms > self.now_ms() {
                    tx.mark_unstored(group, 0)?;
                }
            }
            Ok::<_, DeviceStoreError>(())
        })?;
        failure
    }
}
