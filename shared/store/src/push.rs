//! Push subscriptions, and the changes of a device's push state ([`PushState`]).
//!
//! A device has a state in its user's item `LIVE` ([`crate::live`]) exactly if it has a
//! subscription. A device to which a push was sent has the attribute `pu` in its record
//! ([`crate::device`]), so that its next fetch or acknowledgement sees that without a further read.
//! All writes that concern two of these items are transactions.
//!
//! # Item `D#{user}#{device}` / `PUSH`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `e` | S | | the endpoint |
//! | `k` | B | | the browser's public key, an uncompressed point of P-256 |
//! | `a` | B | | the browser's authentication secret |
//! | `c` | N | epoch ms | the time of the subscription |

mod loud;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use eko_protocol::id::EntryKey;
use eko_protocol::push::PushSubscription;

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n, s};
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::error::call;
use crate::live::item::{push_name, pushed_for_name};
use crate::live::{Live, PushState};
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

pub use loud::LoudEntries;

/// The names of the attributes of a subscription.
mod attr {
    pub(super) const ENDPOINT: &str = "e";
    pub(super) const PUBLIC_KEY: &str = "k";
    pub(super) const AUTH: &str = "a";
    pub(super) const CREATED_MS: &str = "c";
}

/// The condition that the device is signed in and active.
const SIGNED_IN: &str = "#st = :active AND attribute_exists(#fam)";
/// The expression that removes what the user's item has of a device's pushes ([`state_names`]).
const WITHOUT_STATE: &str = "REMOVE #p, #a";

/// A device that a push can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The subscription.
    pub subscription: PushSubscription,
    /// The state.
    pub state: PushState,
    /// The key up to which entries have led to a push.
    pub pushed_for: Option<EntryKey>,
}

/// The outcome of [`Store::claim_push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushClaim {
    /// The caller sends the push.
    Claimed,
    /// The state is another one than the caller has seen.
    Changed,
    /// The device was revoked or signed out.
    SignedOut,
}

impl Store {
    /// Stores the subscription of a device in the place of an earlier one. Returns false if the
    /// device is not active and signed in.
    ///
    /// One transaction of three writes: twice the write units of subscription, device record and
    /// the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn subscribe(
        &self,
        device: DeviceAddress<'_>,
        subscription: &PushSubscription,
        now_ms: i64,
    ) -> Result<bool> {
        let mut item = key::push(device).item();
        item.set(attr::ENDPOINT, s(&subscription.endpoint));
        item.set(attr::PUBLIC_KEY, b(subscription.public_key));
        item.set(attr::AUTH, b(subscription.auth));
        item.set(attr::CREATED_MS, n(now_ms));
        let record = self.update(&key::device(device), |update| {
            signed_in(update).update_expression("REMOVE #pu").condition_expression(SIGNED_IN)
        })?;
        let state = PushState::Idle { since_ms: now_ms };
        let state = self.update(&key::live(device.user), |update| {
            set_state(update, device, &state).update_expression("SET #p = :p")
        })?;
        Ok(self.transact(vec![record, state, self.put(item)?]).await?.is_done())
    }

    /// Removes the subscription of a device. Does nothing if it has none.
    ///
    /// One transaction of three writes: twice the write units of subscription, device record and
    /// the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn unsubscribe(&self, device: DeviceAddress<'_>) -> Result<()> {
        let removal = self.remove(&key::push(device))?;
        self.transact(self.forgetting(device, removal)?).await?;
        Ok(())
    }

    /// Removes a subscription that its push service does not know any more, unless the device has
    /// another one meanwhile. The calls are those of [`Store::unsubscribe`].
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn drop_subscription(&self, device: DeviceAddress<'_>, endpoint: &str) -> Result<()> {
        let removal = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(self.table())
            .set_key(Some(key::push(device).item()))
            .condition_expression("#e = :e")
            .expression_attribute_names("#e", attr::ENDPOINT)
            .expression_attribute_values(":e", s(endpoint));
        let removal =
            TransactWriteItem::builder().delete(removal.build().map_err(call("TransactWriteItems"))?).build();
        self.transact(self.forgetting(device, removal)?).await?;
        Ok(())
    }

    /// Builds the writes that remove a subscription with the device's state, on condition that
    /// there is a state.
    fn forgetting(
        &self,
        device: DeviceAddress<'_>,
        removal: TransactWriteItem,
    ) -> Result<Vec<TransactWriteItem>> {
        let record = self.update(&key::device(device), |update| {
            update
                .update_expression("REMOVE #pu")
                .condition_expression(key::EXISTS)
                .expression_attribute_names("#pu", device::attr::PUSHED_MS)
        })?;
        let state = self.update(&key::live(device.user), |update| {
            without_state(update, device).condition_expression("attribute_exists(#p)")
        })?;
        Ok(vec![removal, record, state])
    }

    /// Builds the writes that remove subscription and state of a device, whether or not there are any.
    pub(crate) fn without_push(&self, device: DeviceAddress<'_>) -> Result<[TransactWriteItem; 2]> {
        let state = self.update(&key::live(device.user), |update| without_state(update, device))?;
        Ok([self.remove(&key::push(device))?, state])
    }

    /// Removes the push state of a revoked device, whose subscription is erased with its other
    /// items. Does nothing if it has none.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn forget_push_state(&self, device: DeviceAddress<'_>) -> Result<()> {
        let update = self
            .update_live(device.user)
            .update_expression(WITHOUT_STATE)
            .condition_expression("attribute_exists(#p)")
            .set_expression_attribute_names(Some(state_names(device)));
        self.update_beside_transactions(update).await?;
        Ok(())
    }

    /// Reads the subscription and the state of a device, strongly consistent; `None` if it has no
    /// subscription.
    ///
    /// One BatchGetItem: 1 read unit for each 4 KB of the subscription and of the user's item.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn push_target(&self, device: DeviceAddress<'_>) -> Result<Option<PushTarget>> {
        let (push, live) = (key::push(device), key::live(device.user));
        let items = self.batch_get(vec![push.clone(), live.clone()]).await?;
        let (Some(push), Some(live)) = (push.find_in(&items), live.find_in(&items)) else { return Ok(None) };
        let mut live = Live::from_item(device.user, live)?;
        let Some(state) = live.pushes.remove(device.device) else { return Ok(None) };
        let pushed_for = live.pushed_for.remove(device.device);
        Ok(Some(PushTarget { subscription: read_subscription(push)?, state, pushed_for }))
    }

    /// Notes that a push is sent, on condition that the state is as it was seen and that the device
    /// is active and signed in. `sent` is the new state; it is the one that was seen if the push is
    /// repeated. `newest` is the newest entry that the push is for. Call it before the push: a
    /// process that dies in between leaves a message of the queue, and the note.
    ///
    /// One transaction of two writes: twice the write units of device record and the user's item.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn claim_push(
        &self,
        device: DeviceAddress<'_>,
        seen: &PushState,
        sent: &PushState,
        newest: Option<&EntryKey>,
    ) -> Result<PushClaim> {
        const RECORD: usize = 0;
        let record = self.update(&key::device(device), |update| {
            signed_in(update)
                .update_expression("SET #pu = :now")
                .condition_expression(SIGNED_IN)
                .expression_attribute_values(":now", n(sent.time_ms()))
        })?;
        let state = self.update(&key::live(device.user), |update| {
            let update = set_state(update, device, sent)
                .condition_expression("#p = :seen")
                .expression_attribute_values(":seen", seen.attribute());
            match newest {
                Some(newest) => set_pushed_for(update, device, newest),
                None => update.update_expression("SET #p = :p"),
            }
        })?;
        Ok(match self.transact(vec![record, state]).await? {
            TransactionOutcome::Done => PushClaim::Claimed,
            TransactionOutcome::Refused { index: RECORD, .. } => PushClaim::SignedOut,
            TransactionOutcome::Refused { .. } => PushClaim::Changed,
        })
    }

    /// Notes that a device has been seen since the push of `pushed_ms`, and gives it this state. A
    /// device without a subscription gets none.
    ///
    /// One transaction of two writes: twice the write units of device record and the user's item.
    /// It may be repeated. Does nothing if another call has done it or another push was sent.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn end_push(&self, device: DeviceAddress<'_>, pushed_ms: i64, state: &PushState) -> Result<()> {
        let record = self.update(&key::device(device), |update| {
            push_noted(update, pushed_ms).update_expression("REMOVE #pu")
        })?;
        let state = self.update(&key::live(device.user), |update| {
            let update = set_state(update, device, state).update_expression("SET #p = :p");
            update.condition_expression("attribute_exists(#p)")
        })?;
        self.transact(vec![record, state]).await?;
        Ok(())
    }

    /// Ends a push as [`Store::end_push`] does, for a `Fetch` on a socket: nobody knows whether its
    /// answer arrives. So the entries count as not pushed for, and the next check sees them, up to
    /// `newest`, the newest one of the mailbox. Those that the last such call saw
    /// ([`push_fetched`](crate::device::DeviceRecord::push_fetched)) have led to a second push, and
    /// lead to no further one.
    ///
    /// The calls are those of [`Store::end_push`].
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn end_push_by_frame(
        &self,
        device: DeviceAddress<'_>,
        pushed_ms: i64,
        state: &PushState,
        fetched_before: Option<&EntryKey>,
        newest: Option<&EntryKey>,
    ) -> Result<()> {
        let record = self.update(&key::device(device), |update| {
            let update = push_noted(update, pushed_ms);
            match newest {
                None => update.update_expression("REMOVE #pu"),
                Some(newest) => update
                    .update_expression("SET #pf = :pf REMOVE #pu")
                    .expression_attribute_names("#pf", device::attr::PUSH_FETCHED)
                    .expression_attribute_values(":pf", s(newest.as_str())),
            }
        })?;
        let state = self.update(&key::live(device.user), |update| {
            let update = set_state(update, device, state).condition_expression("attribute_exists(#p)");
            match fetched_before {
                Some(before) => set_pushed_for(update, device, before),
                None => update
                    .update_expression("SET #p = :p REMOVE #a")
                    .expression_attribute_names("#a", pushed_for_name(device.device)),
            }
        })?;
        self.transact(vec![record, state]).await?;
        Ok(())
    }

    /// Notes that a device has an entry with an older key than the one up to which entries have led to
    /// a push, so that the next check sees it. Does nothing if another push was sent since that key was
    /// seen: it is for that entry too.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn forget_pushed_for(&self, device: DeviceAddress<'_>, seen: &EntryKey) -> Result<()> {
        let update = self
            .update_live(device.user)
            .update_expression("REMOVE #a")
            .condition_expression("#a = :a")
            .expression_attribute_names("#a", pushed_for_name(device.device))
            .expression_attribute_values(":a", s(seen.as_str()));
        self.update_beside_transactions(update).await?;
        Ok(())
    }
}

/// Adds the names and values of [`SIGNED_IN`], and the name `#pu`, to an update of a device record.
fn signed_in(update: UpdateBuilder) -> UpdateBuilder {
    update
        .expression_attribute_names("#pu", device::attr::PUSHED_MS)
        .expression_attribute_names("#st", device::attr::STATUS)
        .expression_attribute_names("#fam", device::attr::FAMILY)
        .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
}

/// Adds the condition that the push of `pushed_ms` is noted in a device record, as `#pu`.
fn push_noted(update: UpdateBuilder, pushed_ms: i64) -> UpdateBuilder {
    update
        .condition_expression("#pu = :pu")
        .expression_attribute_names("#pu", device::attr::PUSHED_MS)
        .expression_attribute_values(":pu", n(pushed_ms))
}

/// Adds the state of a device to an update of the user's item, as `:p`, with its name `#p`.
fn set_state(update: UpdateBuilder, device: DeviceAddress<'_>, state: &PushState) -> UpdateBuilder {
    update
        .expression_attribute_names("#p", push_name(device.device))
        .expression_attribute_values(":p", state.attribute())
}

/// Makes an update of the user's item set the state `:p`, and the key up to which entries have led to
/// a push.
fn set_pushed_for(update: UpdateBuilder, device: DeviceAddress<'_>, key: &EntryKey) -> UpdateBuilder {
    update
        .update_expression("SET #p = :p, #a = :a")
        .expression_attribute_names("#a", pushed_for_name(device.device))
        .expression_attribute_values(":a", s(key.as_str()))
}

/// Makes an update of the user's item remove what it has of a device's pushes.
fn without_state(update: UpdateBuilder, device: DeviceAddress<'_>) -> UpdateBuilder {
    update.update_expression(WITHOUT_STATE).set_expression_attribute_names(Some(state_names(device)))
}

/// Returns the names `#p` of a device's state and `#a` of the key up to which entries have led to a
/// push.
fn state_names(device: DeviceAddress<'_>) -> HashMap<String, String> {
    let names = [("#p", push_name(device.device)), ("#a", pushed_for_name(device.device))];
    names.map(|(name, attribute)| (name.to_owned(), attribute)).into()
}

fn read_subscription(item: &Item) -> Result<PushSubscription> {
    let fixed = |name| item.need_b(name);
    Ok(PushSubscription {
        endpoint: item.need_s(attr::ENDPOINT)?.to_owned(),
        public_key: fixed(attr::PUBLIC_KEY)?.try_into().map_err(corrupt)?,
        auth: fixed(attr::AUTH)?.try_into().map_err(corrupt)?,
    })
}
