//! Recovering what can be read of a damaged store.
//!
//! Each table is read by SQLite. What SQLite cannot read of it is looked for on all pages of the file
//! (`pages.rs`): the pages of a tree outlive its root, and a file that was cut. Of a page that was cut SQLite
//! reads the rows as if zeros followed; such rows are left out, and whatever else this library could not read
//! (`readable.rs`, `values.rs`). Of a pinned chain what is sound is kept (`pins.rs`).

mod pages;
mod pins;
mod readable;
mod values;

use std::path::Path;

use eko_protocol::address::{Origin, UserName};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params, params_from_iter};

use super::upgrade::{ADDED, OLDEST, read_as_upgraded};
use super::{DeviceStore, DeviceStoreError, StoredNotice, Transaction, VERSION};
use pages::{PageFile, PageRow};
pub(super) use pins::user_of;
#[cfg(test)]
pub(crate) use values::knows;

/// The numbers of what was recovered of a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveredStore {
    /// The number of messages.
    pub messages: usize,
    /// The number of other people whose devices are known.
    pub people: usize,
    /// The number of groups.
    pub groups: usize,
    /// True if the device is there with its keys, so that it goes on.
    pub device: bool,
    /// True if the list of the user's own devices is there. Without it, a device that another one has approved
    /// cannot tell whether what the server shows is that list, and reads and sends nothing.
    pub own_chain: bool,
    /// True if some rows could not be read.
    pub is_partial: bool,
}

/// The form of something in a store that only those know who keep it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredForm<'a> {
    /// The record of a session, which the Signal library made.
    Session(&'a [u8]),
    /// A notice, of whose texts the store knows no form.
    Notice(&'a StoredNotice),
    /// A value of the account that the store itself does not read.
    Value {
        /// The name.
        name: &'a str,
        /// The value, as it is stored.
        value: &'a [u8],
    },
}

/// The name under which the time is kept at which the keys of the former device were found to be lost.
const KEYS_LOST: &str = "keys_lost";

/// The tables whose rows are told from those of all other tables and indexes by their types.
const TOLD_BY_TYPES: [&str; 16] = [
    "account",
    "awaited",
    "chains",
    "ciphertexts",
    "departures",
    "envelopes",
    "gaps",
    "groups",
    "held",
    "invitations",
    "kyber_uses",
    "messages",
    "notices",
    "pre_keys",
    "receipts",
    "sessions",
];

impl DeviceStore {
    /// True if SQLite finds no fault in this store, its indexes included, and everything in it can be read:
    /// by this library, and what the store does not know itself as `is_readable` says
    /// ([`crate::messenger::is_readable`]).
    ///
    /// # Errors
    /// [`DeviceStoreError`] if it cannot be read.
    pub fn is_sound(&self, is_readable: &dyn Fn(StoredForm<'_>) -> bool) -> Result<bool, DeviceStoreError> {
        self.read(|tx| {
            let found: String = tx.inner.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            Ok(found == "ok" && tx.account().is_ok() && tx.reads_all(is_readable).unwrap_or(false))
        })
    }

    /// Records that the keys of the device of this store were lost, so that it is a new device.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn note_keys_lost(&self, now_ms: i64) -> Result<(), DeviceStoreError> {
        self.write(|tx| tx.put_moment(KEYS_LOST, now_ms))
    }

    /// True if the keys of the former device of this store were lost.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn has_lost_keys(&self) -> Result<bool, DeviceStoreError> {
        self.read(|tx| Ok(tx.moment(KEYS_LOST)?.is_some()))
    }

    /// Copies what can be read of a damaged store into this one, which must be empty. Without its keys, the
    /// device is gone: the store is then one that a new device of the user takes over
    /// ([`DeviceStore::carry_over`]). `origin` and `user` say whose it is, if it does not say so itself.
    /// `is_readable` is that of [`DeviceStore::is_sound`].
    ///
    /// # Errors
    /// [`DeviceStoreError::Newer`] or [`DeviceStoreError::Older`] if another version wrote it;
    /// [`DeviceStoreError`] if this store cannot be written. What cannot be read is no error.
    pub fn recover(
        &self,
        damaged: &Path,
        origin: &Origin,
        user: &UserName,
        is_readable: &dyn Fn(StoredForm<'_>) -> bool,
    ) -> Result<RecoveredStore, DeviceStoreError> {
        let source = Connection::open(damaged)?;
        // With it, SQLite reads a file that is shorter than it should be.
        let _ = source.execute_batch("PRAGMA writable_schema = ON");
        match source.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)) {
            Ok(newer) if newer > VERSION => return Err(DeviceStoreError::Newer(newer)),
            Ok(older) if (1..OLDEST).contains(&older) => return Err(DeviceStoreError::Older(older)),
            // If its schema cannot be read, what is on the pages is found all the same.
            Ok(older) => drop(read_as_upgraded(&source, older)),
            Err(_) => {}
        }
        // What the last commits have left beside the file goes into it.
        let _ = source.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let pages = PageFile::open(damaged).ok();
        // The rows of a table may refer to rows of another one that are lost.
        self.lock().execute_batch("PRAGMA foreign_keys = OFF")?;
        let recovered = self.write(|tx| {
            let is_partial = tx.copy_from(&source, pages.as_ref())?;
            for (name, value) in [("origin", origin.as_str()), ("user", user.as_str())] {
                let sql = "INSERT OR IGNORE INTO account (name, value) VALUES (?1, ?2)";
                tx.inner.execute(sql, params![name, value.as_bytes()])?;
            }
            let is_partial = tx.drop_unreadable(is_readable)? || is_partial;
            tx.put_in_order(&origin.actor(user), is_partial)
        });
        self.lock().execute_batch("PRAGMA foreign_keys = ON")?;
        recovered
    }
}

impl Transaction<'_> {
    /// Copies the rows that can be read. Returns true if there may be others.
    fn copy_from(&self, source: &Connection, pages: Option<&PageFile>) -> Result<bool, DeviceStoreError> {
        let (mut is_partial, mut torn) = (false, Vec::new());
        let cut = pages.map(PageFile::cut_rows).unwrap_or_default();
        for table in self.tables()? {
            let cut: Vec<_> = cut.iter().filter_map(|row| table.in_order(row)).collect();
            if !self.copy_table(source, &table, &cut)? {
                is_partial = true;
                torn.push(table);
            }
        }
        torn.retain(|table| TOLD_BY_TYPES.contains(&&*table.name));
        if let Some(pages) = pages.filter(|_| !torn.is_empty()) {
            pages.rows(|row| self.copy_row(&torn, row))?;
        }
        if torn.iter().any(|table| table.name == "chains") {
            self.note_lost_rows()?;
        }
        Ok(is_partial)
    }

    /// Makes good what follows from the loss of rows, and counts what is there. `me` is this user's actor id.
    fn put_in_order(&self, me: &str, is_partial: bool) -> Result<RecoveredStore, DeviceStoreError> {
        let device = matches!(self.account(), Ok(Some(_)));
        if !device {
            self.inner.execute("DELETE FROM account WHERE name = 'device'", [])?;
        }
        self.inner.execute("DELETE FROM ciphertexts WHERE envelope NOT IN (SELECT id FROM envelopes)", [])?;
        // What was lost of the decisions is in the chains.
        let sql = "INSERT INTO decisions (actor, accepted, untold) SELECT actor, 1, 1 FROM chains WHERE contact = 1 \
                   ON CONFLICT (actor) DO UPDATE SET accepted = 1";
        self.inner.execute(sql, [])?;
        // No number is given twice.
        let sql = "INSERT INTO sequences (conversation, last) SELECT conversation, max(sequence) FROM messages \
                   WHERE outgoing = 1 AND sequence IS NOT NULL GROUP BY conversation \
                   ON CONFLICT (conversation) DO UPDATE SET last = max(last, excluded.last)";
        self.inner.execute(sql, [])?;
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.inner
                .query_row(&sql, [], |row| row.get(0))
                .map(|count: i64| usize::try_from(count).unwrap_or(0))
        };
        let own_chain = self.is_pinned(me)?;
        let (messages, groups) = (count("messages")?, count("groups")?);
        let people = count("chains")?.saturating_sub(usize::from(own_chain));
        Ok(RecoveredStore { messages, people, groups, device, own_chain, is_partial })
    }

    /// Returns the tables of this library's schema.
    fn tables(&self) -> Result<Vec<RecoveredTable>, DeviceStoreError> {
        let sql = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
                   AND name NOT LIKE 'sqlite_%'";
        let mut statement = self.inner.prepare(sql)?;
        let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tables: Vec<(String, bool)> = tables.collect::<Result<_, _>>()?;
        tables.into_iter().map(|(name, is_index)| self.table(name, is_index)).collect()
    }

    /// True if the values of a table have the types of its columns, and its texts are texts.
    fn has_types(&self, table: &RecoveredTable) -> Result<bool, DeviceStoreError> {
        let names: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
        let sql = format!("SELECT \"{}\" FROM \"{}\"", names.join("\", \""), table.name);
        let mut statement = self.inner.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut values = Vec::new();
            for index in 0..names.len() {
                match row.get_ref(index)? {
                    ValueRef::Text(bytes) if str::from_utf8(bytes).is_err() => return Ok(false),
                    read => values.push(value(read)),
                }
            }
            if !table.takes(&values) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn table(&self, name: String, is_index: bool) -> Result<RecoveredTable, DeviceStoreError> {
        let sql = format!("SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}') ORDER BY cid");
        let mut statement = self.inner.prepare(&sql)?;
        let columns = statement.query_map([], |row| {
            let kind: String = row.get(1)?;
            let is_nullable = !row.get::<_, bool>(2)?;
            let column: String = row.get(0)?;
            let is_added = ADDED.contains(&(&*name, &*column));
            Ok(Column { name: column, kind, is_nullable, is_added, key: row.get(3)? })
        })?;
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(RecoveredTable { name, is_index, columns })
    }

    /// Copies the rows of a table that SQLite can read, but for those of which the file has a part only. Returns
    /// false if there may be others.
    fn copy_table(
        &self,
        source: &Connection,
        table: &RecoveredTable,
        cut: &[Vec<Value>],
    ) -> Result<bool, DeviceStoreError> {
        let names: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
        let mut is_whole = true;
        let rows = read_rows(source, &table.name, &names, |row| {
            is_whole &= !cut.contains(&row) && self.put_row(table, row)?;
            Ok(())
        });
        match rows {
            Ok(()) => Ok(is_whole),
            Err(CopyFault::Unreadable) => Ok(false),
            Err(CopyFault::Unwritable(error)) => Err(error.into()),
        }
    }

    /// Copies a row that was found on a page into the table whose types it has.
    fn copy_row(&self, tables: &[RecoveredTable], row: PageRow) -> Result<(), DeviceStoreError> {
        for table in tables {
            if let Some(values) = table.in_order(&row) {
                self.put_row(table, values)?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds a row, unless it is there. Returns false if its types are not those of its table.
    fn put_row(&self, table: &RecoveredTable, values: Vec<Value>) -> rusqlite::Result<bool> {
        if !table.takes(&values) {
            return Ok(false);
        }
        let names: Vec<String> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let places = vec!["?"; names.len()].join(", ");
        let sql =
            format!("INSERT OR IGNORE INTO \"{}\" ({}) VALUES ({places})", table.name, names.join(", "));
        self.inner.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(true)
    }
}

/// A table of this library's schema.
struct RecoveredTable {
    name: String,
    /// True if its rows have no ids, so that it is an index for SQLite.
    is_index: bool,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    /// The declared type.
    kind: String,
    is_nullable: bool,
    /// True if rows of an earlier version end before it.
    is_added: bool,
    /// The place in the primary key, from 1, or 0.
    key: i64,
}

impl RecoveredTable {
    /// True if the values have the types of the columns.
    fn takes(&self, values: &[Value]) -> bool {
        let takes = |(column, value): (&Column, &Value)| match value {
            Value::Null => column.is_nullable && (column.key == 0 || !self.is_index),
            Value::Integer(_) => column.kind == "INTEGER",
            Value::Text(_) => column.kind == "TEXT",
            Value::Blob(_) => column.kind == "BLOB",
            Value::Real(_) => false,
        };
        values.len() == self.columns.len() && self.columns.iter().zip(values).all(takes)
    }

    /// Returns the values of a stored row in the order of the columns, or `None` if it is none of this
    /// table. An index has its key first. The row id stands in the place of its column. A row of an earlier
    /// version lacks the last columns, if they were added since.
    fn in_order(&self, row: &PageRow) -> Option<Vec<Value>> {
        let lacking = self.columns.get(row.values.len()..)?;
        if row.id.is_some() == self.is_index || !lacking.iter().all(|column| column.is_added) {
            return None;
        }
        let mut stored: Vec<&Column> = self.columns.iter().collect();
        if self.is_index {
            stored.sort_by_key(|column| if column.key == 0 { i64::MAX } else { column.key });
        }
        let values: Option<Vec<Value>> = self
            .columns
            .iter()
            .map(|column| {
                let at = stored.iter().position(|stored| stored.name == column.name)?;
                match (row.id, column.key) {
                    (Some(id), 1..) => Some(Value::Integer(id)),
                    _ => Some(row.values.get(at).cloned().unwrap_or(Value::Null)),
                }
            })
            .collect();
        values.filter(|values| self.takes(values))
    }
}

/// The reason for which the copy of a table has ended early.
enum CopyFault {
    Unreadable,
    Unwritable(rusqlite::Error),
}

/// Passes the rows of a table on until one cannot be read. An index of the table may be damaged, and is not
/// used.
fn read_rows(
    source: &Connection,
    table: &str,
    columns: &[&str],
    mut write: impl FnMut(Vec<Value>) -> rusqlite::Result<()>,
) -> Result<(), CopyFault> {
    let sql = format!("SELECT \"{}\" FROM \"{table}\" NOT INDEXED", columns.join("\", \""));
    let mut statement = source.prepare(&sql).map_err(|_| CopyFault::Unreadable)?;
    let mut rows = statement.query([]).map_err(|_| CopyFault::Unreadable)?;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(_) => return Err(CopyFault::Unreadable),
        };
        let values = (0..columns.len()).map(|index| row.get_ref(index).map(value));
        let values = values.collect::<rusqlite::Result<_>>().map_err(|_| CopyFault::Unreadable)?;
        write(values).map_err(CopyFault::Unwritable)?;
    }
}

/// Returns a value. Of a text, what is not UTF-8 is replaced.
fn value(read: ValueRef<'_>) -> Value {
    match read {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
