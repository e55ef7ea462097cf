//! Receipts that this device owes to the authors of messages: they tell what arrived, what cannot
//! be read, what is missing, and what the user has read.

use std::collections::BTreeMap;

use eko_protocol::id::EnvelopeId;
use rusqlite::params;

use super::{
    CiphertextKey, DeviceStoreError, MOST_AWAITED, MOST_UNKEPT, MessageContent, StoredMessage, Transaction,
};
use crate::content::{ActivityId, MAX_MISSING, MissingMessages, Receipt, UnreadableEnvelope};

/// The kinds of statements that are owed or may come to be owed, as `receipts.kind` numbers them.
#[derive(Clone, Copy)]
pub(super) enum OwedKind {
    /// An activity is in a conversation.
    Received = 1,
    /// An envelope cannot be decrypted.
    Unreadable = 2,
    /// A person has read a message.
    Read = 3,
    /// A stranger's envelope was not kept. Nobody is told before the user accepts the stranger.
    Unkept = 4,
    /// A stranger's envelope is kept as a request. Nobody is told.
    Requested = 5,
    /// An envelope that was not kept was asked for, and has not come again.
    Asked = 6,
    /// A stranger's envelope was declined. It is asked for if another device had accepted its author before
    /// it knew of that.
    Declined = 7,
}

/// Messages of one device that have not come, from `first` to `last`.
struct Gap {
    conversation: String,
    device: String,
    first: u64,
    last: u64,
}

/// The number of activities that a receipt of this device names at most. With so many ids it has the
/// length of a short note.
const MOST_RECEIVED: usize = 12;
/// The number of unreadable envelopes that one receipt names at most. Those beyond wait for the next pause
/// to end, as many as can be awaited.
const MOST_UNREADABLE: i64 = MAX_MISSING as i64;

/// The shortest time between two reports of unreadable envelopes of one device. Whoever can make messages
/// unreadable causes one message an hour by it.
pub const ASK_PAUSE_MS: i64 = super::SESSION_RENEWAL_MS;
/// The rule of [`crate::stored_time`] for that pause, at the time `?1`, if it is `?2`. What was not kept of a
/// stranger does not wait for it once everything has come of this kind that the device was asked for: its number
/// has a bound, and nobody adds to it after the acceptance.
const MAY_ASK: &str = "(device NOT IN (SELECT device FROM asked WHERE at > ?1 - ?2 AND at <= ?1) \
     OR (EXISTS (SELECT 1 FROM receipts AS unkept WHERE unkept.actor = receipts.actor AND unkept.kind = 6 \
     AND unkept.device = receipts.device AND unkept.id = receipts.id) \
     AND device NOT IN (SELECT awaited.device FROM awaited JOIN receipts AS unkept ON unkept.actor = awaited.actor \
     AND unkept.kind = 6 AND unkept.device = awaited.device AND unkept.id = awaited.envelope \
     WHERE NOT EXISTS (SELECT 1 FROM receipts AS open WHERE open.actor = awaited.actor AND open.kind = 2 \
     AND open.device = awaited.device AND open.id = awaited.envelope))))";
/// The gaps that are told of. One waits while its device is still to be asked for a message that came before
/// and could not be decrypted, which may be the one that is missing.
const IS_TOLD: &str = "NOT EXISTS (SELECT 1 FROM awaited JOIN receipts ON receipts.actor = awaited.actor \
     AND receipts.kind = 2 AND receipts.device = awaited.device AND receipts.id = awaited.envelope \
     WHERE awaited.device = gaps.device AND awaited.position < gaps.position)";

/// Checks what a receipt is about, as it is read for a kind of [`OwedKind`].
pub(super) fn check(kind: i64, id: &str) -> Result<(), DeviceStoreError> {
    let is_read = match kind {
        1 | 3 => ActivityId::parse(id).is_ok(),
        2 => EnvelopeId::parse(id).is_ok(),
        4..=7 => true,
        _ => false,
    };
    if is_read { Ok(()) } else { Err(DeviceStoreError::Corrupt("receipt")) }
}

impl Transaction<'_> {
    /// Records that the author of an activity is owed the statement that it arrived.
    pub(crate) fn owe_receipt(&self, actor: &str, activity: &str) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO receipts (actor, kind, device, id) VALUES (?1, ?2, '', ?3)";
        self.inner.prepare_cached(sql)?.execute(params![actor, OwedKind::Received as i64, activity])?;
        Ok(())
    }

    /// Records that the author of a ciphertext is owed the statement that it cannot be read. Beyond
    /// [`MOST_AWAITED`] of one author nothing is recorded, which is false.
    pub(crate) fn owe_unreadable(&self, key: CiphertextKey<'_>) -> Result<bool, DeviceStoreError> {
        self.owe_request(key, MOST_AWAITED)
    }

    /// Does as [`Transaction::owe_unreadable`] for an envelope that was not kept. The bound is [`MOST_UNKEPT`].
    pub(crate) fn owe_unkept(&self, key: CiphertextKey<'_>) -> Result<bool, DeviceStoreError> {
        self.owe_request(key, MOST_UNKEPT)
    }

    fn owe_request(&self, key: CiphertextKey<'_>, most: i64) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO receipts (actor, kind, device, id) SELECT ?1, ?2, ?3, ?4 WHERE \
                   (SELECT count(*) FROM receipts WHERE actor = ?1 AND kind = ?2) < ?5";
        let kind = OwedKind::Unreadable as i64;
        let parameters = params![key.actor, kind, key.device, key.envelope, most];
        Ok(self.inner.prepare_cached(sql)?.execute(parameters)? > 0)
    }

    /// Records that the author of a message is owed the statement that this user has read it.
    pub(crate) fn owe_read(&self, actor: &str, message: &str) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO receipts (actor, kind, device, id) VALUES (?1, ?2, '', ?3)";
        self.inner.prepare_cached(sql)?.execute(params![actor, OwedKind::Read as i64, message])?;
        Ok(())
    }

    /// Takes what an author is owed of reading out of what is owed: of each conversation and device the
    /// last message that was read.
    pub(crate) fn take_read(&self, actor: &str) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let mut read = Vec::new();
        for (_, id) in self.take_owed(actor, OwedKind::Read, usize::MAX)? {
            read.extend(self.message(actor, &id)?);
        }
        read.sort_by_key(|message| message.position);
        let of = |content: &MessageContent| (content.conversation.clone(), content.device.clone());
        let last: BTreeMap<_, _> = read.into_iter().map(|message| (of(&message.content), message)).collect();
        Ok(last.into_values().collect())
    }

    /// Forgets that the author of a message is owed the statement that it arrived.
    pub(crate) fn forget_receipt(&self, actor: &str, message: &str) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM receipts WHERE actor = ?1 AND kind = ?2 AND id = ?3";
        self.inner.prepare_cached(sql)?.execute(params![actor, OwedKind::Received as i64, message])?;
        Ok(())
    }

    /// Returns the actor ids of everybody who is owed a statement, without those who are blocked.
    pub(crate) fn owed(&self, now_ms: i64) -> Result<Vec<String>, DeviceStoreError> {
        let sql = format!(
            "SELECT actor FROM receipts WHERE kind IN (1, 3) OR (kind = ?3 AND {MAY_ASK}) \
             UNION SELECT actor FROM gaps WHERE told = 0 AND {IS_TOLD} ORDER BY actor"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        let parameters = params![now_ms, ASK_PAUSE_MS, OwedKind::Unreadable as i64];
        let mut owed: Vec<String> =
            statement.query_map(parameters, |row| row.get(0))?.collect::<Result<_, _>>()?;
        if !owed.is_empty() {
            let blocks = self.blocks()?;
            owed.retain(|actor| !blocks.cover(actor));
        }
        Ok(owed)
    }

    /// Takes the next receipt for an author out of what is owed, or returns `None` if nothing is.
    /// `me` is this user, whose actor id stands for a conversation with the author. Of envelopes that
    /// cannot be read a device is told once an hour, and of its gaps not before that.
    pub(crate) fn take_receipt(
        &self,
        actor: &str,
        me: &str,
        now_ms: i64,
    ) -> Result<Option<Receipt>, DeviceStoreError> {
        let corrupt = |_| DeviceStoreError::Corrupt("receipt");
        let received = self.take_owed(actor, OwedKind::Received, MOST_RECEIVED)?;
        let received = received.iter().map(|(_, id)| ActivityId::parse(id)).collect::<Result<_, _>>();
        // A gap waits for what is to be asked for, and goes with the report of it.
        let unreadable = self.take_unreadable(actor, now_ms)?;
        let missing = self.take_gaps(actor, me)?;
        let receipt = Receipt { received: received.map_err(corrupt)?, missing, unreadable };
        Ok((receipt != Receipt::default()).then_some(receipt))
    }

    /// Takes a receipt of envelopes that cannot be read, and of nothing else.
    pub(crate) fn take_unreadable_receipt(
        &self,
        actor: &str,
        now_ms: i64,
    ) -> Result<Option<Receipt>, DeviceStoreError> {
        let unreadable = self.take_unreadable(actor, now_ms)?;
        Ok((!unreadable.is_empty()).then(|| Receipt { unreadable, ..Receipt::default() }))
    }

    /// True if an author can be told now of an envelope that cannot be read.
    pub(crate) fn owes_unreadable(&self, actor: &str, now_ms: i64) -> Result<bool, DeviceStoreError> {
        let sql = format!("SELECT 1 FROM receipts WHERE actor = ?3 AND kind = ?4 AND {MAY_ASK}");
        let kind = OwedKind::Unreadable as i64;
        Ok(self.inner.prepare_cached(&sql)?.exists(params![now_ms, ASK_PAUSE_MS, actor, kind])?)
    }

    /// Has a device asked without a pause for what cannot be read. That begins a session with it.
    pub(crate) fn ask_at_once(&self, device: &str) -> Result<(), DeviceStoreError> {
        self.inner.prepare_cached("DELETE FROM asked WHERE device = ?1")?.execute([device])?;
        Ok(())
    }

    fn take_unreadable(&self, actor: &str, now_ms: i64) -> Result<Vec<UnreadableEnvelope>, DeviceStoreError> {
        let sql = format!(
            "DELETE FROM receipts WHERE row IN (SELECT row FROM receipts WHERE actor = ?3 AND kind = ?4 \
             AND {MAY_ASK} ORDER BY row LIMIT ?5) RETURNING device, id"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        let (kind, most) = (OwedKind::Unreadable as i64, MOST_UNREADABLE);
        let rows = statement.query_map(params![now_ms, ASK_PAUSE_MS, actor, kind, most], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let taken: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
        self.inner
            .prepare_cached("DELETE FROM asked WHERE at <= ?1 - ?2")?
            .execute([now_ms, ASK_PAUSE_MS])?;
        for (device, _) in &taken {
            let sql = "INSERT OR REPLACE INTO asked (device, at) VALUES (?1, ?2)";
            self.inner.prepare_cached(sql)?.execute(params![device, now_ms])?;
        }
        let unreadable = taken.into_iter().map(|(device, id)| {
            let envelope = EnvelopeId::parse(&id).map_err(|_| DeviceStoreError::Corrupt("receipt"))?;
            Ok(UnreadableEnvelope { device, envelope })
        });
        unreadable.collect()
    }

    fn take_owed(
        &self,
        actor: &str,
        kind: OwedKind,
        most: usize,
    ) -> Result<Vec<(String, String)>, DeviceStoreError> {
        let sql = "DELETE FROM receipts WHERE row IN \
                   (SELECT row FROM receipts WHERE actor = ?1 AND kind = ?2 ORDER BY row LIMIT ?3) \
                   RETURNING device, id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows =
            statement.query_map(params![actor, kind as i64, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes the gaps that an author has not been told of. Of a long gap it names the first numbers.
    fn take_gaps(&self, actor: &str, me: &str) -> Result<Vec<MissingMessages>, DeviceStoreError> {
        let sql = format!(
            "UPDATE gaps SET told = 1 WHERE (conversation, device, first) IN \
             (SELECT conversation, device, first FROM gaps WHERE actor = ?1 AND told = 0 AND {IS_TOLD} LIMIT ?2) \
             RETURNING conversation, device, first, last"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        let most = i64::try_from(MAX_MISSING).unwrap_or(i64::MAX);
        let gaps = statement.query_map(params![actor, most], |row| {
            let (conversation, device) = (row.get(0)?, row.get(1)?);
            Ok(Gap { conversation, device, first: row.get(2)?, last: row.get(3)? })
        })?;
        let missing = |gap: Gap| MissingMessages {
            device: gap.device,
            conversation: if gap.conversation == actor { me.to_owned() } else { gap.conversation },
            sequence: (gap.first..=gap.last).take(MAX_MISSING).collect(),
        };
        Ok(gaps.map(|gap| gap.map(missing)).collect::<Result<_, _>>()?)
    }
}
