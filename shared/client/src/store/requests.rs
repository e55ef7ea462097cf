//! Message requests: what strangers wrote, until the user accepts or declines it.

use rusqlite::{OptionalExtension as _, params};

use super::messages::{COLUMNS, read};
use super::receipts::OwedKind;
use super::{CiphertextKey, DeviceStoreError, MessageContent, Transaction};
use crate::shares::fullest;

/// The greatest number of messages that are kept of one stranger. Later ones are not kept.
pub const MOST_OF_STRANGER: i64 = 20;
/// The greatest number of messages that are kept of all strangers. So many envelopes that were not kept
/// are remembered, too.
pub const MOST_OF_STRANGERS: i64 = 1_000;
/// The greatest number of envelopes of one stranger that are remembered because they were not kept. All of
/// them are asked for once the stranger is accepted.
pub const MOST_UNKEPT: i64 = 500;

/// The outcome of storing a stranger's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// The message is the first one that is kept of its author.
    First,
    /// Other messages of its author are kept.
    Another,
    /// The message was stored before, or its author has written enough.
    Ignored,
}

/// An envelope of somebody who was a stranger when it came, and that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnkeptEnvelope {
    /// The actor id of its author.
    pub(crate) actor: String,
    /// The address of the device that sent it.
    pub(crate) device: String,
    /// The id of the envelope.
    pub(crate) envelope: String,
    /// The time at which the server accepted it, in epoch milliseconds, or if an earlier version has not kept
    /// that, the time at which this device took it.
    pub(crate) received_ms: Option<i64>,
}

impl Transaction<'_> {
    /// Stores a message of a stranger apart from all conversations. If there are too many messages of
    /// strangers, the oldest one is deleted of the domain, the server of it, and the user with the most,
    /// so that nobody can push out what came from others. The envelope of a message that is not kept is
    /// remembered, so that it can be asked for once its author is accepted.
    pub(crate) fn store_request(
        &self,
        message: &MessageContent,
        envelope: CiphertextKey<'_>,
        now_ms: i64,
    ) -> Result<RequestOutcome, DeviceStoreError> {
        let sql = "SELECT count(*) FROM messages WHERE actor = ?1 AND request = 1";
        let kept: i64 = self.inner.query_row(sql, [&message.actor], |row| row.get(0))?;
        if kept >= MOST_OF_STRANGER {
            let sql = "SELECT 1 FROM messages WHERE actor = ?1 AND id = ?2";
            if !self.inner.prepare_cached(sql)?.exists([&message.actor, &message.id])? {
                self.note_unkept(envelope, Some(message.received_ms))?;
            }
            return Ok(RequestOutcome::Ignored);
        }
        if !self.store_arrival(message, now_ms)? {
            return Ok(RequestOutcome::Ignored);
        }
        let sql = "UPDATE messages SET request = 1 WHERE actor = ?1 AND id = ?2";
        self.inner.execute(sql, params![message.actor, message.id])?;
        self.note_envelope(envelope, OwedKind::Requested, Some(message.received_ms))?;
        let sql = "SELECT actor, count(*) FROM messages WHERE request = 1 GROUP BY actor ORDER BY min(row)";
        if let Some(author) = self.who_makes_room(sql, [], MOST_OF_STRANGERS)? {
            self.delete_first_request(&author)?;
        }
        Ok(if kept == 0 { RequestOutcome::First } else { RequestOutcome::Another })
    }

    /// Deletes the first message of a stranger with its void numbers, and remembers its envelope.
    fn delete_first_request(&self, author: &str) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM void_numbers WHERE EXISTS (SELECT 1 FROM messages WHERE row = \
                   (SELECT min(row) FROM messages WHERE request = 1 AND actor = ?1) \
                   AND void_numbers.conversation = messages.conversation \
                   AND void_numbers.device = messages.device AND last < sequence)";
        self.inner.prepare_cached(sql)?.execute([author])?;
        let sql = "DELETE FROM messages WHERE row = \
                   (SELECT min(row) FROM messages WHERE request = 1 AND actor = ?1)";
        self.inner.execute(sql, [author])?;
        let sql = "DELETE FROM receipts WHERE row = \
                   (SELECT min(row) FROM receipts WHERE kind = ?2 AND actor = ?1) RETURNING device, id, received";
        let first = self.inner.query_row(sql, params![author, OwedKind::Requested as i64], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
        });
        match first.optional()? {
            Some((device, envelope, received_ms)) => {
                let key = CiphertextKey { actor: author, envelope: &envelope, device: &device };
                self.note_unkept(key, received_ms)
            }
            None => Ok(()),
        }
    }

    fn note_envelope(
        &self,
        key: CiphertextKey<'_>,
        kind: OwedKind,
        received_ms: Option<i64>,
    ) -> Result<(), DeviceStoreError> {
        let sql =
            "INSERT OR IGNORE INTO receipts (actor, kind, device, id, received) VALUES (?1, ?2, ?3, ?4, ?5)";
        let parameters = params![key.actor, kind as i64, key.device, key.envelope, received_ms];
        self.inner.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Remembers a stranger's envelope that was not kept, or cannot be read, [`MOST_UNKEPT`] of one author at
    /// most. Of all together the oldest one makes room of whoever has the most.
    pub(crate) fn note_unkept(
        &self,
        key: CiphertextKey<'_>,
        received_ms: Option<i64>,
    ) -> Result<(), DeviceStoreError> {
        if self.unkept_of(key.actor)? >= MOST_UNKEPT {
            return Ok(());
        }
        self.note_envelope(key, OwedKind::Unkept, received_ms)?;
        self.make_room_of(OwedKind::Unkept)
    }

    /// Forgets the oldest envelopes of whoever has the most of this kind, if there are too many.
    fn make_room_of(&self, kind: OwedKind) -> Result<(), DeviceStoreError> {
        let kind = kind as i64;
        let sql = "SELECT actor, count(*) FROM receipts WHERE kind = ?1 GROUP BY actor ORDER BY min(row)";
        while let Some(author) = self.who_makes_room(sql, [kind], MOST_OF_STRANGERS)? {
            let sql = "DELETE FROM receipts WHERE row = \
                       (SELECT min(row) FROM receipts WHERE kind = ?2 AND actor = ?1)";
            self.inner.execute(sql, params![author, kind])?;
        }
        Ok(())
    }

    /// Returns the number of envelopes of somebody that were not kept and are remembered.
    pub(crate) fn unkept_of(&self, actor: &str) -> Result<i64, DeviceStoreError> {
        let sql = "SELECT count(*) FROM receipts WHERE actor = ?1 AND kind = ?2";
        let parameters = params![actor, OwedKind::Unkept as i64];
        Ok(self.inner.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?)
    }

    /// Returns the actor ids of those who are no contacts, and of whom envelopes were not kept.
    pub(crate) fn unkept_strangers(&self) -> Result<Vec<String>, DeviceStoreError> {
        let sql = "SELECT actor FROM receipts WHERE kind = ?1 AND actor NOT IN \
                   (SELECT actor FROM decisions WHERE accepted = 1) GROUP BY actor ORDER BY min(row)";
        let mut statement = self.inner.prepare_cached(sql)?;
        let actors = statement.query_map([OwedKind::Unkept as i64], |row| row.get(0))?;
        Ok(actors.collect::<Result<_, _>>()?)
    }

    /// True if envelopes of somebody were not kept who is a contact now.
    pub(crate) fn has_unkept(&self) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM receipts WHERE kind = ?1 AND actor IN (SELECT actor FROM decisions WHERE accepted = 1)";
        Ok(self.inner.prepare_cached(sql)?.exists([OwedKind::Unkept as i64])?)
    }

    /// Takes the envelopes that were not kept of everybody who is a contact now, in the order in which they
    /// came. Those of somebody stay whose conversation still has messages that wait for their positions, since
    /// their places come after these.
    pub(crate) fn take_unkept(&self) -> Result<Vec<UnkeptEnvelope>, DeviceStoreError> {
        let sql = "SELECT row, receipts.actor, receipts.device, id, coalesce(received, at) FROM receipts LEFT JOIN read_envelopes AS taken \
                   ON taken.actor = receipts.actor AND taken.envelope = id AND taken.device = receipts.device \
                   WHERE kind = ?1 AND receipts.actor IN (SELECT actor FROM decisions WHERE accepted = 1) \
                   AND receipts.actor NOT IN (SELECT conversation FROM messages WHERE position IS NULL AND request = 0) \
                   ORDER BY row";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([OwedKind::Unkept as i64], |row| {
            let unkept = UnkeptEnvelope {
                actor: row.get(1)?,
                device: row.get(2)?,
                envelope: row.get(3)?,
                received_ms: row.get(4)?,
            };
            Ok((row.get::<_, i64>(0)?, unkept))
        })?;
        let found: Vec<(i64, UnkeptEnvelope)> = rows.collect::<Result<_, _>>()?;
        for (row, _) in &found {
            self.inner.prepare_cached("DELETE FROM receipts WHERE row = ?1")?.execute([row])?;
        }
        Ok(found.into_iter().map(|(_, unkept)| unkept).collect())
    }

    /// Records that an envelope was asked for because it was not kept.
    pub(crate) fn note_asked(&self, key: CiphertextKey<'_>) -> Result<(), DeviceStoreError> {
        self.note_envelope(key, OwedKind::Asked, None)
    }

    /// Returns the actor of whom something is to be deleted, if more than `most` things are kept. `sql`
    /// returns actors with the numbers of what is kept of them, the one first of whom the oldest is.
    pub(super) fn who_makes_room(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        most: i64,
    ) -> Result<Option<String>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached(sql)?;
        let counts = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let counts: Vec<(String, i64)> = counts.collect::<Result<_, _>>()?;
        let count: i64 = counts.iter().map(|(_, count)| count).sum();
        Ok(fullest(&counts).filter(|_| count > most).map(str::to_owned))
    }

    /// Returns the messages of strangers, oldest first, and those of a device in its order.
    pub(crate) fn requests(&self) -> Result<Vec<MessageContent>, DeviceStoreError> {
        let sql = format!(
            "{COLUMNS} WHERE request = 1 AND actor NOT IN (SELECT actor FROM decisions WHERE accepted = 1) \
             ORDER BY received, device, sequence, row"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        let messages = statement.query_map([], read)?;
        Ok(messages.map(|message| Ok(message?.content)).collect::<rusqlite::Result<_>>()?)
    }

    /// Puts the messages of everybody who is a stranger no more into the conversations, in whatever
    /// way they have become contacts. Their authors are owed receipts for them.
    pub(super) fn release_requests(&self) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE messages SET request = 0 WHERE request = 1 \
                   AND actor IN (SELECT actor FROM decisions WHERE accepted = 1) RETURNING actor, id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let released = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let released: Vec<(String, String)> = released.collect::<Result<_, _>>()?;
        for (actor, id) in &released {
            self.owe_receipt(actor, id)?;
            self.forget_requested(actor, &[OwedKind::Requested])?;
        }
        Ok(())
    }

    /// Returns the users whose chains are pinned and who are no contacts, without those of whom
    /// messages are kept, or are to be asked for. The first are those of whom nothing was read for the longest time.
    pub(crate) fn strangers_without_requests(&self) -> Result<Vec<String>, DeviceStoreError> {
        let sql = "SELECT actor FROM chains WHERE contact = 0 AND actor NOT IN \
                   (SELECT actor FROM messages WHERE request = 1) AND actor NOT IN \
                   (SELECT actor FROM receipts WHERE kind = 4) ORDER BY \
                   (SELECT max(at) FROM read_envelopes WHERE read_envelopes.actor = chains.actor), looked";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Has the chain of a user read again before the next message to them.
    pub(crate) fn have_chain_read(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE chains SET looked = 0 WHERE actor = ?1", [actor])?;
        Ok(())
    }

    /// Deletes the messages of a stranger with their void numbers.
    pub(crate) fn decline_requests(&self, actor: &str) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM void_numbers WHERE (conversation, device) IN \
                   (SELECT conversation, device FROM messages WHERE actor = ?1 AND request = 1)";
        self.inner.prepare_cached(sql)?.execute([actor])?;
        self.inner.execute("DELETE FROM messages WHERE actor = ?1 AND request = 1", [actor])?;
        self.forget_requested(actor, &[OwedKind::Requested, OwedKind::Unkept])
    }

    /// Deletes the messages of a stranger that the server had accepted by a time, and remembers their envelopes
    /// in place of those that were declined before. What was not kept, and has come by that time, goes with
    /// them.
    pub(super) fn decline_up_to(&self, actor: &str, until_ms: i64) -> Result<(), DeviceStoreError> {
        self.forget_requested(actor, &[OwedKind::Declined])?;
        loop {
            // Messages and envelopes of one author have the same order.
            let sql = "SELECT row, conversation, device, sequence, \
                       (SELECT count(*) FROM messages AS before WHERE before.actor = ?1 AND before.request = 1 \
                       AND before.row < messages.row) FROM messages \
                       WHERE actor = ?1 AND request = 1 AND received <= ?2 ORDER BY row LIMIT 1";
            let found = self.inner.prepare_cached(sql)?.query_row(params![actor, until_ms], |row| {
                let place: i64 = row.get(4)?;
                let (conversation, device): (String, String) = (row.get(1)?, row.get(2)?);
                Ok((row.get::<_, i64>(0)?, conversation, device, row.get::<_, Option<i64>>(3)?, place))
            });
            let Some((row, conversation, device, sequence, place)) = found.optional()? else { break };
            let sql = "DELETE FROM void_numbers WHERE conversation = ?1 AND device = ?2 AND last < ?3";
            self.inner.prepare_cached(sql)?.execute(params![conversation, device, sequence])?;
            let sql = "UPDATE OR REPLACE receipts SET kind = ?4 WHERE row = \
                       (SELECT row FROM receipts WHERE actor = ?1 AND kind = ?2 ORDER BY row LIMIT 1 OFFSET ?3)";
            let kinds = (OwedKind::Requested as i64, OwedKind::Declined as i64);
            self.inner.prepare_cached(sql)?.execute(params![actor, kinds.0, place, kinds.1])?;
            self.inner.prepare_cached("DELETE FROM messages WHERE row = ?1")?.execute([row])?;
        }
        // An earlier version has kept no time.
        let sql = "UPDATE OR REPLACE receipts SET kind = ?4 \
                   WHERE actor = ?1 AND kind = ?2 AND coalesce(received, 0) <= ?3";
        let kinds = (OwedKind::Unkept as i64, OwedKind::Declined as i64);
        self.inner.prepare_cached(sql)?.execute(params![actor, kinds.0, until_ms, kinds.1])?;
        self.make_room_of(OwedKind::Declined)
    }

    /// Remembers an envelope of a stranger that comes after it was declined.
    pub(crate) fn note_declined(
        &self,
        key: CiphertextKey<'_>,
        received_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        self.note_envelope(key, OwedKind::Declined, Some(received_ms))?;
        self.make_room_of(OwedKind::Declined)
    }

    /// Has what was declined of somebody asked for as what was not kept is.
    pub(super) fn recall_declined(&self, actor: &str) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE OR REPLACE receipts SET kind = ?3 WHERE actor = ?1 AND kind = ?2";
        let (from, to) = (OwedKind::Declined as i64, OwedKind::Unkept as i64);
        self.inner.prepare_cached(sql)?.execute(params![actor, from, to])?;
        Ok(())
    }

    /// Returns the time at which the server accepted the last envelope of a stranger that is kept, or was not
    /// kept, in epoch milliseconds.
    pub(super) fn last_requested_ms(&self, actor: &str) -> Result<Option<i64>, DeviceStoreError> {
        let sql = "SELECT max(received) FROM (SELECT received FROM messages WHERE actor = ?1 AND request = 1 \
                   UNION ALL SELECT received FROM receipts WHERE actor = ?1 AND kind = ?2)";
        Ok(self.inner.query_row(sql, params![actor, OwedKind::Unkept as i64], |row| row.get(0))?)
    }

    /// Forgets the envelopes of somebody that were declined.
    pub(super) fn forget_declined(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.forget_requested(actor, &[OwedKind::Declined])
    }

    fn forget_requested(&self, actor: &str, kinds: &[OwedKind]) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM receipts WHERE actor = ?1 AND kind = ?2";
        for kind in kinds {
            self.inner.prepare_cached(sql)?.execute(params![actor, *kind as i64])?;
        }
        Ok(())
    }
}
