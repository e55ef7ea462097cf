//! Gaps: messages that their device has numbered and that have not come.

use rusqlite::{OptionalExtension as _, params};

use super::messages::MessageStream;
use super::{DeviceStoreError, Transaction};

impl Transaction<'_> {
    /// Records that the messages with the numbers from `first` to `last` have not come. `position`
    /// is that of the message after them.
    pub(super) fn note_gap(
        &self,
        of: MessageStream<'_>,
        (first, last): (u64, u64),
        position: i64,
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO gaps (conversation, device, actor, first, last, position) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let parameters = params![of.conversation, of.device, of.actor, first, last, position];
        self.inner.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Takes the number of a message that came late out of its gap.
    pub(super) fn fill_gap(&self, of: MessageStream<'_>, number: u64) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM gaps WHERE conversation = ?1 AND device = ?2 AND first <= ?3 AND last >= ?3 \
                   RETURNING first, last, position, told";
        let found: Option<(u64, u64, i64, bool)> = self
            .inner
            .prepare_cached(sql)?
            .query_row(params![of.conversation, of.device, number], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let Some((first, last, position, told)) = found else { return Ok(()) };
        let sql = "INSERT INTO gaps (conversation, device, actor, first, last, position, told) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        for (first, last) in [(first, number.saturating_sub(1)), (number.saturating_add(1), last)] {
            if first <= last {
                let parameters = params![of.conversation, of.device, of.actor, first, last, position, told];
                self.inner.prepare_cached(sql)?.execute(parameters)?;
            }
        }
        Ok(())
    }
}
