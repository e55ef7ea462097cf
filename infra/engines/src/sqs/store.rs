//! The tables of the queues, and the statements that belong to no single operation.

use std::path::Path;

use rusqlite::Connection;

/// The schema. The body is the last column, so that reading the other columns need not pass over
/// it.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queues (
        id           INTEGER PRIMARY KEY,
        name         TEXT NOT NULL UNIQUE,
        created      INTEGER NOT NULL, -- ms
        modified     INTEGER NOT NULL, -- ms
        visibility   INTEGER NOT NULL, -- s
        delay        INTEGER NOT NULL, -- s
        retention    INTEGER NOT NULL, -- s
        wait         INTEGER NOT NULL, -- s
        max_size     INTEGER NOT NULL, -- bytes
        dead_letters TEXT,             -- name of the dead-letter queue
        max_receives INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS messages (
        id         INTEGER PRIMARY KEY,
        queue      INTEGER NOT NULL,
        visible    INTEGER NOT NULL, -- ms: from when it may be received
        claimed    INTEGER NOT NULL, -- 1 once received from this queue
        receives   INTEGER NOT NULL,
        sent       INTEGER NOT NULL, -- ms
        received   INTEGER,          -- ms: the first time
        claimed_at INTEGER,          -- ms: the last time
        message_id BLOB NOT NULL,    -- UUID
        attributes TEXT,             -- JSON
        body       TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible, claimed);
";

/// Makes an empty database in memory.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    prepared(Connection::open_in_memory()?)
}

/// Opens the database at `path`, or creates it.
///
/// A commit takes microseconds and reaches the operating system, not the disk: it survives the end
/// of the process. A checkpoint syncs, which takes milliseconds. Queues rewrite the same few pages,
/// so a long log (some 40 MB) makes checkpoints rare and hardly longer. The folder's lock keeps
/// other processes out, so SQLite need not lock the file for each transaction.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 10_000)?;
    prepared(connection)
}

/// Creates the tables that do not exist.
fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// Deletes the messages past their queue's retention, and returns their number.
pub(super) fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM messages WHERE id IN (
                 SELECT m.id FROM messages m JOIN queues q ON q.id = m.queue
                 WHERE m.sent + q.retention * 1000 <= ?1)",
        )?
        .execute([now])
}
