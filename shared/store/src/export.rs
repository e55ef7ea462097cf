//! The export of an account: everything that the table has of a user, page by page ([decision
//! 0039](../../../docs/decisions/0039-export.md)).
//!
//! A page is one Query of one partition of the user. A cursor says where the next page begins. It
//! holds no partition key: that one is made of the calling user's name, so that no cursor leads to
//! what somebody else has.
//!
//! # Item `L#{user}` / `EXPORTS#{day}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | pages | the pages of exports of one day |
//! | `ttl` | N | epoch s | a day after the end of the day |

mod cursor;
mod item;
mod rules;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::limits::{MAX_EXPORT_PAGES, MAX_PAGE_EXPORTED};

use crate::attribute::{Item, ReadItem, corrupt, n, s, short_hash};
use crate::condition::conditional;
use crate::device::DeviceAddress;
use crate::devices::UserDevices;
use crate::error::call;
use crate::resources::{SORT_KEY, TTL_ATTRIBUTE};
use crate::{Result, Store, key};

pub use cursor::{ExportCursor, ExportPart};
pub use item::ExportedItem;

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The attribute with a number of pages.
const COUNT: &str = "n";

/// A page of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportPage {
    /// The device whose items these are; `None` for those of the user.
    pub device: Option<DeviceId>,
    /// The items.
    pub items: Vec<ExportedItem>,
    /// The place at which the next page begins; `None` after the last page.
    pub next: Option<ExportCursor>,
}

/// The items of a page as they are stored.
struct StoredPage {
    items: Vec<Item>,
    /// The sort key of the last item, if there may be more items.
    last: Option<String>,
}

impl Store {
    /// Counts a page of a user's exports of this day. Returns false, and counts nothing, if there were
    /// [`MAX_EXPORT_PAGES`].
    ///
    /// One UpdateItem: 1 write unit, also if it is refused.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails. The page may be counted then.
    pub async fn count_export_page(&self, user: &UserName, now_ms: i64) -> Result<bool> {
        let day = now_ms.div_euclid(DAY_MS);
        let ends_s = day.saturating_add(2).saturating_mul(DAY_MS).div_euclid(1000);
        let update = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::exports(user, day).item()))
            .update_expression("SET #ttl = :ttl ADD #n :one")
            .condition_expression("attribute_not_exists(#n) OR #n < :most")
            .expression_attribute_names("#n", COUNT)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":ttl", n(ends_s))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":most", n(MAX_EXPORT_PAGES));
        Ok(conditional(update.send().await)?.is_done())
    }

    /// Reads a page of what the table has of a user. `devices` are the user's devices, and `actor` is
    /// the user's actor id.
    ///
    /// One Query, eventually consistent: half a read unit for each 4 KB, and a megabyte at most. An item
    /// that changes while the pages are read is in the export as it was before or after. What has expired
    /// is left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if an item has an attribute of which the
    /// export does not know whether it may show it.
    pub async fn export_page(
        &self,
        user: &UserName,
        actor: &str,
        devices: &UserDevices,
        cursor: &ExportCursor,
        now_ms: i64,
    ) -> Result<ExportPage> {
        let partition = partition(user, actor, &cursor.part);
        let is_list = cursor.part == ExportPart::Devices;
        let limit = if is_list { 1 } else { i32::try_from(MAX_PAGE_EXPORTED).unwrap_or(i32::MAX) };
        let stored = self.read_export(&partition, cursor.after.as_deref(), limit).await?;
        if is_list {
            return listed_device(devices, cursor, &stored.items);
        }
        let now_s = now_ms.div_euclid(1000);
        let is_live = |item: &&Item| item.get_n(TTL_ATTRIBUTE).is_none_or(|ttl| ttl > now_s);
        let items = stored.items.iter().filter(is_live).map(item::exported).collect::<Result<_>>()?;
        let next = match stored.last {
            Some(last) => Some(ExportCursor::after(cursor.part.clone(), last)),
            None => cursor.part.next(),
        };
        let device = match &cursor.part {
            ExportPart::Device(device) => Some(device.clone()),
            _ => None,
        };
        Ok(ExportPage { device, items, next })
    }

    async fn read_export(&self, partition: &str, after: Option<&str>, limit: i32) -> Result<StoredPage> {
        let query = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .expression_attribute_values(":pk", s(partition))
            .limit(limit);
        let query = match after {
            None => query.key_condition_expression("pk = :pk"),
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":after", s(after)),
        };
        let page = query.send().await.map_err(call("Query"))?;
        let last = page.last_evaluated_key.as_ref().and_then(|key| key.get(SORT_KEY));
        let last = last.map(AttributeValue::as_s).transpose().map_err(|_| corrupt("a sort key"))?.cloned();
        Ok(StoredPage { items: page.items.unwrap_or_default(), last })
    }
}

/// Returns the partition of a part of the export.
fn partition(user: &UserName, actor: &str, part: &ExportPart) -> String {
    match part {
        ExportPart::Account => key::user_partition(user),
        ExportPart::Counters => key::counters_partition(user),
        ExportPart::Reports => key::reports_partition(&short_hash(actor)),
        ExportPart::Devices => key::owned_partition(user),
        ExportPart::Device(device) => key::device_partition(DeviceAddress::new(user, device)),
        ExportPart::GroupStates => key::group_state_partition(user),
    }
}

/// Builds the page of the first device after the cursor, of those which are listed and those in the
/// device set. A device that registered before there was a list is in the set only.
fn listed_device(devices: &UserDevices, cursor: &ExportCursor, listed: &[Item]) -> Result<ExportPage> {
    let listed = match listed.first() {
        Some(item) => Some(DeviceId::parse(item.need_s(SORT_KEY)?).map_err(corrupt)?),
        None => None,
    };
    let is_left = |device: &&DeviceId| cursor.after.as_deref().is_none_or(|after| device.as_str() > after);
    let in_set = devices.active.keys().chain(&devices.pending).filter(is_left);
    let first = in_set.chain(listed.as_ref()).min_by(|a, b| a.as_str().cmp(b.as_str())).cloned();
    let is_listed = first.is_some() && first == listed;
    Ok(ExportPage {
        device: first.clone(),
        items: is_listed.then(ExportedItem::listed_device).into_iter().collect(),
        next: Some(match first {
            Some(device) => ExportCursor::start(ExportPart::Device(device)),
            None => ExportCursor::start(ExportPart::GroupStates),
        }),
    })
}
