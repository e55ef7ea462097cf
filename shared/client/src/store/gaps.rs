//! Gaps: messages that their device has numbered and that have not come. And numbers that are void: under
//! them nothing comes any more.

use rusqlite::params;

use super::messages::MessageStream;
use super::{DeviceStoreError, Transaction};
use crate::content::NumberRange;

/// A gap as it is stored.
struct StoredGap {
    range: NumberRange,
    position: i64,
    told: bool,
}

impl Transaction<'_> {
    /// Records that the messages with these numbers have not come. `position` is that of the message after
    /// them.
    pub(super) fn note_gap(
        &self,
        of: MessageStream<'_>,
        NumberRange { first, last }: NumberRange,
        position: i64,
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO gaps (conversation, device, actor, first, last, position) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let parameters = params![of.conversation, of.device, of.actor, first, last, position];
        self.inner.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Takes numbers out of the gaps that they are in: of messages that came late, or will not come.
    pub(super) fn fill_gaps(
        &self,
        of: MessageStream<'_>,
        filled: NumberRange,
    ) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM gaps WHERE conversation = ?1 AND device = ?2 AND first <= ?4 AND last >= ?3 \
                   RETURNING first, last, position, told";
        let mut statement = self.inner.prepare_cached(sql)?;
        let parameters = params![of.conversation, of.device, filled.first, filled.last];
        let found = statement.query_map(parameters, |row| {
            let range = NumberRange { first: row.get(0)?, last: row.get(1)? };
            Ok(StoredGap { range, position: row.get(2)?, told: row.get(3)? })
        })?;
        let found: Vec<StoredGap> = found.collect::<Result<_, _>>()?;
        let sql = "INSERT INTO gaps (conversation, device, actor, first, last, position, told) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        for StoredGap { range, position, told } in found {
            for NumberRange { first, last } in range.without(&[filled]) {
                let parameters = params![of.conversation, of.device, of.actor, first, last, position, told];
                self.inner.prepare_cached(sql)?.execute(parameters)?;
            }
        }
        Ok(())
    }

    /// Has each gap of a device stand before the message that follows it, after messages have changed places.
    pub(super) fn move_gaps(&self, of: MessageStream<'_>) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE gaps SET position = coalesce((SELECT position FROM messages \
                   WHERE messages.conversation = gaps.conversation AND messages.device = gaps.device \
                   AND position IS NOT NULL AND sequence > gaps.last ORDER BY sequence LIMIT 1), position) \
                   WHERE conversation = ?1 AND device = ?2";
        self.inner.prepare_cached(sql)?.execute(params![of.conversation, of.device])?;
        Ok(())
    }

    /// Records that under these numbers of a device nothing comes that is not here: nobody waits for it, and
    /// it is not missing.
    pub(crate) fn note_void(
        &self,
        of: MessageStream<'_>,
        void: &[NumberRange],
    ) -> Result<(), DeviceStoreError> {
        let followed = self.followed(of)?.unwrap_or(0);
        for range in void {
            self.fill_gaps(of, *range)?;
            if range.last > followed {
                let sql = "INSERT OR REPLACE INTO void_numbers (conversation, device, first, last) VALUES (?1, ?2, ?3, ?4)";
                let parameters = params![of.conversation, of.device, range.first, range.last];
                self.inner.prepare_cached(sql)?.execute(parameters)?;
            }
        }
        Ok(())
    }

    /// Returns the void numbers of a device that are not passed.
    pub(super) fn void_numbers(&self, of: MessageStream<'_>) -> Result<Vec<NumberRange>, DeviceStoreError> {
        let sql =
            "SELECT first, last FROM void_numbers WHERE conversation = ?1 AND device = ?2 ORDER BY first";
        let mut statement = self.inner.prepare_cached(sql)?;
        let void = statement.query_map(params![of.conversation, of.device], |row| {
            Ok(NumberRange { first: row.get(0)?, last: row.get(1)? })
        })?;
        Ok(void.collect::<Result<_, _>>()?)
    }

    /// Forgets the void numbers of a device up to this one.
    pub(super) fn pass_void(&self, of: MessageStream<'_>, number: u64) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM void_numbers WHERE conversation = ?1 AND device = ?2 AND last <= ?3";
        self.inner.prepare_cached(sql)?.execute(params![of.conversation, of.device, number])?;
        Ok(())
    }

    /// Returns the numbers before a note of this user that stand for notes of its device in its conversation
    /// which were given up for a recipient, or could not be sent to them: at most `most` ranges, the last
    /// ones, of what was made after `since_ms`. What was refused may come yet.
    pub(crate) fn void_for(
        &self,
        author: &str,
        note: &str,
        recipient: &str,
        since_ms: i64,
        most: usize,
    ) -> Result<Vec<NumberRange>, DeviceStoreError> {
        let sql = "SELECT DISTINCT lost.sequence FROM envelopes \
                   CROSS JOIN messages AS lost ON lost.actor = ?1 AND lost.id = envelopes.message \
                   CROSS JOIN messages AS note ON note.actor = ?1 AND note.id = ?2 AND lost.device = note.device \
                   AND lost.conversation = note.conversation AND lost.sequence < note.sequence \
                   WHERE envelopes.recipient = ?3 AND envelopes.state > 4 AND envelopes.state <> 6 \
                   AND envelopes.resent_to IS NULL AND envelopes.made > ?4 ORDER BY lost.sequence DESC";
        let mut statement = self.inner.prepare_cached(sql)?;
        let numbers = statement.query_map(params![author, note, recipient, since_ms], |row| row.get(0))?;
        let mut void: Vec<NumberRange> = Vec::new();
        for number in numbers {
            let (number, is_full): (u64, bool) = (number?, void.len() == most);
            match void.last_mut() {
                Some(range) if range.first == number.saturating_add(1) => range.first = number,
                _ if is_full => break,
                _ => void.push(NumberRange::of(number)),
            }
        }
        void.reverse();
        Ok(void)
    }
}
