//! The rows of a store that this library cannot read, though SQLite can.

use eko_protocol::id::EnvelopeId;
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::super::evidence::parse_evidence;
use super::super::groups::{read_control, read_known};
use super::super::{
    DeviceStoreError, Transaction, awaited, envelopes, held, messages, notices, pre_keys, receipts,
};
use super::pins::user_of;
use super::{StoredForm, value};
use crate::content::ActivityId;

/// A table whose rows are read as the store reads them.
struct ReadTable {
    name: &'static str,
    /// A statement that selects all rows, with what `read` needs.
    select: &'static str,
    /// The columns that name a row, with their places in what is selected.
    key: &'static [(&'static str, usize)],
    read: fn(&Row<'_>, &IsReadable<'_>) -> Result<(), DeviceStoreError>,
}

/// Tells whether those who keep something in the store can read it.
type IsReadable<'a> = dyn Fn(StoredForm<'_>) -> bool + 'a;

/// The tables. Those come first without which the rows of others cannot be read.
const TABLES: [ReadTable; 16] = [
    ReadTable {
        name: "gaps",
        select: "SELECT conversation, device, first, last FROM gaps",
        key: &[("conversation", 0), ("device", 1), ("first", 2)],
        read: |row, _| {
            let is_range =
                (1..=row.get(3)?).contains(&row.get::<_, i64>(2)?) && row.get::<_, i64>(3)? <= MOST;
            is_range.then_some(()).ok_or(DeviceStoreError::Corrupt("gap"))
        },
    },
    ReadTable {
        name: "void_numbers",
        select: "SELECT conversation, device, first, last FROM void_numbers",
        key: &[("conversation", 0), ("device", 1), ("first", 2)],
        read: |row, _| row.get::<_, u64>(2).and_then(|_| row.get::<_, u64>(3)).map(drop).map_err(Into::into),
    },
    ReadTable {
        name: "sequences",
        select: "SELECT conversation, last FROM sequences",
        key: &[("conversation", 0)],
        read: |row, _| number(row.get(1)?),
    },
    ReadTable {
        name: "followed",
        select: "SELECT conversation, device, last FROM followed",
        key: &[("conversation", 0), ("device", 1)],
        read: |row, _| number(row.get(2)?),
    },
    ReadTable {
        name: "awaited",
        select: awaited::COLUMNS,
        key: &[("actor", 0), ("device", 1), ("envelope", 6)],
        read: |row, _| {
            let (awaited, envelope) = (awaited::read(row)?, row.get::<_, String>(6)?);
            let envelope = EnvelopeId::parse(&envelope).ok();
            let read = envelope.zip(user_of(&awaited.actor));
            read.map(drop).ok_or(DeviceStoreError::Corrupt("awaited message"))
        },
    },
    ReadTable {
        name: "messages",
        select: messages::COLUMNS,
        key: &[("actor", 2), ("id", 1)],
        read: |row, _| {
            let message = messages::read(row)?;
            let id = ActivityId::parse(&message.content.id);
            id.map(drop).map_err(|_| DeviceStoreError::Corrupt("message"))
        },
    },
    ReadTable {
        name: "envelopes",
        select: envelopes::COLUMNS,
        key: &[("id", 0)],
        read: |row, _| {
            let recipient = user_of(&envelopes::read(row)?.recipient);
            recipient.map(drop).ok_or(DeviceStoreError::Corrupt("recipient"))
        },
    },
    ReadTable {
        name: "evidence",
        select: "SELECT actor, id, flag FROM evidence",
        key: &[("actor", 0), ("id", 1)],
        read: |row, _| parse_evidence(&row.get::<_, String>(2)?).map(drop),
    },
    ReadTable {
        name: "groups",
        select: "SELECT id, known, latest FROM groups",
        key: &[("id", 0)],
        read: |row, _| {
            read_known(&row.get::<_, Vec<u8>>(1)?)?;
            let latest: Option<Vec<u8>> = row.get(2)?;
            latest.map_or(Ok(()), |latest| read_control(&latest).map(drop))
        },
    },
    ReadTable {
        name: "invitations",
        select: "SELECT grp, actor, known, latest FROM invitations",
        key: &[("grp", 0), ("actor", 1)],
        read: |row, _| {
            read_known(&row.get::<_, Vec<u8>>(2)?)?;
            read_control(&row.get::<_, Vec<u8>>(3)?).map(drop)
        },
    },
    ReadTable {
        name: "departures",
        select: "SELECT grp, epoch, members FROM departures",
        key: &[("grp", 0)],
        read: |row, _| {
            let members = serde_json::from_str::<Vec<String>>(&row.get::<_, String>(2)?);
            let is_epoch = row.get::<_, i64>(1)? >= 0;
            members.ok().filter(|_| is_epoch).map(drop).ok_or(DeviceStoreError::Corrupt("departure"))
        },
    },
    ReadTable {
        name: "notices",
        select: notices::COLUMNS,
        key: &[("row", 0)],
        read: |row, is_readable| {
            let notice = notices::read(row)?.filter(|notice| is_readable(StoredForm::Notice(notice)));
            notice.map(drop).ok_or(DeviceStoreError::Corrupt("notice"))
        },
    },
    ReadTable {
        name: "receipts",
        select: "SELECT row, kind, id FROM receipts",
        key: &[("row", 0)],
        read: |row, _| receipts::check(row.get(1)?, &row.get::<_, String>(2)?),
    },
    ReadTable {
        name: "held_evidence",
        select: "SELECT row, flag FROM held_evidence",
        key: &[("row", 0)],
        read: |row, _| parse_evidence(&row.get::<_, String>(1)?).map(drop),
    },
    ReadTable {
        name: "pre_keys",
        select: "SELECT kind, id, secret FROM pre_keys",
        key: &[("kind", 0), ("id", 1)],
        read: |row, _| Ok(pre_keys::check(row)?),
    },
    ReadTable {
        name: "held",
        select: held::COLUMNS,
        key: &[("row", 0)],
        read: |row, _| Ok(held::read(row).map(drop)?),
    },
];

/// The greatest number that a device gives to a note, and JSON can carry.
const MOST: i64 = (1 << 53) - 1;

fn number(last: i64) -> Result<(), DeviceStoreError> {
    (0..=MOST).contains(&last).then_some(()).ok_or(DeviceStoreError::Corrupt("number"))
}

impl Transaction<'_> {
    /// True if everything in the store can be read.
    pub(super) fn reads_all(&self, is_readable: &IsReadable<'_>) -> Result<bool, DeviceStoreError> {
        for table in &self.tables()? {
            if !self.has_types(table)? {
                return Ok(false);
            }
        }
        if !self.unreadable_values(is_readable)?.is_empty()
            || !self.unreadable_sessions(is_readable)?.is_empty()
        {
            return Ok(false);
        }
        for table in &TABLES {
            if !self.unreadable(table, is_readable)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(!self.lacks_contents()? && self.people()?.iter().all(|actor| self.is_pin_sound(actor)))
    }

    /// Returns the devices of the sessions that the Signal library cannot read.
    fn unreadable_sessions(&self, is_readable: &IsReadable<'_>) -> Result<Vec<String>, DeviceStoreError> {
        let mut statement = self.inner.prepare("SELECT device, record FROM sessions")?;
        let sessions = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut sessions: Vec<(String, Vec<u8>)> = sessions.collect::<Result<_, _>>()?;
        sessions.retain(|(_, record)| !is_readable(StoredForm::Session(record)));
        Ok(sessions.into_iter().map(|(device, _)| device).collect())
    }

    /// Deletes what cannot be read, but for what is sound of a chain. Returns true if there was such. Without its
    /// session, a device is written to in a new one. Without its content, an envelope has failed.
    pub(super) fn drop_unreadable(&self, is_readable: &IsReadable<'_>) -> Result<bool, DeviceStoreError> {
        let mut found = false;
        for name in self.unreadable_values(is_readable)? {
            self.delete(&name)?;
            found = true;
        }
        for device in self.unreadable_sessions(is_readable)? {
            self.inner.execute("DELETE FROM sessions WHERE device = ?1", [device])?;
            found = true;
        }
        for actor in self.people()? {
            if !self.is_pin_sound(&actor) {
                self.mend_pin(&actor)?;
                found = true;
            }
        }
        for table in &TABLES {
            let columns: Vec<String> = table.key.iter().map(|(column, _)| format!("{column} IS ?")).collect();
            let sql = format!("DELETE FROM {} WHERE {}", table.name, columns.join(" AND "));
            for key in self.unreadable(table, is_readable)? {
                self.inner.execute(&sql, params_from_iter(key))?;
                found = true;
            }
        }
        found |= self.give_up_without_contents()?;
        Ok(found)
    }

    /// Returns the keys of the rows of a table that cannot be read.
    fn unreadable(
        &self,
        table: &ReadTable,
        is_readable: &IsReadable<'_>,
    ) -> Result<Vec<Vec<Value>>, DeviceStoreError> {
        let mut statement = self.inner.prepare(table.select)?;
        let mut rows = statement.query([])?;
        let mut unreadable = Vec::new();
        while let Some(row) = rows.next()? {
            if (table.read)(row, is_readable).is_err() {
                let key = table.key.iter().map(|(_, at)| row.get_ref(*at).map(value));
                unreadable.push(key.collect::<Result<_, _>>()?);
            }
        }
        Ok(unreadable)
    }
}
