//! Sealed group states: what a user's devices keep of their groups (`docs/protocol.md`, section 9).
//!
//! The states of a user have a partition of their own, so that their large writes take nothing from
//! the throughput of the user's other items. They do not expire.
//!
//! # Item `G#{user}` / `{id}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `e` | N | epoch of the state | only a greater one replaces it |
//! | `c` | B | | the sealed state |
//!
//! # Item `L#{user}` / `GROUPS`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | states | the number of the user's states |

use aws_sdk_dynamodb::types::{Delete, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use eko_protocol::address::UserName;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::{MAX_GROUP_STATES, MAX_PAGE_GROUP_STATES};

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n, s};
use crate::condition::ConditionalWrite;
use crate::device::{DeviceAddress, DeviceRecord};
use crate::error::call;
use crate::key::EXISTS;
use crate::resources::SORT_KEY;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, StoreError, key};

/// The attribute with the epoch of a state.
const EPOCH: &str = "e";
/// The attribute with the sealed state.
const CONTENT: &str = "c";
/// The attribute with the number of states.
const COUNT: &str = "n";
/// The most times that a write begins anew because others create and delete the same state.
const TRIES: u32 = 4;

/// The outcome of [`Store::keep_group_state`] and [`Store::drop_group_state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStateOutcome {
    /// The state is stored, or gone.
    Done,
    /// Another state of this epoch is stored, which the given one does not replace.
    Stale {
        /// The epoch of the stored state.
        epoch: u64,
    },
    /// The user has as many states as are allowed.
    Full,
}

/// A page of a user's group states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatePage {
    /// The record of the calling device, if there ever was one.
    pub device: Option<DeviceRecord>,
    /// The states, by their ids.
    pub states: Vec<(GroupStateId, SealedGroupState)>,
    /// The id behind which the next page starts, if there may be more.
    pub next: Option<GroupStateId>,
}

impl Store {
    /// Stores a group state in the place of one with a lower epoch. A state that is stored already
    /// may be stored again.
    ///
    /// One UpdateItem with a condition: the write units of the larger state. The first state of a
    /// group needs a transaction besides, which writes it and counts it: twice its write units and
    /// 2 more. If somebody else writes the first state at the same moment, one GetItem and one more
    /// UpdateItem. So the count costs the changes of a group nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if others create and delete the
    /// state all the time.
    pub async fn keep_group_state(
        &self,
        user: &UserName,
        id: &GroupStateId,
        state: &SealedGroupState,
    ) -> Result<GroupStateOutcome> {
        for _ in 0..TRIES {
            let replaced = self
                .dynamodb()
                .update_item()
                .table_name(self.table())
                .set_key(Some(key::group_state(user, id).item()))
                .update_expression("SET #e = :e, #c = :c")
                // The second half holds for a state whose answer was lost.
                .condition_expression(format!("{EXISTS} AND (#e < :e OR (#e = :e AND #c = :c))"))
                .expression_attribute_names("#e", EPOCH)
                .expression_attribute_names("#c", CONTENT)
                .expression_attribute_values(":e", n(state.epoch))
                .expression_attribute_values(":c", b(state.content.as_slice()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            match self.update_beside_transactions(replaced).await? {
                ConditionalWrite::Done(_) => return Ok(GroupStateOutcome::Done),
                ConditionalWrite::Refused { stored: Some(stored) } => return stale(&stored),
                ConditionalWrite::Refused { stored: None } => {}
            }
            let mut item = key::group_state(user, id).item();
            item.set(EPOCH, n(state.epoch));
            item.set(CONTENT, b(state.content.as_slice()));
            match self.transact(vec![self.put_new(item)?, self.count_group_states(user, 1)?]).await? {
                TransactionOutcome::Done => return Ok(GroupStateOutcome::Done),
                TransactionOutcome::Refused { index: 1, .. } => return Ok(GroupStateOutcome::Full),
                TransactionOutcome::Refused { .. } => {}
            }
            // It is there. Either somebody else was faster, or the engine does not show what refuses.
            let stored = self.group_state(user, id).await?;
            match stored {
                Some(stored) if stored == *state => return Ok(GroupStateOutcome::Done),
                Some(stored) if stored.epoch >= state.epoch => {
                    return Ok(GroupStateOutcome::Stale { epoch: stored.epoch });
                }
                _ => {}
            }
        }
        Err(StoreError::GaveUp { operation: "UpdateItem", detail: "a state that comes and goes".to_owned() })
    }

    /// Deletes a group state of this epoch or a lower one. A state that is not there counts as
    /// deleted.
    ///
    /// One transaction: twice the write units of the state, and 2 more. A GetItem if it is refused.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if others create and delete the
    /// state all the time.
    pub async fn drop_group_state(
        &self,
        user: &UserName,
        id: &GroupStateId,
        epoch: u64,
    ) -> Result<GroupStateOutcome> {
        for _ in 0..TRIES {
            let delete = Delete::builder()
                .table_name(self.table())
                .set_key(Some(key::group_state(user, id).item()))
                .condition_expression("#e <= :e")
                .expression_attribute_names("#e", EPOCH)
                .expression_attribute_values(":e", n(epoch));
            let delete = delete.build().map_err(call("TransactWriteItems"))?;
            let delete = TransactWriteItem::builder().delete(delete).build();
            if self.transact(vec![delete, self.count_group_states(user, -1)?]).await?.is_done() {
                return Ok(GroupStateOutcome::Done);
            }
            match self.group_state(user, id).await? {
                None => return Ok(GroupStateOutcome::Done),
                Some(stored) if stored.epoch > epoch => {
                    return Ok(GroupStateOutcome::Stale { epoch: stored.epoch });
                }
                Some(_) => {}
            }
        }
        Err(StoreError::GaveUp {
            operation: "TransactWriteItems",
            detail: "a state that comes and goes".to_owned(),
        })
    }

    /// Reads one group state, strongly consistent. One GetItem: 1 read unit for each 4 KB.
    async fn group_state(&self, user: &UserName, id: &GroupStateId) -> Result<Option<SealedGroupState>> {
        self.get_item(&key::group_state(user, id)).await?.as_ref().map(read_state).transpose()
    }

    /// Reads a device's record and one group state of its user, strongly consistent.
    ///
    /// One BatchGetItem: 1 read unit for the record, and 1 for each 4 KB of the state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails; [`StoreError::Corrupt`] if an item is not readable.
    pub async fn group_state_for(
        &self,
        device: DeviceAddress<'_>,
        id: &GroupStateId,
    ) -> Result<(Option<DeviceRecord>, Option<SealedGroupState>)> {
        let (record, state) = (key::device(device), key::group_state(device.user, id));
        let items = self.batch_get(vec![record.clone(), state.clone()]).await?;
        let record = record.find_in(&items).map(DeviceRecord::from_item).transpose()?;
        Ok((record, state.find_in(&items).map(read_state).transpose()?))
    }

    /// Reads a device's record and a page of its user's group states in the order of their ids,
    /// strongly consistent: at most 100, and about a megabyte.
    ///
    /// One GetItem and, at the same time, one Query: 1 read unit, and 1 for each 4 KB of the page.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::Corrupt`] if an item is not readable.
    pub async fn group_states(
        &self,
        device: DeviceAddress<'_>,
        after: Option<&GroupStateId>,
    ) -> Result<GroupStatePage> {
        let query = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .expression_attribute_values(":pk", s(key::group_state_partition(device.user)))
            .consistent_read(true)
            .limit(i32::try_from(MAX_PAGE_GROUP_STATES).unwrap_or(i32::MAX));
        let query = match after {
            None => query.key_condition_expression("pk = :pk"),
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":after", s(after.as_str())),
        };
        let (record, answer) = tokio::join!(self.device_record(device), query.send());
        let answer = answer.map_err(call("Query"))?;
        let states = answer.items.unwrap_or_default();
        let states = states.iter().map(|item| Ok((id_of(item)?, read_state(item)?)));
        let next = answer.last_evaluated_key.as_ref().map(id_of).transpose()?;
        Ok(GroupStatePage { device: record?, states: states.collect::<Result<_>>()?, next })
    }

    /// Builds the write that counts a state more or less. It is refused if there are as many as are
    /// allowed.
    fn count_group_states(&self, user: &UserName, more: i64) -> Result<TransactWriteItem> {
        self.update(&key::group_state_count(user), |update| {
            let update = update
                .update_expression("ADD #n :more")
                .expression_attribute_names("#n", COUNT)
                .expression_attribute_values(":more", n(more));
            match more {
                1.. => update
                    .condition_expression("attribute_not_exists(#n) OR #n < :most")
                    .expression_attribute_values(":most", n(MAX_GROUP_STATES)),
                _ => update,
            }
        })
    }
}

fn stale(stored: &Item) -> Result<GroupStateOutcome> {
    Ok(GroupStateOutcome::Stale { epoch: stored.need_u(EPOCH)? })
}

fn read_state(item: &Item) -> Result<SealedGroupState> {
    Ok(SealedGroupState { epoch: item.need_u(EPOCH)?, content: item.need_b(CONTENT)?.to_vec() })
}

fn id_of(item: &Item) -> Result<GroupStateId> {
    GroupStateId::parse(item.need_s(SORT_KEY)?).map_err(corrupt)
}
