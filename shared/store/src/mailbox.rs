//! A device's mailbox: entries with a time to live, oldest first, deleted by acknowledgement.
//!
//! `D#{user}#{device}` / `M#{entry key}`. An envelope's entry: `a` author (actor id), `e` envelope id, `f`
//! the sending device's URL, `c` content (binary), `p` published, `q` quiet (no push wanted), `x` expires,
//! `t` activity id, `l`/`h` the author's view of the device set. A report's: `j`, the activity as JSON bytes.
//! Times are epoch milliseconds, `ttl` is epoch seconds.

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::{DeviceId, EntryKey};

use crate::attribute::{Item, ReadItem, b, corrupt, n, s};
use crate::device::DeviceAddress;
use crate::error::call;
use crate::items::BATCH_WRITES;
use crate::{Result, Store, key};

/// Entries of one page at most (`docs/protocol.md`, section 6).
pub const PAGE_ENTRIES: i32 = 100;

/// One entry of a device's mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its address within the mailbox.
    pub key: EntryKey,
    /// Epoch seconds after which it is never returned.
    pub ttl: i64,
    /// What it holds.
    pub content: Content,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One device's message of an envelope.
    Message(Message),
    /// A report (`Delivered`, `PartialDelivery`, `Reject`, …): the activity as JSON.
    Report(Vec<u8>),
}

/// One device's message of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Actor id of the author.
    pub author: String,
    /// Activity id of the `Create`.
    pub activity: String,
    /// The envelope's id.
    pub envelope: String,
    /// URL of the device that sent it.
    pub from: String,
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
    /// When the sender says that it was published, epoch milliseconds.
    pub published_ms: Option<i64>,
    /// Whether a push notification is wanted.
    pub notify: bool,
    /// When the sender lets it expire, epoch milliseconds.
    pub expires_ms: Option<i64>,
    /// The device set that the sender last saw.
    pub device_set: Option<DeviceSetRef>,
}

/// Which entry of which device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// Owner of the device.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// Its entry.
    pub entry: Entry,
}

/// A page of a device's mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whether the device may read at all, and its pool.
    pub device: crate::device::DeviceRecord,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Where the next page starts, when there is one.
    pub next: Option<EntryKey>,
}

impl Store {
    /// Writes entries; the same entry written again overwrites itself. One BatchWriteItem for each 25, each
    /// entry its own size in write units. Answers the indexes of those that could not be written.
    pub async fn put_entries(&self, entries: &[Addressed]) -> Vec<usize> {
        let mut distinct: Vec<(usize, key::ItemKey)> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let key = key::entry(DeviceAddress::new(&entry.user, &entry.device), &entry.entry.key);
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

    /// A page of the device's mailbox from its start, with the device's own record: one Query, strongly
    /// consistent, 1 read unit for each 4 KB.
    ///
    /// A later page (`after`) reads the record by a GetItem beside the Query, in the same round: a device
    /// that was revoked between two pages reads no further. `None` where there is no such device.
    pub async fn fetch(
        &self,
        user: &UserName,
        device: &DeviceId,
        after: Option<&EntryKey>,
        now_ms: i64,
    ) -> Result<Option<Page>> {
        let (from, limit) = match after {
            None => (key::DEVICE.to_owned(), PAGE_ENTRIES.saturating_add(1)),
            Some(entry) => (format!("{}{}!", key::ENTRY_PREFIX, entry.as_str()), PAGE_ENTRIES),
        };
        let query = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .filter_expression("attribute_not_exists(#ttl) OR #ttl > :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":pk", s(key::device_partition(DeviceAddress::new(user, device))))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(key::ENTRY_END))
            .expression_attribute_values(":now", n(now_ms.div_euclid(1000)))
            .consistent_read(true)
            .limit(limit)
            .send();
        let record = async {
            match after {
                None => Ok(None),
                Some(_) => self.get_item(&key::device(DeviceAddress::new(user, device))).await,
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
        Ok(Some(Page { device: crate::device::DeviceRecord::from_item(&own)?, entries, next }))
    }

    /// Deletes an entry and answers what it was; `None` where the device has no such entry or it had
    /// expired. One DeleteItem, the entry's size in write units.
    pub async fn delete_entry(
        &self,
        user: &UserName,
        device: &DeviceId,
        entry: &EntryKey,
        now_ms: i64,
    ) -> Result<Option<Entry>> {
        let deleted = self
            .dynamodb()
            .delete_item()
            .table_name(self.table())
            .set_key(Some(key::entry(DeviceAddress::new(user, device), entry).item()))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(call("DeleteItem"))?;
        let entry = deleted.attributes.as_ref().map(Entry::from_item).transpose()?;
        Ok(entry.filter(|entry| entry.ttl > now_ms.div_euclid(1000)))
    }
}

impl Entry {
    fn attributes(&self) -> Item {
        let mut item = Item::from([("ttl".to_owned(), n(self.ttl))]);
        match &self.content {
            Content::Report(json) => {
                item.insert("j".to_owned(), b(json.clone()));
            }
            Content::Message(message) => message.write(&mut item),
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self> {
        let sk = item.need_s("sk")?;
        let key = EntryKey::parse(sk.strip_prefix(key::ENTRY_PREFIX).unwrap_or(sk)).map_err(corrupt)?;
        let content = match item.get_b("j") {
            Some(json) => Content::Report(json.to_vec()),
            None => Content::Message(Message::read(item)?),
        };
        Ok(Self { key, ttl: item.need_n("ttl")?, content })
    }
}

impl Message {
    fn write(&self, item: &mut Item) {
        let mut set = |name: &str, value| item.insert(name.to_owned(), value);
        set("a", s(&self.author));
        set("t", s(&self.activity));
        set("e", s(&self.envelope));
        set("f", s(&self.from));
        set("c", b(self.ciphertext.clone()));
        if let Some(at) = self.published_ms {
            set("p", n(at));
        }
        if !self.notify {
            set("q", n(1));
        }
        if let Some(at) = self.expires_ms {
            set("x", n(at));
        }
        if let Some(seen) = &self.device_set {
            set("l", n(seen.length));
            set("h", s(&seen.head));
        }
    }

    fn read(item: &Item) -> Result<Self> {
        let device_set = match (item.get_n("l"), item.get_s("h")) {
            (Some(length), Some(head)) => {
                Some(DeviceSetRef { length: length.unsigned_abs(), head: head.to_owned() })
            }
            _ => None,
        };
        Ok(Self {
            author: item.need_s("a")?.to_owned(),
            activity: item.need_s("t")?.to_owned(),
            envelope: item.need_s("e")?.to_owned(),
            from: item.need_s("f")?.to_owned(),
            ciphertext: item.need_b("c")?.to_vec(),
            published_ms: item.get_n("p"),
            notify: item.get_n("q").is_none(),
            expires_ms: item.get_n("x"),
            device_set,
        })
    }
}
