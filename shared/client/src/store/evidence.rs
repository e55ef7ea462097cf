//! What is kept of received notes so that the user can report them. It goes with its message.

use eko_protocol::flag::Flag;
use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use super::{DeviceStoreError, StoredMessage, Transaction, messages};

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
        let Some(text) = found.optional()? else { return Ok(None) };
        let value: Value = serde_json::from_str(&text).map_err(|_| DeviceStoreError::Corrupt("evidence"))?;
        Flag::parse(&value).map(Some).map_err(|_| DeviceStoreError::Corrupt("evidence"))
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
