//! Messages that could not be decrypted, or were not kept while their authors were strangers. Each has its
//! place among the messages, until its device has sent it again.

use rusqlite::{OptionalExtension as _, Row, params};

use super::messages::{LATE_MS, MessageStream};
use super::{CiphertextKey, DeviceStoreError, MOST_UNKEPT, Transaction};
use crate::stored_time::is_over;

/// The days after which a message that is awaited counts as missing.
pub const AWAITED_DAYS: i64 = 7;
/// The greatest number of messages of one actor that could not be decrypted and are awaited. If there are more, one that is missing
/// makes room, and without one nothing more is awaited.
pub const MOST_AWAITED: i64 = 100;
/// That time, in milliseconds.
pub(crate) const AWAITED_MS: i64 = AWAITED_DAYS * 24 * 3_600_000;

/// The reason for which a message is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwaitedReason {
    /// The envelope could not be decrypted.
    Undecryptable,
    /// The message was not kept while its author was a stranger.
    NotKept,
}

/// A message that came, that this device does not have, and that its device is asked to send again, in its
/// place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedMessage {
    /// The actor id of whoever is named as its author.
    pub actor: String,
    /// The address of the device that is named as its sender.
    pub device: String,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub received_ms: i64,
    /// The position, among those of the messages.
    pub position: i64,
    /// The time from which on it is awaited, in epoch milliseconds.
    pub stored_ms: i64,
    /// The reason.
    pub why: AwaitedReason,
}

impl AwaitedMessage {
    /// True if it is awaited no longer: its device has not sent it again for days.
    pub fn is_missing(&self, now_ms: i64) -> bool {
        is_over(now_ms, self.stored_ms, AWAITED_MS)
    }
}

/// The times of a message that is about to be awaited, in epoch milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AwaitedTimes {
    /// The time at which the server accepted it.
    pub(crate) received_ms: i64,
    /// The time from which on it is awaited.
    pub(crate) stored_ms: i64,
    /// The time up to which others were stored that are missing, and make room.
    pub(crate) missing_ms: i64,
}

/// A message of a device at its position.
struct PlacedMessage {
    row: i64,
    number: u64,
    position: i64,
}

pub(super) const COLUMNS: &str = "SELECT actor, device, received, position, stored, EXISTS (SELECT 1 FROM receipts \
                       WHERE receipts.actor = awaited.actor AND kind = 6 AND receipts.device = awaited.device \
                       AND id = envelope), envelope FROM awaited";

impl Transaction<'_> {
    /// Gives a message that could not be decrypted its place. `resend` is the id of the envelope in which
    /// its device sends it again. What this user answered on another device comes after it. Returns false if too
    /// much of its author is awaited.
    pub(crate) fn await_message(
        &self,
        key: CiphertextKey<'_>,
        resend: &str,
        times: AwaitedTimes,
    ) -> Result<bool, DeviceStoreError> {
        self.await_envelope(key, resend, times, MOST_AWAITED)
    }

    /// Does as [`Transaction::await_message`] for a message that was not kept. The bound is [`MOST_UNKEPT`].
    pub(crate) fn await_unkept(
        &self,
        key: CiphertextKey<'_>,
        resend: &str,
        times: AwaitedTimes,
    ) -> Result<bool, DeviceStoreError> {
        self.await_envelope(key, resend, times, MOST_UNKEPT)
    }

    fn await_envelope(
        &self,
        key: CiphertextKey<'_>,
        resend: &str,
        times: AwaitedTimes,
        most: i64,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "DELETE FROM awaited WHERE (actor, device, envelope) IN (SELECT actor, device, envelope \
                   FROM awaited WHERE actor = ?1 AND stored <= ?2 ORDER BY position LIMIT 1) \
                   AND (SELECT count(*) FROM awaited WHERE actor = ?1) >= ?3";
        let AwaitedTimes { received_ms, stored_ms: now_ms, missing_ms } = times;
        self.inner.execute(sql, params![key.actor, missing_ms, most])?;
        let of = MessageStream { conversation: key.actor, device: key.device, actor: key.actor };
        let place = match self.place_before_copy(of, received_ms, 0, now_ms)? {
            Some(place) => place,
            None => self.take_position()?,
        };
        let sql = "INSERT OR IGNORE INTO awaited (actor, device, envelope, resend, received, stored, position) \
                   SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
                   WHERE (SELECT count(*) FROM awaited WHERE actor = ?1) < ?8";
        let parameters =
            params![key.actor, key.device, key.envelope, resend, received_ms, now_ms, place, most];
        Ok(self.inner.execute(sql, parameters)? > 0)
    }

    /// Has a message awaited under another envelope of the same device, in the place that it has. `former` is
    /// the id under which it was to be sent again, and `resend` the one under which it is now.
    pub(crate) fn await_instead(
        &self,
        key: CiphertextKey<'_>,
        former: &str,
        resend: &str,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "UPDATE awaited SET envelope = ?3, resend = ?4 WHERE device = ?1 AND resend = ?2";
        let parameters = params![key.device, former, key.envelope, resend];
        Ok(self.inner.prepare_cached(sql)?.execute(parameters)? > 0)
    }

    /// Returns what is awaited of a device: the actor ids of the authors, the ids of the envelopes, and those
    /// under which they are to be sent again.
    pub(crate) fn awaited_of(&self, device: &str) -> Result<Vec<(String, String, String)>, DeviceStoreError> {
        let sql = "SELECT actor, envelope, resend FROM awaited WHERE device = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([device], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// True if a device sends a message again in this envelope that is awaited.
    pub(crate) fn is_resend(&self, device: &str, envelope: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM awaited WHERE device = ?1 AND resend = ?2";
        Ok(self.inner.prepare_cached(sql)?.exists([device, envelope])?)
    }

    /// Takes the place of the message that a device sends again in this envelope, if it is awaited.
    pub(crate) fn take_awaited(
        &self,
        device: &str,
        envelope: &str,
    ) -> Result<Option<AwaitedMessage>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE device = ?1 AND resend = ?2");
        let place = self.inner.prepare_cached(&sql)?.query_row([device, envelope], read).optional()?;
        if place.is_some() {
            let sql = "DELETE FROM receipts WHERE kind = 6 AND device = ?1 AND id IN \
                       (SELECT envelope FROM awaited WHERE device = ?1 AND resend = ?2)";
            self.inner.prepare_cached(sql)?.execute([device, envelope])?;
            let sql = "DELETE FROM awaited WHERE device = ?1 AND resend = ?2";
            self.inner.prepare_cached(sql)?.execute([device, envelope])?;
        }
        Ok(place)
    }

    /// Puts a message that has arrived and has no position into the place in which it was awaited, where it is
    /// shown with the next [`Transaction::place`]. What its device numbered before it, and has not come,
    /// is a gap. If places of this device were filled in another order than that of the numbers, their
    /// messages change places: what came in one millisecond has no order in a mailbox.
    ///
    /// Returns false if there is no such message, or if nothing shows that the place is its own: it has no
    /// number, or one that does not fit between its neighbours, or it comes later than anything is sent again.
    /// It then has its position after all others, with its own time.
    pub(crate) fn put_into_place(
        &self,
        place: &AwaitedMessage,
        message: &str,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT row, conversation, sequence, received FROM messages \
                   WHERE actor = ?1 AND id = ?2 AND position IS NULL AND request = 0";
        let found = self.inner.prepare_cached(sql)?.query_row(params![place.actor, message], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let found: Option<(i64, String, Option<u64>, i64)> = found.optional()?;
        let Some((row, conversation, Some(number), received_ms)) = found else { return Ok(false) };
        let of = MessageStream { conversation: &conversation, device: &place.device, actor: &place.actor };
        if received_ms.saturating_sub(place.received_ms) > LATE_MS {
            return Ok(false);
        }
        let Some(mut swapped) = self.swapped(of, number, place.position)? else { return Ok(false) };
        swapped.push(PlacedMessage { row, number, position: place.position });
        let mut positions: Vec<i64> = swapped.iter().map(|message| message.position).collect();
        positions.sort_unstable();
        swapped.sort_unstable_by_key(|message| message.number);
        for (message, position) in swapped.iter().zip(positions) {
            let sql = "UPDATE messages SET position = ?2, placed = coalesce(placed, 0) WHERE row = ?1";
            self.inner.prepare_cached(sql)?.execute(params![message.row, position])?;
        }
        let of_number = "SELECT position FROM messages WHERE row = ?1";
        let position = self.inner.prepare_cached(of_number)?.query_row([row], |row| row.get(0))?;
        self.note_placed(of, number, position)?;
        if swapped.len() > 1 {
            self.move_gaps(of)?;
        }
        Ok(true)
    }

    /// Returns the messages of a device with which one of this number would be in the wrong order at a position,
    /// all of which have places that were kept for them. `None` if there is another one, or one of the same
    /// number, or too many.
    fn swapped(
        &self,
        of: MessageStream<'_>,
        number: u64,
        position: i64,
    ) -> Result<Option<Vec<PlacedMessage>>, DeviceStoreError> {
        let sql = "SELECT row, sequence, position, placed IS NOT NULL AND sequence <> ?3 FROM messages \
                   WHERE conversation = ?1 AND device = ?2 AND position IS NOT NULL \
                   AND (sequence = ?3 OR (sequence > ?3 AND position < ?4) OR (sequence < ?3 AND position > ?4)) \
                   LIMIT ?5";
        let mut statement = self.inner.prepare_cached(sql)?;
        let parameters = params![of.conversation, of.device, number, position, MOST_AWAITED];
        let found = statement.query_map(parameters, |row| {
            let message = PlacedMessage { row: row.get(0)?, number: row.get(1)?, position: row.get(2)? };
            Ok((message, row.get::<_, bool>(3)?))
        })?;
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        let is_bounded = i64::try_from(found.len()).is_ok_and(|count| count < MOST_AWAITED);
        let fits = is_bounded && found.iter().all(|(_, has_kept_place)| *has_kept_place);
        Ok(fits.then(|| found.into_iter().map(|(message, _)| message).collect()))
    }

    /// Returns what is awaited in a conversation with one actor, or of all, in order.
    pub(crate) fn awaited(&self, actor: Option<&str>) -> Result<Vec<AwaitedMessage>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR actor = ?1 ORDER BY position");
        let mut statement = self.inner.prepare_cached(&sql)?;
        Ok(statement.query_map([actor], read)?.collect::<Result<_, _>>()?)
    }
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<AwaitedMessage> {
    Ok(AwaitedMessage {
        actor: row.get(0)?,
        device: row.get(1)?,
        received_ms: row.get(2)?,
        position: row.get(3)?,
        stored_ms: row.get(4)?,
        why: if row.get(5)? { AwaitedReason::NotKept } else { AwaitedReason::Undecryptable },
    })
}
