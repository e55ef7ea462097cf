//! The entries of a mailbox for which a device is woken, as a check sees them.

use eko_protocol::id::EntryKey;

use crate::attribute::{n, s};
use crate::device::DeviceAddress;
use crate::error::call;
use crate::key::{ENTRY_END, ENTRY_PREFIX};
use crate::mailbox::{QUIET, REPORT, TTL, read_key};
use crate::{Result, Store, key};

/// The most pages that [`Store::loud_entries`] reads.
const PAGES: usize = 8;

/// The entries of a mailbox that want a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoudEntries {
    /// The oldest one; `None` if there are so many others before it that it was not found.
    pub oldest: Option<EntryKey>,
    /// The newest one, or another entry that is newer still.
    pub newest: EntryKey,
}

impl Store {
    /// Looks for entries of a mailbox that want a notification and are newer than `after`. Returns
    /// `None` if there is none. If the first eight megabytes have none, and there is more, it counts
    /// as found.
    ///
    /// Up to eight Query, strongly consistent: 1 read unit for each 4 KB of the entries up to those
    /// that are found; and another one of a single entry, if the mailbox has more than 25.
    ///
    /// # Errors
    /// The table is out of reach, or an entry is corrupt.
    pub async fn loud_entries(
        &self,
        device: DeviceAddress<'_>,
        after: Option<&EntryKey>,
        now_ms: i64,
    ) -> Result<Option<LoudEntries>> {
        /// The entries of one page. Most mailboxes have fewer.
        const LIMIT: i32 = 25;
        let from = match after {
            None => ENTRY_PREFIX.to_owned(),
            Some(entry) => format!("{ENTRY_PREFIX}{}!", entry.as_str()),
        };
        let mut start = None;
        let mut found = None;
        for page in 0..PAGES {
            let query = self
                .dynamodb()
                .query()
                .table_name(self.table())
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .filter_expression("#ttl > :now AND attribute_not_exists(#q) AND attribute_not_exists(#j)")
                .projection_expression("sk, #ttl")
                .expression_attribute_names("#ttl", TTL)
                .expression_attribute_names("#q", QUIET)
                .expression_attribute_names("#j", REPORT)
                .expression_attribute_values(":pk", s(key::device_partition(device)))
                .expression_attribute_values(":from", s(&from))
                .expression_attribute_values(":to", s(ENTRY_END))
                .expression_attribute_values(":now", n(now_ms.div_euclid(1000)))
                .consistent_read(true)
                .set_limit((page == 0).then_some(LIMIT))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(call("Query"))?;
            let items = answer.items.unwrap_or_default();
            found = items.first().map(read_key).transpose()?;
            start = answer.last_evaluated_key;
            if let (Some(oldest), Some(newest), None) = (&found, items.last(), &start) {
                return Ok(Some(LoudEntries { oldest: Some(oldest.clone()), newest: read_key(newest)? }));
            }
            if found.is_some() || start.is_none() {
                break;
            }
        }
        if found.is_none() && start.is_none() {
            return Ok(None);
        }
        let newest = self.newest_entry(device).await?;
        Ok(newest.map(|newest| LoudEntries { oldest: found, newest }))
    }

    /// Returns the key of the newest entry of a mailbox; `None` if it has none.
    ///
    /// One Query, strongly consistent: 1 read unit for each 4 KB of that entry.
    ///
    /// # Errors
    /// The table is out of reach, or the entry is corrupt.
    pub async fn newest_entry(&self, device: DeviceAddress<'_>) -> Result<Option<EntryKey>> {
        let query = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .projection_expression("sk")
            .expression_attribute_values(":pk", s(key::device_partition(device)))
            .expression_attribute_values(":from", s(ENTRY_PREFIX))
            .expression_attribute_values(":to", s(ENTRY_END))
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(1);
        let answer = query.send().await.map_err(call("Query"))?;
        answer.items.unwrap_or_default().first().map(read_key).transpose()
    }
}
