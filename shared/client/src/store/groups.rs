//! The records of groups.

use eko_protocol::json;
use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};
use crate::group::KnownGroup;

impl Transaction<'_> {
    /// Returns the record of a group.
    pub(crate) fn group(&self, id: &str) -> Result<Option<KnownGroup>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT known FROM groups WHERE id = ?1")?;
        let known: Option<Vec<u8>> = statement.query_row([id], |row| row.get(0)).optional()?;
        known.as_deref().map(read).transpose()
    }

    /// Returns the records of all groups.
    pub(crate) fn groups(&self) -> Result<Vec<KnownGroup>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT known FROM groups ORDER BY id")?;
        let known = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
        known.iter().map(|known| read(known)).collect()
    }

    /// Keeps the record of a group.
    pub(crate) fn keep_group(&self, known: &KnownGroup) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO groups (id, known) VALUES (?1, ?2)";
        let json = known.to_value().to_string().into_bytes();
        self.inner.execute(sql, params![known.current.id().as_str(), json])?;
        Ok(())
    }
}

fn read(known: &[u8]) -> Result<KnownGroup, DeviceStoreError> {
    let value = json::parse(known).ok();
    value.and_then(|value| KnownGroup::parse(&value).ok()).ok_or(DeviceStoreError::Corrupt("group"))
}
