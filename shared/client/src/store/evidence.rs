//! The evidence of received notes, by which the user can report them. It goes with its message, and before
//! that with what is held.

use eko_protocol::flag::Flag;
use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use super::{DeviceStoreError, StoredMessage, Transaction, messages};

/// Reads a report from the store's text.
pub(crate) fn parse_evidence(text: &str) -> Result<Flag, DeviceStoreError> {
    let corrupt = || DeviceStoreError::Corrupt("evidence");
    let value: Value = serde_json::from_str(text).map_err(|_| corrupt())?;
    Flag::parse(&value).map_err(|_| corrupt())
}

impl Transaction<'_> {
    /// Keeps what a report of a note reveals.
    pub(crate) fn keep_evidence(&self, id: &str, flag: &Flag) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO evidence (actor, id, flag) VALUES (?1, ?2, ?3)";
        let flag_text = flag.to_value(None).to_string();
        self.inner.prepare_cached(sql)?.execute(params![flag.author, id, flag_text])?;
        Ok(())
    }

    /// Returns the report that the user can make of a note, if there is one.
    pub(crate) fn evidence_of(&self, actor: &str, id: &str) -> Result<Option<Flag>, DeviceStoreError> {
        let sql = "SELECT flag FROM evidence WHERE actor = ?1 AND id = ?2";
        let found = self.inner.prepare_cached(sql)?.query_row([actor, id], |row| row.get::<_, String>(0));
        found.optional()?.map(|text| parse_evidence(&text)).transpose()
    }

    /// Keeps what a report of a note reveals beside the note, if it is held since the row `after`.
    pub(crate) fn hold_evidence(&self, after: i64, flag: &Flag) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO held_evidence (row, flag) \
                   SELECT row, ?3 FROM held WHERE row > ?1 AND actor = ?2";
        let flag_text = flag.to_value(None).to_string();
        self.inner.prepare_cached(sql)?.execute(params![after, flag.author, flag_text])?;
        Ok(())
    }

    /// Returns the greatest row of what is held, or 0.
    pub(crate) fn last_held(&self) -> Result<i64, DeviceStoreError> {
        let sql = "SELECT coalesce(max(row), 0) FROM held";
        Ok(self.inner.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// True if a message of this author and id is stored, in a conversation or as a request.
    pub(crate) fn has_message(&self, actor: &str, id: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM messages WHERE actor = ?1 AND id = ?2";
        Ok(self.inner.prepare_cached(sql)?.exists([actor, id])?)
    }

    /// Returns the messages of others whose ids begin with these letters after `urn:uuid:`, requests
    /// among them.
    pub(crate) fn received_messages(&self, beginning: &str) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        let sql = format!(
            "{} WHERE outgoing = 0 AND substr(id, 1, length('urn:uuid:' || ?1)) = 'urn:uuid:' || ?1 \
             ORDER BY row LIMIT 100",
            messages::COLUMNS
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        Ok(statement.query_map([beginning], messages::read)?.collect::<Result<_, _>>()?)
    }
}
