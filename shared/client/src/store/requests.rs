//! Message requests: what strangers wrote, until the user accepts or declines it.

use rusqlite::params;

use super::messages::{COLUMNS, read};
use super::{DeviceStoreError, MessageContent, Transaction};
use crate::shares::fullest;

/// The greatest number of messages that are kept of one stranger. Later ones are not kept.
pub const MOST_OF_STRANGER: i64 = 20;
/// The greatest number of messages that are kept of all strangers.
pub const MOST_OF_STRANGERS: i64 = 1_000;

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

impl Transaction<'_> {
    /// Stores a message of a stranger apart from all conversations. If there are too many messages of
    /// strangers, the oldest one is deleted of the domain, the server of it, and the user with the most,
    /// so that nobody can push out what came from others.
    pub(crate) fn store_request(
        &self,
        message: &MessageContent,
        now_ms: i64,
    ) -> Result<RequestOutcome, DeviceStoreError> {
        let sql = "SELECT count(*) FROM messages WHERE actor = ?1 AND request = 1";
        let kept: i64 = self.inner.query_row(sql, [&message.actor], |row| row.get(0))?;
        if kept >= MOST_OF_STRANGER || !self.store_arrival(message, now_ms)? {
            return Ok(RequestOutcome::Ignored);
        }
        let sql = "UPDATE messages SET request = 1 WHERE actor = ?1 AND id = ?2";
        self.inner.execute(sql, params![message.actor, message.id])?;
        let sql = "SELECT actor, count(*) FROM messages WHERE request = 1 GROUP BY actor ORDER BY min(row)";
        if let Some(author) = self.who_makes_room(sql, [], MOST_OF_STRANGERS)? {
            let sql = "DELETE FROM messages WHERE row = \
                       (SELECT min(row) FROM messages WHERE request = 1 AND actor = ?1)";
            self.inner.execute(sql, [author])?;
        }
        Ok(if kept == 0 { RequestOutcome::First } else { RequestOutcome::Another })
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
            "{COLUMNS} WHERE request = 1 AND actor NOT IN (SELECT actor FROM chains WHERE contact = 1) \
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
                   AND actor IN (SELECT actor FROM chains WHERE contact = 1) RETURNING actor, id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let released = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let released: Vec<(String, String)> = released.collect::<Result<_, _>>()?;
        released.iter().try_for_each(|(actor, id)| self.owe_receipt(actor, id))
    }

    /// Returns the users whose chains are pinned and who are no contacts, without those of whom
    /// messages are kept. The first are those of whom nothing was read for the longest time.
    pub(crate) fn strangers_without_requests(&self) -> Result<Vec<String>, DeviceStoreError> {
        let sql = "SELECT actor FROM chains WHERE contact = 0 AND actor NOT IN \
                   (SELECT actor FROM messages WHERE request = 1) ORDER BY \
                   (SELECT max(at) FROM read_envelopes WHERE read_envelopes.actor = chains.actor), looked";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Has the chain of a user read again before the next message to them.
    pub(crate) fn have_chain_read(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE chains SET looked = 0 WHERE actor = ?1", [actor])?;
        Ok(())
    }

    /// Deletes the messages of a stranger.
    pub(crate) fn decline_requests(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM messages WHERE actor = ?1 AND request = 1", [actor])?;
        Ok(())
    }
}
