//! Recovering what can be read of a damaged store.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{DeviceStore, DeviceStoreError, Transaction, VERSION};

/// The numbers of what was recovered of a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveredStore {
    /// The number of messages.
    pub messages: usize,
    /// The number of people whose devices are known.
    pub people: usize,
    /// The number of groups.
    pub groups: usize,
    /// True if the device is there with its keys, so that it goes on.
    pub device: bool,
    /// True if some rows could not be read.
    pub is_partial: bool,
}

/// The tables that say who the device is, which are of no use without it.
const OF_DEVICE: [&str; 4] = ["account", "pre_keys", "kyber_uses", "sessions"];

impl DeviceStore {
    /// True if SQLite finds no fault in this store.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if it cannot be read.
    pub fn is_sound(&self) -> Result<bool, DeviceStoreError> {
        self.read(|tx| {
            let found: String = tx.inner.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            Ok(found == "ok" && tx.account().is_ok())
        })
    }

    /// Copies what can be read of the damaged store into this one, which must be empty. Each table is read
    /// from its beginning and from its end, up to what is damaged.
    ///
    /// # Errors
    /// [`DeviceStoreError::Newer`] or [`DeviceStoreError::Older`] if another version wrote it;
    /// [`DeviceStoreError`] if this store cannot be written. What cannot be read is no error.
    pub fn recover(&self, damaged: &Path) -> Result<RecoveredStore, DeviceStoreError> {
        let source = Connection::open(damaged)?;
        match source.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)) {
            Ok(newer) if newer > VERSION => return Err(DeviceStoreError::Newer(newer)),
            Ok(older) if older != 0 && older < VERSION => return Err(DeviceStoreError::Older(older)),
            Ok(_) | Err(_) => {}
        }
        // The rows of a table may refer to rows of another one that are lost.
        self.lock().execute_batch("PRAGMA foreign_keys = OFF")?;
        let recovered = self.write(|tx| tx.copy_from(&source));
        self.lock().execute_batch("PRAGMA foreign_keys = ON")?;
        recovered
    }
}

impl Transaction<'_> {
    fn copy_from(&self, source: &Connection) -> Result<RecoveredStore, DeviceStoreError> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut statement = self.inner.prepare(sql)?;
        let tables = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let mut is_partial = false;
        for table in &tables {
            is_partial |= !self.copy_table(source, table)?;
        }
        let device = matches!(self.account(), Ok(Some(_)));
        if !device {
            for table in OF_DEVICE {
                self.inner.execute(&format!("DELETE FROM {table}"), [])?;
            }
        }
        self.inner.execute("DELETE FROM ciphertexts WHERE envelope NOT IN (SELECT id FROM envelopes)", [])?;
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.inner
                .query_row(&sql, [], |row| row.get(0))
                .map(|count: i64| usize::try_from(count).unwrap_or(0))
        };
        let (messages, people, groups) = (count("messages")?, count("chains")?, count("groups")?);
        Ok(RecoveredStore { messages, people, groups, device, is_partial })
    }

    /// Copies the rows of a table that can be read. Returns false if some cannot.
    fn copy_table(&self, source: &Connection, table: &str) -> Result<bool, DeviceStoreError> {
        let sql = format!("SELECT name, pk FROM pragma_table_info('{table}') ORDER BY cid");
        let mut statement = self.inner.prepare(&sql)?;
        let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns: Vec<(String, i64)> = columns.collect::<Result<_, _>>()?;
        let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let keys: Vec<String> =
            columns.iter().filter(|(_, key)| *key > 0).map(|(name, _)| format!("\"{name}\" DESC")).collect();
        let places = vec!["?"; names.len()].join(", ");
        let names = names.join(", ");
        let insert = format!("INSERT OR IGNORE INTO \"{table}\" ({names}) VALUES ({places})");
        let mut insert = self.inner.prepare(&insert)?;
        let mut is_whole = true;
        for order in [String::new(), format!(" ORDER BY {}", keys.join(", "))] {
            is_whole = true;
            let rows = read_rows(source, &format!("SELECT {names} FROM \"{table}\"{order}"), |row| {
                insert.execute(params_from_iter(row)).map(drop)
            });
            match rows {
                Ok(()) => break,
                Err(CopyFault::Unreadable) => is_whole = false,
                Err(CopyFault::Unwritable(error)) => return Err(error.into()),
            }
        }
        Ok(is_whole)
    }
}

/// The reason for which the copy of a table has ended early.
enum CopyFault {
    Unreadable,
    Unwritable(rusqlite::Error),
}

/// Passes the rows on until one cannot be read.
fn read_rows(
    source: &Connection,
    sql: &str,
    mut write: impl FnMut(Vec<Value>) -> rusqlite::Result<()>,
) -> Result<(), CopyFault> {
    let mut statement = source.prepare(sql).map_err(|_| CopyFault::Unreadable)?;
    let count = statement.column_count();
    let mut rows = statement.query([]).map_err(|_| CopyFault::Unreadable)?;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(_) => return Err(CopyFault::Unreadable),
        };
        let values = (0..count).map(|index| row.get(index)).collect::<rusqlite::Result<Vec<Value>>>();
        write(values.map_err(|_| CopyFault::Unreadable)?).map_err(CopyFault::Unwritable)?;
    }
}
