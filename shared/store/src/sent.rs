//! Envelopes that were sent to other servers: who may report on them, and what was reported already.
//!
//! `U#{author}` / `X#{hash of the recipient's origin and the envelope id}`: `at` when it was first sent (epoch milliseconds), `d`
//! the sending device, `r` string set of the reports that went to the author's devices, `ttl`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::{self, DeviceId};

use crate::attribute::{Item, ReadItem, corrupt, n, s, ss};
use crate::condition::conditional;
use crate::error::call;
use crate::{Result, Store, key};

/// Reports remembered of one envelope; further ones are not taken.
pub const MAX_REPORTS: usize = 32;

/// What is remembered of a sent envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was first sent, epoch milliseconds.
    pub sent_ms: i64,
    /// The device that sent it.
    pub device: DeviceId,
    /// Reports on it that went to the author's devices, by their digests.
    pub reported: BTreeSet<String>,
}

impl Store {
    /// Records that `device` of `author` sends the envelope `id` to the server at `origin`. Sent again, it
    /// stays as it was first. One UpdateItem.
    pub async fn record_sent(
        &self,
        (author, device): (&UserName, &DeviceId),
        origin: &Origin,
        id: &str,
        now_ms: i64,
        ttl: i64,
    ) -> Result<Sent> {
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::sent(author, &id::envelope_key(origin.as_str(), id)).item()))
            .update_expression(
                "SET #at = if_not_exists(#at, :now), #d = if_not_exists(#d, :device), #ttl = :ttl",
            )
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#d", "d")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":device", s(device.to_string()))
            .expression_attribute_values(":ttl", n(ttl))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        Sent::from_item(&updated.attributes.unwrap_or_default())
    }

    /// What is remembered of an envelope to the server at `origin`; `None` where none was sent, or too long ago. One
    /// GetItem.
    pub async fn sent(
        &self,
        author: &UserName,
        origin: &Origin,
        id: &str,
        now_ms: i64,
    ) -> Result<Option<Sent>> {
        let item = self.get_item(&key::sent(author, &id::envelope_key(origin.as_str(), id))).await?;
        let live = item.filter(|item| item.get_n("ttl").is_some_and(|ttl| ttl > now_ms.div_euclid(1000)));
        live.as_ref().map(Sent::from_item).transpose()
    }

    /// Remembers that a report went to the author's devices. One UpdateItem.
    pub async fn mark_reported(
        &self,
        author: &UserName,
        origin: &Origin,
        id: &str,
        digest: &str,
    ) -> Result<()> {
        let marked = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::sent(author, &id::envelope_key(origin.as_str(), id)).item()))
            .update_expression("ADD #r :digest")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#r", "r")
            .expression_attribute_values(":digest", ss([digest]))
            .send()
            .await;
        conditional(marked)?;
        Ok(())
    }
}

impl Sent {
    fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            sent_ms: item.need_n("at")?,
            device: DeviceId::parse(item.need_s("d")?).map_err(corrupt)?,
            reported: item.get_ss("r"),
        })
    }
}
