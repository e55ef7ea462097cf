//! A device's mailbox: entries with a time to live, oldest first, deleted by acknowledgement.
//!
//! Items `D#{user}#{device}` / `M#{entry key}`. The entry key begins with the time of acceptance,
//! so entries sort by it. Times are epoch milliseconds unless the table says otherwise.
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `ttl` | number | epoch seconds after which the entry is never returned |
//! | `z` | number | bytes of the ciphertext or of the report, for counting ([`crate::fill`]) |
//! | `j` | binary | a report: the activity as JSON; the attributes below are absent, except `a` |
//! | `a` | string | a letter: the author's actor id; a report: the actor id whose share it uses |
//! | `e` | string | the envelope's id |
//! | `f` | string | the URL of the sending device |
//! | `t` | string | the id of the `Create` activity; absent if its author gave none |
//! | `c` | binary | the ciphertext for this device |
//! | `p` | number | the time of writing by the sender's clock; absent if not given |
//! | `x` | number | the time at which the sender lets it expire; absent if not given |
//! | `q` | number | 1 if no push is wanted ("quiet"); absent otherwise |
//! | `r` | number | 1 if its author is a stranger who asks; absent otherwise |
//! | `g`, `m` | binary | tag and MAC of the franking; absent if not given |
//! | `l`, `h` | number, string | length and head of the device set as the author saw it; absent if not given |
//!
//! `e`, `f` and `t` are stored without the author's origin if they begin with it
//! ([`letter::short`]).

mod letter;

use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey, EnvelopeId};
use eko_protocol::letter::Letter;
use eko_protocol::limits::MAX_PAGE_ENTRIES;
use futures_util::future::join_all;
use serde_json::Value;

use crate::attribute::{Item, ReadItem, b, corrupt, n, s};
use crate::device::attr::{PUSHED_MS, STATUS};
use crate::device::{DeviceAddress, DeviceRecord, DeviceStatus};
use crate::error::call;
use crate::items::{BATCH_READS, BATCH_WRITES};
use crate::{Result, Store, key};
use letter::ENVELOPE;
pub(crate) use letter::{AUTHOR, QUIET, whole};

/// The attribute of an entry's time to live.
pub(crate) const TTL: &str = "ttl";
/// The attribute of an entry's size.
pub(crate) const SIZE: &str = "z";
/// The attribute of a report, which letters do not have.
pub(crate) const REPORT: &str = "j";
const CIPHERTEXT: &str = "c";

/// One entry of a device's mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's key within the mailbox.
    pub key: EntryKey,
    /// The time after which the entry is never returned, in epoch seconds.
    pub ttl: i64,
    /// The letter or report.
    pub content: EntryContent,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryContent {
    /// A letter with the ciphertext for this device.
    Letter {
        /// The letter.
        letter: Box<Letter>,
        /// The ciphertext.
        ciphertext: Vec<u8>,
    },
    /// A report (`Delivered`, `PartialDelivery`, `Reject`, …).
    Report {
        /// The actor id whose share of the mailbox it uses
        /// ([`MailboxSender`](crate::fill::MailboxSender)).
        charged_to: String,
        /// The activity.
        activity: Value,
    },
}

impl EntryContent {
    /// Returns the bytes of the ciphertext or of the report.
    pub fn size(&self) -> u64 {
        let bytes = match self {
            Self::Letter { ciphertext, .. } => ciphertext.len(),
            Self::Report { activity, .. } => activity.to_string().len(),
        };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// An entry and the device whose mailbox it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressedEntry {
    /// The owner of the device.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// The entry.
    pub entry: Entry,
}

impl AddressedEntry {
    /// Returns the device whose mailbox the entry belongs to.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress::new(&self.user, &self.device)
    }
}

/// A page of a device's mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPage {
    /// The device's own record: its status and its pools.
    pub device: DeviceRecord,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The key of the last entry, if another page follows it.
    pub next: Option<EntryKey>,
}

/// The part of a device and of its entries that an acknowledgement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryHeads {
    /// The status of the device; `None` if it has no record.
    pub status: Option<DeviceStatus>,
    /// The time of the last push to the device, in epoch milliseconds, if it has not been seen
    /// since.
    pub pushed_ms: Option<i64>,
    /// The entries that the device has.
    pub entries: Vec<EntryHead>,
}

/// The part of an entry that an acknowledgement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// The entry's key.
    pub key: EntryKey,
    /// The envelope whose letter the entry holds; `None` if the entry is a report.
    pub envelope: Option<AuthoredEnvelope>,
}

/// An envelope's id with its author, who gives the id its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoredEnvelope {
    /// The author's actor id.
    pub author: String,
    /// The envelope's id.
    pub id: EnvelopeId,
}

impl AuthoredEnvelope {
    /// Reads author and id of an entry; `None` if the entry is of no envelope, because it is a report.
    fn from_item(item: &Item) -> Result<Option<Self>> {
        if item.get_s(ENVELOPE).is_none() {
            return Ok(None);
        }
        let author = item.need_s(AUTHOR)?;
        Ok(Some(Self { author: author.to_owned(), id: letter::read_envelope(author, item)? }))
    }
}

impl Store {
    /// Writes entries. An entry that is written again overwrites itself.
    ///
    /// One BatchWriteItem for each 25; each entry costs its own size in write units. Returns the
    /// indexes of the entries that could not be written.
    pub async fn put_entries(&self, entries: &[AddressedEntry]) -> Vec<usize> {
        let mut distinct: Vec<(usize, key::ItemKey)> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let key = key::entry(entry.address(), &entry.entry.key);
            match distinct.iter_mut().find(|(_, seen)| *seen == key) {
                Some(same) => same.0 = index,
                None => distinct.push((index, key)),
            }
        }
        let mut failed = Vec::new();
        for batch in distinct.chunks(BATCH_WRITES) {
            let items = batch.iter().filter_map(|(index, key)| {
                let mut item = key.item();
                item.extend(entries.get(*index)?.entry.attributes());
                Some(item)
            });
            if let Err(error) = self.batch_put(items.collect()).await {
                tracing::warn!(%error, "entries not written");
                failed.extend(batch.iter().map(|(index, _)| *index));
            }
        }
        failed
    }

    /// Reads a page of a device's mailbox and the device's own record.
    ///
    /// The first page is one strongly consistent Query, 1 read unit for each 4 KB. A later page
    /// (`after`) reads the record by a GetItem beside the Query, so that a device that was revoked
    /// between two pages reads no further. Returns `None` if there is no such device.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn fetch(
        &self,
        device: DeviceAddress<'_>,
        after: Option<&EntryKey>,
        now_ms: i64,
    ) -> Result<Option<MailboxPage>> {
        let (from, limit) = match after {
            None => (key::DEVICE.to_owned(), most_entries().saturating_add(1)),
            Some(entry) => (format!("{}{}!", key::ENTRY_PREFIX, entry.as_str()), most_entries()),
        };
        let query = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .filter_expression("attribute_not_exists(#ttl) OR #ttl > :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":pk", s(key::device_partition(device)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(key::ENTRY_END))
            .expression_attribute_values(":now", n(now_ms.div_euclid(1000)))
            .consistent_read(true)
            .limit(limit)
            .send();
        let record = async {
            match after {
                None => Ok(None),
                Some(_) => self.get_item(&key::device(device)).await,
            }
        };
        let (answer, record) = tokio::join!(query, record);
        let answer = answer.map_err(call("Query"))?;
        let mut items = answer.items.unwrap_or_default();
        let own = match items.first() {
            Some(first) if first.get_s("sk") == Some(key::DEVICE) => Some(items.remove(0)),
            _ => record?,
        };
        let Some(own) = own else { return Ok(None) };
        let entries = items.iter().map(Entry::from_item).collect::<Result<Vec<_>>>()?;
        let last = answer.last_evaluated_key.as_ref().and_then(|item| item.get_s("sk"));
        let next = last.and_then(|sk| sk.strip_prefix(key::ENTRY_PREFIX)).map(EntryKey::parse);
        let next = next.transpose().map_err(corrupt)?;
        Ok(Some(MailboxPage { device: DeviceRecord::from_item(&own)?, entries, next }))
    }

    /// Reads the authors and envelopes of entries, and the status of their device, for an
    /// acknowledgement.
    ///
    /// Entries that the device does not have and expired ones are left out. One BatchGetItem, or
    /// two for 100 entries: 1 read unit for the record, and 1 for each 4 KB of each entry.
    /// Ciphertexts are not transferred.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn entry_heads(
        &self,
        device: DeviceAddress<'_>,
        entries: &[EntryKey],
        now_ms: i64,
    ) -> Result<EntryHeads> {
        let record = key::device(device);
        let mut keys = vec![record.clone()];
        keys.extend(entries.iter().map(|entry| key::entry(device, entry)));
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_READS) {
            let attributes = [STATUS, PUSHED_MS, TTL, AUTHOR, ENVELOPE];
            items.extend(self.batch_get_attributes(keys, &attributes).await?);
        }
        let record = record.find_in(&items);
        let status = record.map(|item| DeviceStatus::parse(item.need_s(STATUS)?));
        let pushed_ms = record.and_then(|item| item.get_n(PUSHED_MS));
        let mut heads = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(item) = key::entry(device, entry).find_in(&items) else { continue };
            if item.need_n(TTL)? > now_ms.div_euclid(1000) {
                heads.push(EntryHead { key: entry.clone(), envelope: AuthoredEnvelope::from_item(item)? });
            }
        }
        Ok(EntryHeads { status: status.transpose()?, pushed_ms, entries: heads })
    }

    /// Deletes entries of a device's mailbox. Entries that are not there are no error.
    ///
    /// One BatchWriteItem for each 25, all at once; each entry costs its own size in write units.
    ///
    /// # Errors
    /// The table is out of reach. Some of the entries may be deleted then.
    pub async fn delete_entries(&self, device: DeviceAddress<'_>, entries: &[EntryKey]) -> Result<()> {
        let batches = entries.chunks(BATCH_WRITES).map(|batch| {
            self.batch_delete(batch.iter().map(|entry| key::entry(device, entry).item()).collect())
        });
        join_all(batches).await.into_iter().collect()
    }
}

/// Returns [`MAX_PAGE_ENTRIES`] as DynamoDB's limit of a Query.
fn most_entries() -> i32 {
    i32::try_from(MAX_PAGE_ENTRIES).unwrap_or(i32::MAX)
}

impl Entry {
    fn attributes(&self) -> Item {
        let mut item = Item::from([(TTL.to_owned(), n(self.ttl))]);
        let content = match &self.content {
            EntryContent::Report { charged_to, activity } => {
                item.insert(AUTHOR.to_owned(), s(charged_to));
                (REPORT, activity.to_string().into_bytes())
            }
            EntryContent::Letter { letter, ciphertext } => {
                letter::write(letter, &mut item);
                (CIPHERTEXT, ciphertext.clone())
            }
        };
        item.insert(SIZE.to_owned(), n(self.content.size()));
        item.insert(content.0.to_owned(), b(content.1));
        item
    }

    fn from_item(item: &Item) -> Result<Self> {
        let key = read_key(item)?;
        let content = match item.get_b(REPORT) {
            Some(json) => EntryContent::Report {
                charged_to: item.need_s(AUTHOR)?.to_owned(),
                activity: serde_json::from_slice(json).map_err(corrupt)?,
            },
            None => EntryContent::Letter {
                letter: Box::new(letter::read(&key, item)?),
                ciphertext: item.need_b(CIPHERTEXT)?.to_vec(),
            },
        };
        Ok(Self { key, ttl: item.need_n(TTL)?, content })
    }
}

/// Reads the key of an entry.
pub(crate) fn read_key(item: &Item) -> Result<EntryKey> {
    let sk = item.need_s("sk")?;
    EntryKey::parse(sk.strip_prefix(key::ENTRY_PREFIX).unwrap_or(sk)).map_err(corrupt)
}
