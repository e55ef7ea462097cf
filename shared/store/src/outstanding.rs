//! Lists of waiting messages for other servers: the parcels of each account, and the receipts of
//! each account and for each site.
//!
//! A message of the queue `federation` that waits is listed in an item until it is done. The list
//! bounds how much one account, or one other site, can have waiting (`docs/protocol.md`, section
//! 12). Each message has an attribute of its own, so that adding and removing it may be repeated.
//! The attribute holds an end time: a message that was lost, for example to the dead-letter queue,
//! does not count for ever.
//!
//! # Items `L#{user}` / `PARCELS`, `L#{user}` / `ACCOUNT-RECEIPTS` and `L#{site}` / `RECEIPTS`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | messages | the number of messages in the list |
//! | `p{id}` | N | epoch ms | the time after which one message counts no longer |
//! | `ttl` | N | epoch s | a time after all of these |

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use eko_protocol::address::UserName;

use crate::attribute::{Item, ReadItem, n};
use crate::condition::{ConditionalWrite, conditional};
use crate::key::ItemKey;
use crate::parcels::TRIED_FOR_MS;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The time for which a message counts after its last attempt, in milliseconds: an hour.
const GRACE_MS: i64 = 3_600_000;
/// The time for which an item is kept after it was last written, in seconds.
const KEPT_SECONDS: i64 = (TRIED_FOR_MS + 2 * GRACE_MS) / 1000;
/// The most messages whose time is over that one write removes.
const PURGED: usize = 50;
/// The attribute with the number of messages.
const COUNT: &str = "n";
/// The beginning of the attributes' names that stand for one message.
const MESSAGE: &str = "p";

/// The party for which something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outstanding<'a> {
    /// The envelopes of a local account.
    EnvelopesOf(&'a UserName),
    /// The receipts of a local account.
    ReceiptsOf(&'a UserName),
    /// The receipts for this site.
    ReceiptsFor(&'a str),
}

impl Outstanding<'_> {
    fn key(self) -> ItemKey {
        match self {
            Self::EnvelopesOf(user) => key::parcels(user),
            Self::ReceiptsOf(user) => key::account_receipts(user),
            Self::ReceiptsFor(site) => key::receipts(site),
        }
    }
}

impl Store {
    /// Adds a message to a list of at most `most`. Returns false if the list is full. `id` names
    /// the message in its list; `ends_ms` is the time of its last attempt, epoch milliseconds.
    ///
    /// One UpdateItem: 1 write unit for each fifty messages in the list. If the list is full, a
    /// second one that removes messages whose time is over, if there are any, and then a third. A
    /// GetItem after each refusal by an engine that does not return the list.
    /// Adding a message again has no effect, so that a lost answer does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if a call fails. The message may be in the
    /// list then.
    pub async fn add_outstanding(
        &self,
        list: Outstanding<'_>,
        id: &str,
        ends_ms: i64,
        most: u64,
        now_ms: i64,
    ) -> Result<bool> {
        let Some(full) = self.try_add(list, id, ends_ms, most, now_ms).await? else { return Ok(true) };
        let over =
            |(name, ends): (&String, i64)| (name.starts_with(MESSAGE) && ends < now_ms).then(|| name.clone());
        let ended: Vec<String> =
            full.keys().filter_map(|name| over((name, full.get_n(name)?))).take(PURGED).collect();
        if ended.is_empty() {
            return Ok(false);
        }
        self.remove_all(list, &ended).await?;
        Ok(self.try_add(list, id, ends_ms, most, now_ms).await?.is_none())
    }

    /// Adds a message to a list. Returns the item if the list is full.
    async fn try_add(
        &self,
        list: Outstanding<'_>,
        id: &str,
        ends_ms: i64,
        most: u64,
        now_ms: i64,
    ) -> Result<Option<Item>> {
        if most == 0 {
            return Ok(Some(Item::new()));
        }
        let name = format!("{MESSAGE}{id}");
        let added = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(list.key().item()))
            .update_expression("SET #p = :ends, #ttl = :ttl ADD #n :one")
            .condition_expression("attribute_not_exists(#p) AND (attribute_not_exists(#n) OR #n < :most)")
            .expression_attribute_names("#p", &name)
            .expression_attribute_names("#n", COUNT)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":ends", n(ends_ms.saturating_add(GRACE_MS)))
            .expression_attribute_values(":ttl", n(now_ms.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":most", n(most))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(match conditional(added)? {
            ConditionalWrite::Done(_) => None,
            ConditionalWrite::Refused { stored } => {
                let listed = match stored {
                    Some(item) => item,
                    None => self.get_item(&list.key()).await?.unwrap_or_default(),
                };
                // The SDK's repetition of a call whose answer was lost meets its own effect.
                Some(listed).filter(|item| !item.contains_key(&name))
            }
        })
    }

    /// Reads the ids of the messages in a list, strongly consistent.
    ///
    /// One GetItem: 1 read unit for each two hundred messages in the list.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn outstanding(&self, list: Outstanding<'_>) -> Result<BTreeSet<String>> {
        let item = self.get_item(&list.key()).await?.unwrap_or_default();
        // The partition key begins with the same letter.
        let listed = item.keys().filter(|name| item.get_n(name).is_some());
        Ok(listed.filter_map(|name| name.strip_prefix(MESSAGE)).map(str::to_owned).collect())
    }

    /// Removes a message from a list.
    ///
    /// One UpdateItem: 1 write unit for each fifty messages in the list. Removing a message that
    /// is not in the list has no effect, so that a lost answer does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails. The message then counts
    /// until its time is over.
    pub async fn remove_outstanding(&self, list: Outstanding<'_>, id: &str) -> Result<()> {
        self.remove_all(list, &[format!("{MESSAGE}{id}")]).await
    }

    /// Removes the attributes with these names, all or none, and counts them down.
    async fn remove_all(&self, list: Outstanding<'_>, names: &[String]) -> Result<()> {
        let mut request = self.dynamodb().update_item().table_name(self.table());
        for (index, name) in names.iter().enumerate() {
            request = request.expression_attribute_names(format!("#p{index}"), name);
        }
        let each = |write: fn(usize) -> String, between: &str| {
            (0..names.len()).map(write).collect::<Vec<_>>().join(between)
        };
        let removed = request
            .set_key(Some(list.key().item()))
            .update_expression(format!("REMOVE {} ADD #n :removed", each(|index| format!("#p{index}"), ", ")))
            .condition_expression(each(|index| format!("attribute_exists(#p{index})"), " AND "))
            .expression_attribute_names("#n", COUNT)
            .expression_attribute_values(":removed", n(-(names.len() as i128)))
            .send()
            .await;
        conditional(removed)?;
        Ok(())
    }
}
