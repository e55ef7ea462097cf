//! The messages of all conversations, and the order in which they are shown.

use std::collections::{BTreeSet, VecDeque};

use rusqlite::{OptionalExtension as _, Row, params};
use serde_json::Value;

use super::{DeviceStoreError, Transaction};
use crate::attachment::Attachment;
use crate::content::NumberRange;
use crate::stored_time::is_over;

/// A message, before it has its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageContent {
    /// The activity's id: `urn:uuid:…`.
    pub id: String,
    /// The actor id of the author.
    pub actor: String,
    /// The address of the device that sent it.
    pub device: String,
    /// The other person's actor id, or the group's id.
    pub conversation: String,
    /// True if this user wrote it, here or on another device.
    pub outgoing: bool,
    /// The number of the message among those of its device in its conversation.
    pub sequence: Option<u64>,
    /// The time at which its author says it was written, in epoch milliseconds.
    pub published_ms: i64,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub received_ms: i64,
    /// The text.
    pub text: String,
    /// The files that go with it.
    pub attachments: Vec<Attachment>,
    /// A warning about the sender, for the reader.
    pub warning: Option<String>,
}

/// The time by which a clock may be ahead of the server's before its times are not shown.
pub const AHEAD_MS: i64 = 10 * 60_000;
/// The age at which a message may arrive and its own time is shown: an entry's life, and two days in
/// which a server tries to reach another one.
pub const LATE_MS: i64 = 32 * 24 * 3_600_000;

impl MessageContent {
    /// Returns the time to show, in epoch milliseconds: when its author says that it was written, or
    /// when the server accepted it if that cannot be true.
    pub fn time_ms(&self) -> i64 {
        let (earliest, latest) =
            (self.received_ms.saturating_sub(LATE_MS), self.received_ms.saturating_add(AHEAD_MS));
        match (earliest..=latest).contains(&self.published_ms) {
            true => self.published_ms,
            false => self.received_ms,
        }
    }
}

/// A message with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The position. It grows, and keeps each sender's order within a conversation.
    pub position: i64,
    /// The number by which it is new: the position, or a greater one if the place had been kept for it.
    pub placed: i64,
    /// The message.
    pub content: MessageContent,
    /// The number of messages that its device wrote in this conversation before it and that have
    /// not come. Messages that come late are no longer among them, nor are those that were not kept of a
    /// stranger and are awaited in places of their own.
    pub missing_before: u64,
}

/// The key of one ciphertext that arrived. The author is part of it, because two authors may choose
/// the same envelope id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CiphertextKey<'a> {
    /// The author's actor id.
    pub(crate) actor: &'a str,
    /// The envelope's id.
    pub(crate) envelope: &'a str,
    /// The address of the device that sent it.
    pub(crate) device: &'a str,
}

/// The messages of one device in one conversation, which have an order of their own.
#[derive(Clone, Copy)]
pub(crate) struct MessageStream<'a> {
    pub(crate) conversation: &'a str,
    pub(crate) device: &'a str,
    /// The actor id of the device's user.
    pub(crate) actor: &'a str,
}

/// A message that waits for its position no longer.
struct ReadyMessage {
    row: i64,
    number: u64,
    received_ms: i64,
    /// True if another device of this user has written it.
    is_copy: bool,
    /// The numbers before it that have not come.
    lacking: Vec<NumberRange>,
    /// The last number of its device before it that has a position, or 0.
    last: u64,
}

/// The messages of a device in a conversation that wait for nothing.
struct ReadyMessages {
    /// The messages, in the device's order.
    ready: VecDeque<ReadyMessage>,
    /// The time at which the next one has waited long enough.
    look_again_ms: Option<i64>,
    /// The time at which the server accepted the first message of a device, while that waits. Nothing that was
    /// accepted later gets its position before it, so that a new device shows what came before it in order.
    nothing_after_ms: Option<i64>,
}

/// The most places that are left for what is missing before one message.
const MOST_PLACES: u64 = 100;
/// The places that are left before what another device of this user wrote, for what this device has still to
/// read though its server had it before that.
const PLACES_BEFORE_COPY: i64 = 500;
/// The number of the last messages of a conversation among which such places are looked for.
const LOOKED_BACK: i64 = 200;
/// The longest time that the first message of a device waits for one before it.
pub const FIRST_HOLD_MS: i64 = 1_000;
/// The name under which the store keeps the greatest position that it has given.
const LAST_POSITION: &str = "last_position";
/// The number of messages that are read at once.
const PAGE: i64 = 1000;
/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "SELECT coalesce(position, 0), id, actor, device, conversation, outgoing, \
                                  sequence, published, received, text, attachments, warning, \
                                  (SELECT CASE count(*) WHEN 0 THEN 0 ELSE max(0, sum(last - first + 1) - \
                                  (SELECT count(*) FROM awaited JOIN receipts ON receipts.actor = awaited.actor \
                                  AND kind = 6 AND receipts.device = awaited.device AND id = envelope \
                                  WHERE awaited.actor = messages.conversation AND awaited.device = messages.device \
                                  AND awaited.position < messages.position AND awaited.position > \
                                  (SELECT coalesce(max(before.position), 0) FROM messages AS before \
                                  WHERE before.conversation = messages.conversation AND before.device = messages.device \
                                  AND before.sequence < (SELECT min(first) FROM gaps AS lacking \
                                  WHERE lacking.position = messages.position)))) END \
                                  FROM gaps WHERE gaps.position = messages.position), \
                                  coalesce(placed, position, 0) FROM messages";

impl Transaction<'_> {
    /// Returns the next number of this device in a conversation.
    pub(crate) fn next_sequence(&self, conversation: &str) -> Result<u64, DeviceStoreError> {
        let sql = "INSERT INTO sequences (conversation, last) VALUES (?1, 1) \
                   ON CONFLICT (conversation) DO UPDATE SET last = last + 1 RETURNING last";
        Ok(self.inner.prepare_cached(sql)?.query_row([conversation], |row| row.get(0))?)
    }

    /// Records that the server accepted a message of this device at `server_ms`, if its own time lies further ahead
    /// of that than a clock may, or if it was written after `behind_since_ms` by a clock that is behind.
    pub(crate) fn date_by_server(
        &self,
        message: &str,
        server_ms: i64,
        behind_since_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let Some(device) = self.own_device()? else { return Ok(()) };
        let sql = "UPDATE messages SET received = ?3 WHERE id = ?1 AND device = ?2 AND outgoing = 1 \
                   AND received = published AND (published > ?3 + ?4 OR published > ?5)";
        let parameters = params![message, device, server_ms, AHEAD_MS, behind_since_ms];
        self.inner.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Stores a message that this device wrote. It has its position and counts as shown at once.
    pub(crate) fn store_own(&self, message: &MessageContent, now_ms: i64) -> Result<(), DeviceStoreError> {
        let place = self.take_position()?;
        self.insert(message, now_ms, Some(place), true).map(drop)
    }

    /// Stores a message that arrived. Returns false if it is stored already. It gets its position
    /// from [`Transaction::place`], once those before it have theirs.
    pub(crate) fn store_arrival(
        &self,
        message: &MessageContent,
        now_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        self.insert(message, now_ms, None, false)
    }

    /// True if a message of this id and author is stored that came from another device.
    pub(crate) fn is_of_other_device(&self, message: &MessageContent) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM messages WHERE actor = ?1 AND id = ?2 AND device <> ?3";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.exists(params![message.actor, message.id, message.device])?)
    }

    fn insert(
        &self,
        m: &MessageContent,
        now_ms: i64,
        position: Option<i64>,
        shown: bool,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO messages (id, actor, device, conversation, outgoing, sequence, published, \
                   received, stored, text, attachments, warning, position, shown) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        let attachments = Value::Array(m.attachments.iter().map(Attachment::to_value).collect()).to_string();
        let parameters = params![
            m.id,
            m.actor,
            m.device,
            m.conversation,
            m.outgoing,
            m.sequence,
            m.published_ms,
            m.received_ms,
            now_ms,
            m.text,
            attachments,
            m.warning,
            position,
            shown
        ];
        Ok(self.inner.prepare_cached(sql)?.execute(parameters)? == 1)
    }

    /// Gives positions to messages that wait, in the order in which the server accepted them: each follows the
    /// one that its sender numbered before it. A message that has waited for `hold_ms` no longer waits,
    /// and what did not come before it is recorded as a gap. While the first message of a device waits, which is
    /// shorter, so does everything that the server accepted after it. Messages of strangers get no positions.
    /// Returns the time at which the next message has waited long enough.
    pub(crate) fn place(&self, now_ms: i64, hold_ms: i64) -> Result<Option<i64>, DeviceStoreError> {
        self.place_but_copies(now_ms, hold_ms, &[])
    }

    /// Does as [`Transaction::place`], but what this user has written to some actors on another device gets no
    /// position yet: something that these wrote before it is still to be read. Nor does what the user has written
    /// to others, in conversations in which nobody else's message waits for its position.
    pub(crate) fn place_but_copies(
        &self,
        now_ms: i64,
        hold_ms: i64,
        to: &[String],
    ) -> Result<Option<i64>, DeviceStoreError> {
        self.release_requests()?;
        let waiting = "outgoing = 0 OR (conversation NOT IN (SELECT value FROM json_each(?1)) \
                       AND (json_array_length(?1) = 0 OR EXISTS (SELECT 1 FROM messages AS others \
                       WHERE others.conversation = messages.conversation AND others.position IS NULL \
                       AND others.request = 0 AND others.outgoing = 0)))";
        let to = serde_json::json!(to).to_string();
        let placed = self.place_those(waiting, [to], now_ms, hold_ms)?;
        let released = self.release_late(now_ms, hold_ms)?;
        Ok([placed, released].into_iter().flatten().min())
    }

    /// Gives positions to the messages of a conversation with one actor, whatever did not come before them.
    pub(crate) fn place_at_once(&self, actor: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        self.release_requests()?;
        self.place_those("actor = ?1 AND conversation = ?1", [actor], now_ms, 0).map(drop)
    }

    /// Gives positions to those messages for which a condition holds.
    fn place_those(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
        now_ms: i64,
        hold_ms: i64,
    ) -> Result<Option<i64>, DeviceStoreError> {
        let sql = format!(
            "SELECT DISTINCT conversation, device, actor FROM messages \
             WHERE position IS NULL AND request = 0 AND ({condition})"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        let senders = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let senders: Vec<(String, String, String)> = senders.collect::<Result<_, _>>()?;
        let mut streams = Vec::new();
        let (mut next, mut until_ms): (Option<i64>, _) = (None, i64::MAX);
        for (conversation, device, actor) in &senders {
            let of = MessageStream { conversation, device, actor };
            let ReadyMessages { ready, look_again_ms, nothing_after_ms } = self.ready(of, now_ms, hold_ms)?;
            next = [next, look_again_ms].into_iter().flatten().min();
            until_ms = until_ms.min(nothing_after_ms.unwrap_or(i64::MAX));
            streams.push((of, ready));
        }
        let first = |(_, (_, ready)): &(usize, &(MessageStream<'_>, VecDeque<ReadyMessage>))| {
            ready.front().map(|message| (message.received_ms, message.row))
        };
        while let Some((at, _)) = streams
            .iter()
            .enumerate()
            .filter(|stream| first(stream).is_some_and(|(received_ms, _)| received_ms <= until_ms))
            .min_by_key(first)
            && let Some((of, ready)) = streams.get_mut(at)
            && let Some(message) = ready.pop_front()
        {
            self.give_position(*of, message, now_ms)?;
        }
        Ok(next)
    }

    /// Returns the messages of a device that wait for nothing.
    fn ready(
        &self,
        of: MessageStream<'_>,
        now_ms: i64,
        hold_ms: i64,
    ) -> Result<ReadyMessages, DeviceStoreError> {
        let sql = "SELECT row, sequence, stored, received, outgoing FROM messages WHERE position IS NULL AND request = 0 \
                   AND conversation = ?1 AND device = ?2 ORDER BY sequence, row";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map(params![of.conversation, of.device], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
        let waiting: Vec<(i64, Option<u64>, i64, i64, bool)> = rows.collect::<Result<_, _>>()?;
        let followed = self.followed(of)?;
        // The first message from a device may have any number, so it waits less.
        let hold_ms = if followed.is_some() { hold_ms } else { hold_ms.min(FIRST_HOLD_MS) };
        let mut last = followed.unwrap_or(0);
        let void = self.void_numbers(of)?;
        // Further messages of the device do not make that longer for others.
        let oldest_ms = waiting.iter().map(|(_, _, stored, ..)| *stored).min().unwrap_or_default();
        let mut ready = VecDeque::new();
        for (row, sequence, stored, received_ms, is_copy) in waiting {
            let number = sequence.unwrap_or(0);
            let lacking = NumberRange::between(last, number).without(&void);
            if !lacking.is_empty() && !is_over(now_ms, stored, hold_ms) {
                let is_first = followed.is_none() && ready.is_empty() && !is_over(now_ms, oldest_ms, hold_ms);
                // Those of others wait for the oldest one.
                let since_ms = if is_first { oldest_ms.min(stored) } else { stored };
                return Ok(ReadyMessages {
                    ready,
                    look_again_ms: Some(since_ms.saturating_add(hold_ms)),
                    nothing_after_ms: is_first.then_some(received_ms),
                });
            }
            let lacking = if last > 0 { lacking } else { Vec::new() };
            ready.push_back(ReadyMessage { row, number, received_ms, is_copy, lacking, last });
            last = last.max(number);
        }
        Ok(ReadyMessages { ready, look_again_ms: None, nothing_after_ms: None })
    }

    /// Gives a message of a device its position: the next one, or if it comes late, that in which it is missing.
    fn give_position(
        &self,
        of: MessageStream<'_>,
        message: ReadyMessage,
        now_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let ReadyMessage { row, number, received_ms, is_copy, lacking, last } = message;
        if number <= last {
            self.fill_gaps(of, NumberRange::of(number))?;
            // What has no number has no place among the others.
            if number > 0
                && let Some(place) = self.place_of_late(of, number, received_ms)?
            {
                let sql = "UPDATE messages SET position = ?2, placed = ?3 WHERE row = ?1";
                self.inner.prepare_cached(sql)?.execute(params![row, place, self.take_position()?])?;
                return Ok(());
            }
        }
        // What is missing has places, in which it is put if it comes.
        let missing = lacking.first().map_or(0, |gap| number.saturating_sub(gap.first)).min(MOST_PLACES);
        let missing = i64::try_from(missing).unwrap_or_default();
        let late = match is_copy || (number <= last && number > 0) {
            true => None,
            false => self.place_before_copy(of, received_ms, missing, now_ms)?,
        };
        let left = if is_copy { PLACES_BEFORE_COPY.saturating_add(missing) } else { missing };
        let (place, placed) = match late {
            Some(place) => (place, Some(self.take_position()?)),
            None => (self.take_position_after(left)?, None),
        };
        let sql = "UPDATE messages SET position = ?2, placed = ?3 WHERE row = ?1";
        self.inner.prepare_cached(sql)?.execute(params![row, place, placed])?;
        lacking.into_iter().try_for_each(|gap| self.note_gap(of, gap, place))?;
        self.follow(of, last.max(number))
    }

    /// Returns the place of a message that comes after later ones of its device: one that was left for what was
    /// missing. There is none if the next later message follows at once, or came so long ago that nothing from
    /// before it is still under way, or if another message has the number.
    fn place_of_late(
        &self,
        of: MessageStream<'_>,
        number: u64,
        received_ms: i64,
    ) -> Result<Option<i64>, DeviceStoreError> {
        let sql =
            "SELECT max(position) FROM messages WHERE conversation = ?1 AND device = ?2 AND sequence < ?3";
        let parameters = params![of.conversation, of.device, number];
        let before: Option<i64> = self.inner.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
        let sql = "SELECT position, sequence, received FROM messages WHERE conversation = ?1 AND device = ?2 \
                   AND sequence > ?3 AND position IS NOT NULL ORDER BY position LIMIT 1";
        let after: Option<(i64, u64, i64)> = self
            .inner
            .prepare_cached(sql)?
            .query_row(params![of.conversation, of.device, number], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((after, later, after_ms)) = after else { return Ok(None) };
        let sql = "SELECT 1 FROM messages WHERE conversation = ?1 AND device = ?2 AND sequence = ?3 \
                   AND position IS NOT NULL";
        let is_taken = self.inner.prepare_cached(sql)?.exists(params![of.conversation, of.device, number])?;
        if is_taken || received_ms.saturating_sub(after_ms) > LATE_MS {
            return Ok(None);
        }
        let back = i64::try_from(later.saturating_sub(number)).unwrap_or(i64::MAX);
        let place = after.saturating_sub(back);
        let sql = "SELECT 1 FROM messages WHERE position = ?1 UNION SELECT 1 FROM awaited WHERE position = ?1 \
                   UNION SELECT 1 FROM held WHERE place = ?1";
        let is_free = place > before.unwrap_or(0) && !self.inner.prepare_cached(sql)?.exists([place])?;
        Ok(is_free.then_some(place))
    }

    /// Returns the place of a message that the server accepted before something that another device of this user
    /// wrote in the same conversation, and that this device has read only after it: one of those that were left
    /// there, after `missing` others. There is none if a later message of its own device is before that, or if
    /// the server had it so long ago that nothing of that time is still under way.
    pub(super) fn place_before_copy(
        &self,
        of: MessageStream<'_>,
        received_ms: i64,
        missing: i64,
        now_ms: i64,
    ) -> Result<Option<i64>, DeviceStoreError> {
        if now_ms.saturating_sub(received_ms) > LATE_MS {
            return Ok(None);
        }
        // No places are left before what this device wrote, and it has the times of this device's clock.
        let sql = "SELECT position FROM (SELECT position, outgoing, device, received FROM messages \
                   WHERE conversation = ?1 AND position > \
                   (SELECT coalesce(max(position), 0) FROM messages WHERE conversation = ?1 AND device = ?2) \
                   ORDER BY position DESC LIMIT ?4) \
                   WHERE outgoing = 1 AND device IS NOT ?5 AND received > ?3 AND received - ?3 <= ?6 ORDER BY position";
        let own = self.own_device()?;
        let parameters = params![of.conversation, of.device, received_ms, LOOKED_BACK, own, LATE_MS];
        let mut statement = self.inner.prepare_cached(sql)?;
        let copies = statement.query_map(parameters, |row| row.get(0))?;
        let copies: Vec<i64> = copies.collect::<Result<_, _>>()?;
        let sql = "SELECT max(position) FROM (SELECT max(position) AS position FROM messages WHERE position < ?1 \
                   UNION ALL SELECT max(position) FROM awaited WHERE position < ?1 \
                   UNION ALL SELECT max(place) FROM held WHERE place < ?1)";
        let mut statement = self.inner.prepare_cached(sql)?;
        // The last places are for what the other device wrote itself, and has not come.
        let most = i64::try_from(MOST_PLACES).unwrap_or(i64::MAX);
        for copy in copies {
            let before: Option<i64> = statement.query_row([copy], |row| row.get(0))?;
            let place = before.unwrap_or_default().saturating_add(missing).saturating_add(1);
            if place < copy.saturating_sub(most) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Has messages shown that were sent again and have their places, in the order of these. One waits for
    /// `hold_ms` for those before it that its device is asked for, since they come together. Returns the
    /// time at which the next one has waited long enough.
    fn release_late(&self, now_ms: i64, hold_ms: i64) -> Result<Option<i64>, DeviceStoreError> {
        let sql = "SELECT row, stored, EXISTS (SELECT 1 FROM awaited WHERE awaited.actor = messages.actor \
                   AND awaited.device = messages.device AND awaited.position < messages.position \
                   AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.actor = awaited.actor AND kind = 2 \
                   AND receipts.device = awaited.device AND receipts.id = awaited.envelope)) \
                   FROM messages WHERE placed = 0 ORDER BY position";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let late: Vec<(i64, i64, bool)> = rows.collect::<Result<_, _>>()?;
        let mut next: Option<i64> = None;
        for (row, stored, waits) in late {
            if waits && !is_over(now_ms, stored, hold_ms) {
                next = [next, Some(stored.saturating_add(hold_ms))].into_iter().flatten().min();
                continue;
            }
            let sql = "UPDATE messages SET placed = ?2 WHERE row = ?1";
            self.inner.prepare_cached(sql)?.execute(params![row, self.take_position()?])?;
        }
        Ok(next)
    }

    /// Returns the last number of a device in a conversation that has its position.
    pub(super) fn followed(&self, of: MessageStream<'_>) -> Result<Option<u64>, DeviceStoreError> {
        let sql = "SELECT last FROM followed WHERE conversation = ?1 AND device = ?2";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_row(params![of.conversation, of.device], |row| row.get(0)).optional()?)
    }

    fn follow(&self, of: MessageStream<'_>, last: u64) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO followed (conversation, device, last) VALUES (?1, ?2, ?3)";
        self.inner.prepare_cached(sql)?.execute(params![of.conversation, of.device, last])?;
        self.pass_void(of, last)
    }

    /// Forgets which numbers were followed of the devices of some users, in one conversation or in all: what
    /// they send meanwhile does not come, and nothing is missing because of that. What has come of them gets its
    /// place before that, so that nothing after it is compared with it.
    pub(super) fn follow_anew(
        &self,
        conversation: Option<&str>,
        is_of: impl Fn(&str) -> bool,
    ) -> Result<(), DeviceStoreError> {
        let sql = "SELECT device FROM followed WHERE ?1 IS NULL OR conversation = ?1 UNION SELECT device FROM messages \
                   WHERE position IS NULL AND request = 0 AND (?1 IS NULL OR conversation = ?1)";
        let mut statement = self.inner.prepare_cached(sql)?;
        let devices = statement.query_map([conversation], |row| row.get(0))?;
        let devices: Vec<String> = devices.collect::<Result<_, _>>()?;
        let user = |device: &str| device.rsplit_once("/device/").map(|(user, _)| user.to_owned());
        for device in devices.iter().filter(|device| user(device).is_some_and(|user| is_of(&user))) {
            let waiting = "device = ?2 AND (?1 IS NULL OR conversation = ?1)";
            self.place_those(waiting, params![conversation, device], i64::MAX, 0)?;
            let sql = "DELETE FROM followed WHERE device = ?2 AND (?1 IS NULL OR conversation = ?1)";
            self.inner.prepare_cached(sql)?.execute(params![conversation, device])?;
        }
        Ok(())
    }

    /// Records that a message with this number has the position that was kept for it.
    pub(super) fn note_placed(
        &self,
        of: MessageStream<'_>,
        number: u64,
        position: i64,
    ) -> Result<(), DeviceStoreError> {
        let last = self.followed(of)?.unwrap_or(0);
        if number <= last {
            return self.fill_gaps(of, NumberRange::of(number));
        }
        if last > 0 {
            let lacking = NumberRange::between(last, number).without(&self.void_numbers(of)?);
            lacking.into_iter().try_for_each(|gap| self.note_gap(of, gap, position))?;
        }
        self.follow(of, number)
    }

    /// Takes the position after a number of places that are left free.
    fn take_position_after(&self, left: i64) -> Result<i64, DeviceStoreError> {
        let next = self.last_position()?.saturating_add(left).saturating_add(1);
        self.pass_mark(LAST_POSITION, next)?;
        Ok(next)
    }

    /// Takes the next position. None is given twice, not even if what had it is gone: a program that
    /// follows the store may have passed it.
    pub(super) fn take_position(&self) -> Result<i64, DeviceStoreError> {
        self.take_position_after(0)
    }

    /// Has whatever comes next take a place after this one.
    pub(super) fn pass_position(&self, position: i64) -> Result<(), DeviceStoreError> {
        self.pass_mark(LAST_POSITION, position).map(drop)
    }

    /// Returns the messages that have a position and were not shown, in order.
    pub(crate) fn unshown(&self) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let sql = format!(
            "{COLUMNS} WHERE shown = 0 AND position IS NOT NULL AND placed IS NOT 0 ORDER BY position LIMIT {PAGE}"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
    }

    /// Records that all messages up to a position were shown.
    pub(crate) fn note_shown(&self, position: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE messages SET shown = 1 WHERE shown = 0 AND position <= ?1 AND placed IS NOT 0";
        self.inner.prepare_cached(sql)?.execute([position])?;
        Ok(())
    }

    /// Returns the messages after a position that this device has not written, in order. Without a
    /// position it returns those of a conversation, or of all, that no program has shown, and those of
    /// other conversations that none has left for another.
    pub(crate) fn messages_after(
        &self,
        position: Option<i64>,
        own_device: &str,
        conversation: Option<&str>,
    ) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let sql = format!(
            "{COLUMNS} WHERE position IS NOT NULL AND placed IS NOT 0 AND device <> ?1 AND CASE WHEN ?2 IS NOT NULL THEN coalesce(placed, position) > ?2 \
             ELSE shown = 0 OR (shown = 2 AND (?3 IS NULL OR conversation = ?3)) END ORDER BY coalesce(placed, position) \
             LIMIT CASE WHEN ?2 IS NULL THEN -1 ELSE {PAGE} END"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        Ok(statement
            .query_map(params![own_device, position, conversation], read)?
            .collect::<Result<_, _>>()?)
    }

    /// Returns the greatest position that was given, or 0. Rows that were carried over from another store
    /// have theirs without the mark.
    pub(crate) fn last_position(&self) -> Result<i64, DeviceStoreError> {
        let sql = "SELECT max(coalesce((SELECT max(position) FROM messages), 0), \
                   coalesce((SELECT max(placed) FROM messages), 0), coalesce((SELECT max(position) FROM awaited), 0))";
        let of_rows: i64 = self.inner.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(self.moment(LAST_POSITION)?.unwrap_or_default().max(of_rows))
    }

    /// Records that the message at a position was shown, and nothing of those before it.
    pub(crate) fn note_alone_shown(&self, position: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE messages SET shown = 1 WHERE position = ?1 AND shown <> 1";
        self.inner.prepare_cached(sql)?.execute([position])?;
        Ok(())
    }

    /// Records that a program has left a message for another one to show.
    pub(crate) fn note_left(&self, position: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE messages SET shown = 2 WHERE position = ?1 AND shown = 0";
        self.inner.prepare_cached(sql)?.execute([position])?;
        Ok(())
    }

    /// True if a message of a conversation was left, and no program has shown it since.
    pub(crate) fn has_left(&self, conversation: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM messages WHERE conversation = ?1 AND shown = 2";
        Ok(self.inner.prepare_cached(sql)?.exists([conversation])?)
    }

    /// Returns a message by its author and its activity's id.
    pub(crate) fn message(&self, actor: &str, id: &str) -> Result<Option<StoredMessage>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE actor = ?1 AND id = ?2 AND position IS NOT NULL");
        Ok(self.inner.query_row(&sql, [actor, id], read).optional()?)
    }

    /// Returns the messages of all authors with an activity's id, which is drawn by the author.
    pub(crate) fn messages_with_id(&self, id: &str) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE id = ?1 AND position IS NOT NULL ORDER BY position");
        let mut statement = self.inner.prepare_cached(&sql)?;
        Ok(statement.query_map([id], read)?.collect::<Result<_, _>>()?)
    }

    /// Returns the messages of this device whose ids begin with these letters after `urn:uuid:`.
    pub(crate) fn own_messages(
        &self,
        device: &str,
        beginning: &str,
    ) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let sql = format!(
            "{COLUMNS} WHERE device = ?1 AND position IS NOT NULL \
             AND substr(id, 1, length('urn:uuid:' || ?2)) = 'urn:uuid:' || ?2 ORDER BY position LIMIT {PAGE}"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        Ok(statement.query_map([device, beginning], read)?.collect::<Result<_, _>>()?)
    }

    /// True if this user has written to somebody, on this device or another one. What a revoked device
    /// of the user wrote has a warning, and does not count.
    pub(crate) fn wrote_to(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM messages WHERE conversation = ?1 AND outgoing = 1 AND warning IS NULL";
        Ok(self.inner.prepare_cached(sql)?.exists([actor])?)
    }

    /// Returns the ids of what this device said in a conversation under these numbers.
    pub(crate) fn said(
        &self,
        conversation: &str,
        device: &str,
        numbers: &[u64],
    ) -> Result<Vec<String>, DeviceStoreError> {
        let sql = "SELECT id FROM messages WHERE conversation = ?1 AND device = ?2 AND outgoing = 1 \
                   AND sequence IN (SELECT value FROM json_each(?3)) ORDER BY sequence";
        let mut statement = self.inner.prepare_cached(sql)?;
        let numbers = serde_json::json!(numbers).to_string();
        Ok(statement
            .query_map(params![conversation, device, numbers], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }

    /// Returns the last messages of these conversations, or of all, oldest first.
    pub(crate) fn history(
        &self,
        conversations: Option<&BTreeSet<String>>,
        last: u32,
    ) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let sql = format!(
            "{COLUMNS} WHERE position IS NOT NULL AND (?1 IS NULL OR conversation IN (SELECT value FROM json_each(?1))) \
             ORDER BY position DESC LIMIT ?2"
        );
        let conversations = conversations.map(|all| serde_json::json!(all).to_string());
        let mut statement = self.inner.prepare_cached(&sql)?;
        let mut messages: Vec<_> =
            statement.query_map(params![conversations, last], read)?.collect::<Result<_, _>>()?;
        messages.reverse();
        Ok(messages)
    }

    /// True if this device has read the ciphertext before.
    pub(crate) fn was_read(&self, key: CiphertextKey<'_>) -> Result<bool, DeviceStoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM read_envelopes WHERE actor = ?1 AND envelope = ?2 AND device = ?3)";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_row(params![key.actor, key.envelope, key.device], |row| row.get(0))?)
    }

    /// Records that a ciphertext was read, and deletes records older than `before_ms`, whose
    /// entries the server no longer has.
    pub(crate) fn note_read(
        &self,
        key: CiphertextKey<'_>,
        now_ms: i64,
        before_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let sql =
            "INSERT OR IGNORE INTO read_envelopes (actor, envelope, device, at) VALUES (?1, ?2, ?3, ?4)";
        self.inner.prepare_cached(sql)?.execute(params![key.actor, key.envelope, key.device, now_ms])?;
        self.inner.prepare_cached("DELETE FROM read_envelopes WHERE at < ?1")?.execute([before_ms])?;
        Ok(())
    }
}

/// Reads the attachments that this library wrote, or `None` if they cannot be read.
fn attachments(json: &str) -> Option<Vec<Attachment>> {
    let values: Vec<Value> = serde_json::from_str(json).ok()?;
    values.iter().map(|value| Attachment::parse(value).ok()).collect()
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    Ok(StoredMessage {
        position: row.get(0)?,
        content: MessageContent {
            id: row.get(1)?,
            actor: row.get(2)?,
            device: row.get(3)?,
            conversation: row.get(4)?,
            outgoing: row.get(5)?,
            sequence: row.get(6)?,
            published_ms: row.get(7)?,
            received_ms: row.get(8)?,
            text: row.get(9)?,
            attachments: attachments(&row.get::<_, String>(10)?).unwrap_or_default(),
            warning: row.get(11)?,
        },
        missing_before: row.get(12)?,
        placed: row.get(13)?,
    })
}
