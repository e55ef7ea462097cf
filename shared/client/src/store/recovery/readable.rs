//! The rows of a store that this library cannot read, though SQLite can.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::super::evidence::parse_evidence;
use super::super::groups::{read_control, read_known};
use super::super::{DeviceStoreError, Transaction, envelopes, held, messages, notices, receipts};
use super::value;
use crate::content::ActivityId;

/// A table whose rows are read as the store reads them.
struct ReadTable {
    name: &'static str,
    /// A statement that selects all rows, with what `read` needs.
    select: &'static str,
    /// The columns that name a row, with their places in what is selected.
    key: &'static [(&'static str, usize)],
    read: fn(&Row<'_>) -> Result<(), DeviceStoreError>,
}

const TABLES: [ReadTable; 9] = [
    ReadTable {
        name: "messages",
        select: messages::COLUMNS,
        key: &[("actor", 2), ("id", 1)],
        read: |row| {
            let message = messages::read(row)?;
            let id = ActivityId::parse(&message.content.id);
            id.map(drop).map_err(|_| DeviceStoreError::Corrupt("message"))
        },
    },
    ReadTable {
        name: "envelopes",
        select: envelopes::COLUMNS,
        key: &[("id", 0)],
        read: |row| envelopes::read(row).map(drop),
    },
    ReadTable {
        name: "evidence",
        select: "SELECT actor, id, flag FROM evidence",
        key: &[("actor", 0), ("id", 1)],
        read: |row| parse_evidence(&row.get::<_, String>(2)?).map(drop),
    },
    ReadTable {
        name: "groups",
        select: "SELECT id, known, latest FROM groups",
        key: &[("id", 0)],
        read: |row| {
            read_known(&row.get::<_, Vec<u8>>(1)?)?;
            let latest: Option<Vec<u8>> = row.get(2)?;
            latest.map_or(Ok(()), |latest| read_control(&latest).map(drop))
        },
    },
    ReadTable {
        name: "invitations",
        select: "SELECT grp, actor, known, latest FROM invitations",
        key: &[("grp", 0), ("actor", 1)],
        read: |row| {
            read_known(&row.get::<_, Vec<u8>>(2)?)?;
            read_control(&row.get::<_, Vec<u8>>(3)?).map(drop)
        },
    },
    ReadTable {
        name: "departures",
        select: "SELECT grp, epoch, members FROM departures",
        key: &[("grp", 0)],
        read: |row| {
            let members = serde_json::from_str::<Vec<String>>(&row.get::<_, String>(2)?);
            let is_epoch = row.get::<_, i64>(1)? >= 0;
            members.ok().filter(|_| is_epoch).map(drop).ok_or(DeviceStoreError::Corrupt("departure"))
        },
    },
    ReadTable {
        name: "notices",
        select: notices::COLUMNS,
        key: &[("row", 0)],
        read: |row| notices::read(row)?.map(drop).ok_or(DeviceStoreError::Corrupt("notice")),
    },
    ReadTable {
        name: "receipts",
        select: "SELECT row, kind, id FROM receipts",
        key: &[("row", 0)],
        read: |row| receipts::check(row.get(1)?, &row.get::<_, String>(2)?),
    },
    ReadTable {
        name: "held",
        select: held::COLUMNS,
        key: &[("row", 0)],
        read: |row| Ok(held::read(row).map(drop)?),
    },
];

impl Transaction<'_> {
    /// True if this library can read all that a person keeps in the store.
    pub(super) fn reads_all(&self) -> Result<bool, DeviceStoreError> {
        for table in &TABLES {
            if !self.unreadable(table)?.is_empty() {
                return Ok(false);
            }
        }
        for actor in self.people()? {
            self.pinned(&actor)?;
        }
        Ok(true)
    }

    /// Deletes what this library cannot read. Returns true if there was such.
    pub(super) fn drop_unreadable(&self) -> Result<bool, DeviceStoreError> {
        let mut found = false;
        for actor in self.people()? {
            if self.pinned(&actor).is_err() {
                self.unpin(&actor)?;
                found = true;
            }
        }
        for table in &TABLES {
            let columns: Vec<String> = table.key.iter().map(|(column, _)| format!("{column} IS ?")).collect();
            let sql = format!("DELETE FROM {} WHERE {}", table.name, columns.join(" AND "));
            for key in self.unreadable(table)? {
                self.inner.execute(&sql, params_from_iter(key))?;
                found = true;
            }
        }
        Ok(found)
    }

    /// Returns the keys of the rows of a table that cannot be read.
    fn unreadable(&self, table: &ReadTable) -> Result<Vec<Vec<Value>>, DeviceStoreError> {
        let mut statement = self.inner.prepare(table.select)?;
        let mut rows = statement.query([])?;
        let mut unreadable = Vec::new();
        while let Some(row) = rows.next()? {
            if (table.read)(row).is_err() {
                let key = table.key.iter().map(|(_, at)| row.get_ref(*at).map(value));
                unreadable.push(key.collect::<Result<_, _>>()?);
            }
        }
        Ok(unreadable)
    }
}
