//! Erasure of what revoked devices left: their keys and mailboxes.
//!
//! An erasure is a message of the queue `deliveries` that is queued before the devices are revoked,
//! with a delay that outlives the request. Whoever receives it looks whether a device is revoked.
//! A large mailbox takes many steps; after each one the message is queued again.

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::attribute::s;
use crate::deliveries::Delivery;
use crate::device::{DeviceAddress, DeviceRecord, DeviceStatus};
use crate::error::call;
use crate::items::{BATCH_WRITES, PROJECTED_KEYS};
use crate::{Result, Store, key};

/// The most items that one step erases.
pub const STEP_ITEMS: i32 = 100;

/// The order to erase devices of a user, as far as they are revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The user.
    pub user: UserName,
    /// The devices that are left in this pass. The first one is the next.
    pub devices: Vec<DeviceId>,
    /// The devices that are erased in this pass. The second pass is over them.
    pub erased: Vec<DeviceId>,
    /// The pass over the devices.
    pub pass: ErasurePass,
    /// The number of steps that failed one after another.
    pub failures: u32,
}

/// A pass over the devices of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasurePass {
    /// The erasure was ordered. Which of the devices were revoked is not known yet.
    Ordered,
    /// The first pass erases what the devices have.
    First,
    /// The second pass, some time later, erases what was under way to them in the first one.
    Second,
}

impl Store {
    /// Returns those of a user's devices that are revoked, strongly consistent.
    ///
    /// One BatchGetItem: 1 read unit a device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) and
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the reads;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if a record is not readable.
    pub async fn revoked_among(&self, user: &UserName, devices: Vec<DeviceId>) -> Result<Vec<DeviceId>> {
        let record = |device: &DeviceId| key::device(DeviceAddress::new(user, device));
        let items = self.batch_get(devices.iter().map(record).collect()).await?;
        let mut revoked = Vec::new();
        for device in devices {
            let found = record(&device).find_in(&items).map(DeviceRecord::from_item).transpose()?;
            if found.is_some_and(|found| found.status == DeviceStatus::Revoked) {
                revoked.push(device);
            }
        }
        Ok(revoked)
    }

    /// Queues an erasure, or its next step, for `delay_seconds` later, 900 at most. One
    /// SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach or refuses the message.
    pub async fn queue_erasure(&self, erasure: Erasure, delay_seconds: i32) -> Result<()> {
        self.queue(vec![Delivery::Erase(erasure)], delay_seconds).await
    }

    /// Deletes up to [`STEP_ITEMS`] items that a revoked device left: its mailbox and its keys. The
    /// device record stays. Returns true if there may be more.
    ///
    /// One Query and at most four BatchWriteItem: 1 read unit for each 4 KB and 1 write unit for
    /// each KB of each item. The verb may be repeated, also after an error.
    ///
    /// # Errors
    /// The table is out of reach; some of the items may be deleted then.
    pub async fn erase_some(&self, device: DeviceAddress<'_>) -> Result<bool> {
        let page = self
            .dynamodb()
            .query()
            .table_name(self.table())
            // Every other item of a device sorts after its record.
            .key_condition_expression("pk = :pk AND sk > :record")
            .expression_attribute_values(":pk", s(key::device_partition(device)))
            .expression_attribute_values(":record", s(key::DEVICE))
            .projection_expression(PROJECTED_KEYS)
            .consistent_read(true)
            .limit(STEP_ITEMS)
            .send()
            .await
            .map_err(call("Query"))?;
        for batch in page.items.unwrap_or_default().chunks(BATCH_WRITES) {
            self.batch_delete(batch.to_vec()).await?;
        }
        Ok(page.last_evaluated_key.is_some())
    }
}
