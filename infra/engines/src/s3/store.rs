//! The names of objects, of uploads in parts, and of the files of both.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

/// The schema. Keys are bytes, so that they are compared as S3 orders them and may have any
/// character.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS objects (
        bucket   TEXT NOT NULL,
        key      BLOB NOT NULL,
        content  TEXT NOT NULL UNIQUE, -- of its pieces
        modified INTEGER NOT NULL,     -- ms
        etag     TEXT NOT NULL,
        sha256   TEXT,                 -- Base64, if the client has sent it
        headers  TEXT NOT NULL,        -- JSON
        PRIMARY KEY (bucket, key)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS uploads (
        id      TEXT PRIMARY KEY,      -- and the content of its pieces
        bucket  TEXT NOT NULL,
        key     BLOB NOT NULL,
        begun   INTEGER NOT NULL,      -- ms
        sha256  INTEGER NOT NULL,      -- 1 if every part has a digest
        headers TEXT NOT NULL          -- JSON
    ) STRICT;
    CREATE INDEX IF NOT EXISTS uploads_key ON uploads (bucket, key, id);
    CREATE TABLE IF NOT EXISTS pieces (
        content TEXT NOT NULL,
        number  INTEGER NOT NULL,
        file    TEXT NOT NULL,
        size    INTEGER NOT NULL,
        digest  BLOB NOT NULL,         -- SHA-256
        PRIMARY KEY (content, number)
    ) STRICT;
";

/// The columns of an object.
const OBJECT: &str = "content, modified, etag, sha256, headers,
    (SELECT COALESCE(SUM(size), 0) FROM pieces WHERE pieces.content = objects.content)";

/// The names in a database.
pub(super) struct ObjectStore {
    connection: Mutex<Connection>,
}

/// A file with bytes of an object or of an upload.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) number: i32,
    pub(super) file: String,
    pub(super) size: u64,
    pub(super) digest: [u8; 32],
}

/// The headers that are stored with an object, and answered with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ObjectHeaders {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    /// The headers `x-amz-meta-…`.
    pub(super) metadata: Option<std::collections::HashMap<String, String>>,
}

/// The place of an object or of an upload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct StoredObject {
    pub(super) content: String,
    pub(super) modified_ms: i64,
    pub(super) etag: String,
    pub(super) sha256: Option<String>,
    pub(super) headers: ObjectHeaders,
    pub(super) size: u64,
}

/// An upload in parts that is not completed.
#[derive(Clone, Debug)]
pub(super) struct StoredUpload {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) begun_ms: i64,
    pub(super) needs_digests: bool,
    pub(super) headers: ObjectHeaders,
}

/// The outcome of a write.
pub(super) enum WriteOutcome {
    /// The write is stored. The files belong to no piece any more.
    Written(Vec<String>),
    /// There is an object already, and the write was to make a new one.
    Exists,
    /// There is no such upload.
    Gone,
    /// A part was uploaded again meanwhile.
    Changed,
}

impl ObjectStore {
    /// Makes an empty database in memory.
    pub(super) fn in_memory() -> rusqlite::Result<Self> {
        Self::prepared(Connection::open_in_memory()?)
    }

    /// Opens the database at `path`, or creates it. A commit survives the end of the process.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Self::prepared(connection)
    }

    fn prepared(connection: Connection) -> rusqlite::Result<Self> {
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the write-ahead log into the database and syncs it.
    pub(super) fn flush(&self) -> rusqlite::Result<()> {
        self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Returns the names of all files.
    pub(super) fn files(&self) -> rusqlite::Result<BTreeSet<String>> {
        self.connection().prepare("SELECT file FROM pieces")?.query_map([], |row| row.get(0))?.collect()
    }

    /// Returns the object at a place, and what `read` makes of its pieces. No file of a piece is removed
    /// meanwhile.
    pub(super) fn read<T>(
        &self,
        place: Place<'_>,
        read: impl FnOnce(&StoredObject, &[Piece]) -> T,
    ) -> rusqlite::Result<Option<T>> {
        let connection = self.connection();
        let Some(object) = find(&connection, place)? else { return Ok(None) };
        let pieces = pieces(&connection, &object.content)?;
        Ok(Some(read(&object, &pieces)))
    }

    /// Stores an object with one piece. `only_new` refuses to replace one.
    pub(super) fn put(
        &self,
        place: Place<'_>,
        object: &StoredObject,
        piece: &Piece,
        only_new: bool,
    ) -> rusqlite::Result<WriteOutcome> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let Some(files) = make_way(&transaction, place, only_new)? else { return Ok(WriteOutcome::Exists) };
        insert_object(&transaction, place, object)?;
        insert_piece(&transaction, &object.content, piece)?;
        transaction.commit()?;
        Ok(WriteOutcome::Written(files))
    }

    /// Gives an object other headers and the time `now_ms`. Returns it, or `None` if there is none.
    pub(super) fn renew(
        &self,
        place: Place<'_>,
        headers: &ObjectHeaders,
        now_ms: i64,
    ) -> rusqlite::Result<Option<StoredObject>> {
        let connection = self.connection();
        connection.execute(
            "UPDATE objects SET modified = ?3, headers = ?4 WHERE bucket = ?1 AND key = ?2",
            params![place.bucket, place.key.as_bytes(), now_ms, json(headers)?],
        )?;
        find(&connection, place)
    }

    /// Removes the object at a place, if there is one. Returns its files.
    pub(super) fn delete(&self, place: Place<'_>) -> rusqlite::Result<Vec<String>> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let files = make_way(&transaction, place, false)?.unwrap_or_default();
        transaction.commit()?;
        Ok(files)
    }

    /// Returns the objects of a bucket whose keys begin with `prefix` and come after `after`, in the
    /// order of their keys.
    pub(super) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: &str,
        most: usize,
    ) -> rusqlite::Result<Vec<(String, StoredObject)>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {OBJECT}, key FROM objects
             WHERE bucket = ?1 AND substr(key, 1, length(?2)) = ?2 AND key > ?3 ORDER BY key LIMIT ?4"
        ))?;
        let row = |row: &Row<'_>| Ok((text(row, 6)?, object(row)?));
        statement.query_map(params![bucket, prefix.as_bytes(), after.as_bytes(), count(most)], row)?.collect()
    }

    /// Begins an upload in parts.
    pub(super) fn begin(&self, bucket: &str, upload: &StoredUpload) -> rusqlite::Result<()> {
        let StoredUpload { id, key, begun_ms, needs_digests, headers } = upload;
        self.connection().execute(
            "INSERT INTO uploads (id, bucket, key, begun, sha256, headers) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, bucket, key.as_bytes(), begun_ms, needs_digests, json(headers)?],
        )?;
        Ok(())
    }

    /// Returns the upload of this id at a place, with its pieces.
    pub(super) fn upload(
        &self,
        place: Place<'_>,
        id: &str,
    ) -> rusqlite::Result<Option<(StoredUpload, Vec<Piece>)>> {
        let connection = self.connection();
        let Some(upload) = find_upload(&connection, place, id)? else { return Ok(None) };
        let pieces = pieces(&connection, id)?;
        Ok(Some((upload, pieces)))
    }

    /// Returns the uploads of a bucket whose keys begin with `prefix`, and that come after a key and an
    /// id, in this order.
    pub(super) fn uploads(
        &self,
        bucket: &str,
        prefix: &str,
        after: (&str, &str),
        most: usize,
    ) -> rusqlite::Result<Vec<StoredUpload>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT id, key, begun, sha256, headers FROM uploads
             WHERE bucket = ?1 AND substr(key, 1, length(?2)) = ?2 AND (key, id) > (?3, ?4)
             ORDER BY key, id LIMIT ?5",
        )?;
        let parameters = params![bucket, prefix.as_bytes(), after.0.as_bytes(), after.1, count(most)];
        statement.query_map(parameters, upload)?.collect()
    }

    /// Stores a part of an upload, in the place of one with the same number.
    pub(super) fn put_part(
        &self,
        place: Place<'_>,
        id: &str,
        piece: &Piece,
    ) -> rusqlite::Result<WriteOutcome> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        if find_upload(&transaction, place, id)?.is_none() {
            return Ok(WriteOutcome::Gone);
        }
        let files = remove_pieces(&transaction, id, |number| number == piece.number)?;
        insert_piece(&transaction, id, piece)?;
        transaction.commit()?;
        Ok(WriteOutcome::Written(files))
    }

    /// Makes an object of these parts of an upload, and ends the upload.
    pub(super) fn complete(
        &self,
        place: Place<'_>,
        object: &StoredObject,
        parts: &[Piece],
        only_new: bool,
    ) -> rusqlite::Result<WriteOutcome> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        if find_upload(&transaction, place, &object.content)?.is_none() {
            return Ok(WriteOutcome::Gone);
        }
        let Some(mut files) = make_way(&transaction, place, only_new)? else {
            return Ok(WriteOutcome::Exists);
        };
        let files_now: BTreeSet<_> =
            pieces(&transaction, &object.content)?.into_iter().map(|piece| piece.file).collect();
        if parts.iter().any(|part| !files_now.contains(&part.file)) {
            return Ok(WriteOutcome::Changed);
        }
        let numbers: BTreeSet<i32> = parts.iter().map(|part| part.number).collect();
        files.extend(remove_pieces(&transaction, &object.content, |number| !numbers.contains(&number))?);
        transaction.execute("DELETE FROM uploads WHERE id = ?1", [&object.content])?;
        insert_object(&transaction, place, object)?;
        transaction.commit()?;
        Ok(WriteOutcome::Written(files))
    }

    /// Ends an upload without an object.
    pub(super) fn abort(&self, place: Place<'_>, id: &str) -> rusqlite::Result<WriteOutcome> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        if find_upload(&transaction, place, id)?.is_none() {
            return Ok(WriteOutcome::Gone);
        }
        let files = end_upload(&transaction, id)?;
        transaction.commit()?;
        Ok(WriteOutcome::Written(files))
    }

    /// Removes the objects and uploads of a bucket that began before these times. Returns their number
    /// and their files.
    pub(super) fn expire(
        &self,
        bucket: &str,
        objects_ms: i64,
        uploads_ms: i64,
    ) -> rusqlite::Result<(usize, Vec<String>)> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let keys = "SELECT key FROM objects WHERE bucket = ?1 AND modified < ?2";
        let keys: Vec<String> = transaction
            .prepare(keys)?
            .query_map(params![bucket, objects_ms], |row| text(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        let ids: Vec<String> = transaction
            .prepare("SELECT id FROM uploads WHERE bucket = ?1 AND begun < ?2")?
            .query_map(params![bucket, uploads_ms], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut files = Vec::new();
        for key in &keys {
            files.extend(make_way(&transaction, Place { bucket, key }, false)?.unwrap_or_default());
        }
        for id in &ids {
            files.extend(end_upload(&transaction, id)?);
        }
        transaction.commit()?;
        Ok((keys.len().saturating_add(ids.len()), files))
    }
}

/// Returns the object at a place.
fn find(connection: &Connection, place: Place<'_>) -> rusqlite::Result<Option<StoredObject>> {
    connection
        .prepare_cached(&format!("SELECT {OBJECT} FROM objects WHERE bucket = ?1 AND key = ?2"))?
        .query_row(params![place.bucket, place.key.as_bytes()], object)
        .optional()
}

/// Returns the upload of this id at a place.
fn find_upload(
    connection: &Connection,
    place: Place<'_>,
    id: &str,
) -> rusqlite::Result<Option<StoredUpload>> {
    connection
        .prepare_cached(
            "SELECT id, key, begun, sha256, headers FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3",
        )?
        .query_row(params![id, place.bucket, place.key.as_bytes()], upload)
        .optional()
}

/// Returns the pieces of an object or of an upload in their order.
fn pieces(connection: &Connection, content: &str) -> rusqlite::Result<Vec<Piece>> {
    let row = |row: &Row<'_>| {
        let size = u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
        Ok(Piece { number: row.get(0)?, file: row.get(1)?, size, digest: row.get(3)? })
    };
    connection
        .prepare_cached("SELECT number, file, size, digest FROM pieces WHERE content = ?1 ORDER BY number")?
        .query_map([content], row)?
        .collect()
}

/// Removes the object at a place, and returns its files. Returns `None` if there is one and the write is
/// to make a new one.
fn make_way(
    transaction: &Transaction<'_>,
    place: Place<'_>,
    only_new: bool,
) -> rusqlite::Result<Option<Vec<String>>> {
    let Some(object) = find(transaction, place)? else { return Ok(Some(Vec::new())) };
    if only_new {
        return Ok(None);
    }
    transaction.execute("DELETE FROM objects WHERE content = ?1", [&object.content])?;
    remove_pieces(transaction, &object.content, |_| true).map(Some)
}

/// Removes an upload, and returns its files.
fn end_upload(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<Vec<String>> {
    transaction.execute("DELETE FROM uploads WHERE id = ?1", [id])?;
    remove_pieces(transaction, id, |_| true)
}

/// Removes those of some pieces whose number `is_due`. Returns their files.
fn remove_pieces(
    transaction: &Transaction<'_>,
    content: &str,
    is_due: impl Fn(i32) -> bool,
) -> rusqlite::Result<Vec<String>> {
    let due = pieces(transaction, content)?.into_iter().filter(|piece| is_due(piece.number));
    let mut files = Vec::new();
    for piece in due {
        transaction
            .prepare_cached("DELETE FROM pieces WHERE content = ?1 AND number = ?2")?
            .execute(params![content, piece.number])?;
        files.push(piece.file);
    }
    Ok(files)
}

fn insert_object(
    transaction: &Transaction<'_>,
    place: Place<'_>,
    object: &StoredObject,
) -> rusqlite::Result<()> {
    let StoredObject { content, modified_ms, etag, sha256, headers, .. } = object;
    transaction
        .prepare_cached(
            "INSERT INTO objects (bucket, key, content, modified, etag, sha256, headers)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            place.bucket,
            place.key.as_bytes(),
            content,
            modified_ms,
            etag,
            sha256,
            json(headers)?
        ])?;
    Ok(())
}

fn insert_piece(transaction: &Transaction<'_>, content: &str, piece: &Piece) -> rusqlite::Result<()> {
    let Piece { number, file, size, digest } = piece;
    transaction
        .prepare_cached(
            "INSERT INTO pieces (content, number, file, size, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![content, number, file, i64::try_from(*size).unwrap_or(i64::MAX), digest])?;
    Ok(())
}

/// Reads the columns [`OBJECT`].
fn object(row: &Row<'_>) -> rusqlite::Result<StoredObject> {
    Ok(StoredObject {
        content: row.get(0)?,
        modified_ms: row.get(1)?,
        etag: row.get(2)?,
        sha256: row.get(3)?,
        headers: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
        size: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
    })
}

/// Reads the columns of an upload.
fn upload(row: &Row<'_>) -> rusqlite::Result<StoredUpload> {
    Ok(StoredUpload {
        id: row.get(0)?,
        key: text(row, 1)?,
        begun_ms: row.get(2)?,
        needs_digests: row.get(3)?,
        headers: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
    })
}

/// Reads a key, which is stored as bytes.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(&row.get::<_, Vec<u8>>(column)?).into_owned())
}

fn json(headers: &ObjectHeaders) -> rusqlite::Result<String> {
    serde_json::to_string(headers).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
