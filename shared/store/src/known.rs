//! Who may write to a user: the setting, the actors whom the user knows, and the requests of others.
//!
//! The setting and the number of known actors are in the device set, which a send and a take read
//! anyway. Only if the setting is another one than [`WhoMayWrite::Everyone`], the item of the sender is
//! read too.
//!
//! # Item `U#{user}` / `A#{hash}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `o` | S | | the actor id |
//! | `c` | N | epoch ms | the time since which the user knows the actor; missing for a stranger |
//! | `r` | BS | 16 bytes | the digests of a stranger's envelopes that were delivered as requests |
//! | `ttl` | N | epoch s | the time after which a stranger's requests are forgotten; missing once known |
//!
//! # Item `L#{user}` / `REQUESTS#{day}#{hash}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | envelopes | the requests of the strangers of one other site, or of one stranger here |
//! | `ttl` | N | epoch s | a day after the end of the day |
//!
//! `{hash}` is the short hash of the actor id or of the site. An item for each site keeps the strangers of
//! different sites from writing the same item, and its size does not grow with their number.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Delete, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use eko_protocol::address::UserName;
use eko_protocol::limits::{MAX_KNOWN, MAX_REQUESTS_OF_SENDER, MAX_REQUESTS_OF_SITE};
use eko_protocol::settings::WhoMayWrite;

use crate::attribute::{Item, ReadItem, bs, digests, n, s, short_digest, short_hash};
use crate::blocks::{CALLER_IS_ACTIVE, OwnChangeOutcome, name_caller};
use crate::device::DeviceAddress;
use crate::error::call;
use crate::key::{IS_NEW, NEVER};
use crate::resources::TTL_ATTRIBUTE;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, StoreError, devices, key};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The most times that an envelope of a stranger is counted anew because the stranger's item changes: more
/// than it can change before no further request fits, unless the user accepts the stranger and undoes that.
const TRIES: u32 = 8;

/// The names of the attributes.
mod attr {
    pub(super) const ACTOR: &str = "o";
    pub(super) const KNOWN_MS: &str = "c";
    pub(super) const REQUESTS: &str = "r";
    pub(super) const COUNT: &str = "n";
}

/// What a user has to do with a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// The user knows the sender.
    Known,
    /// The user does not.
    Stranger(StrangerRequests),
}

impl Acquaintance {
    /// Reads an item. Requests that have expired count no more.
    fn of_item(item: &Item, now_ms: i64) -> Result<Self> {
        if item.get_n(attr::KNOWN_MS).is_some() {
            return Ok(Self::Known);
        }
        let ttl = item.need_n(TTL_ATTRIBUTE)?;
        let is_over = ttl <= now_ms.div_euclid(1000);
        let digests = if is_over { BTreeSet::new() } else { digests(item, attr::REQUESTS)? };
        Ok(Self::Stranger(StrangerRequests { digests, ttl: Some(ttl) }))
    }
}

/// The outcome of [`Store::add_request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The user knows the sender since it was read that the user does not.
    Known,
    /// The envelope is a request, by this call or before.
    Request {
        /// True for the first one of its author.
        is_first: bool,
    },
    /// The envelope is none.
    Dropped,
}

/// The envelopes of a stranger that were delivered as requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrangerRequests {
    digests: BTreeSet<[u8; 16]>,
    /// The item's `ttl`, if there is an item.
    ttl: Option<i64>,
}

impl StrangerRequests {
    /// True if this envelope is among them. `envelope` is its key
    /// ([`eko_protocol::id::EnvelopeId::key`]).
    pub fn has(&self, envelope: &str) -> bool {
        self.digests.contains(&short_digest(envelope))
    }

    /// Returns their number.
    pub fn count(&self) -> u64 {
        u64::try_from(self.digests.len()).unwrap_or(u64::MAX)
    }
}

impl Store {
    /// Returns what a user has to do with an actor.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails;
    /// [`StoreError::Corrupt`] if the item is not readable.
    pub async fn acquaintance(&self, user: &UserName, actor: &str, now_ms: i64) -> Result<Acquaintance> {
        match self.get_item(&key::acquaintance(user, &short_hash(actor))).await? {
            Some(item) => Acquaintance::of_item(&item, now_ms),
            None => Ok(Acquaintance::Stranger(StrangerRequests::default())),
        }
    }

    /// Counts an envelope of a stranger as a request, unless it is counted, or the stranger or the site
    /// has made as many as they may, or `admits` is false. `seen` is what was read of the stranger.
    ///
    /// One transaction of two writes: 4 write units, also if nothing is written. So it takes the same
    /// time whatever becomes of the envelope. Its condition is that the stranger's item is as it was seen.
    /// If it has changed meanwhile, by an acceptance or another envelope, what is stored now decides: the
    /// refusal shows it, and one more transaction counts the envelope if it still has to be. Each change but
    /// the undoing of an acceptance brings the stranger closer to the bound, so that there are few. One GetItem more if an engine
    /// refuses without showing the item, or the item has expired and gone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] or [`StoreError::GaveUp`] of the transaction; [`StoreError::Corrupt`] if the
    /// item is not readable.
    pub async fn add_request(
        &self,
        user: &UserName,
        stranger: RequestOf<'_>,
        mut seen: StrangerRequests,
        admits: bool,
        now_ms: i64,
        ttl: i64,
    ) -> Result<RequestOutcome> {
        for _ in 0..TRIES {
            let counts = admits && !seen.has(stranger.envelope) && seen.count() < MAX_REQUESTS_OF_SENDER;
            let request = self.count_request(user, stranger, counts.then_some(&seen), ttl)?;
            let of_site = self.count_of_site(user, stranger.counted_as, now_ms)?;
            let stored = match self.transact(vec![request, of_site]).await? {
                TransactionOutcome::Done => {
                    return Ok(RequestOutcome::Request { is_first: seen.count() == 0 });
                }
                TransactionOutcome::Refused { index: 0, stored, .. } => stored,
                TransactionOutcome::Refused { .. } => return Ok(RequestOutcome::Dropped),
            };
            let now = match stored {
                Some(item) => Acquaintance::of_item(&item, now_ms)?,
                None if counts => self.acquaintance(user, stranger.actor, now_ms).await?,
                None => Acquaintance::Stranger(seen),
            };
            let now = match now {
                Acquaintance::Known => return Ok(RequestOutcome::Known),
                Acquaintance::Stranger(now) => now,
            };
            if admits && now.has(stranger.envelope) {
                return Ok(RequestOutcome::Request { is_first: now.count() == 1 });
            }
            if !counts {
                return Ok(RequestOutcome::Dropped);
            }
            seen = now;
        }
        let detail = "requests of a stranger that come and go".to_owned();
        Err(StoreError::GaveUp { operation: "TransactWriteItems", detail })
    }

    /// Builds the write that adds an envelope to a stranger's requests, on condition that they are as they
    /// were `seen`. What has expired is replaced. Without `seen` the write is always refused.
    fn count_request(
        &self,
        user: &UserName,
        stranger: RequestOf<'_>,
        seen: Option<&StrangerRequests>,
        ttl: i64,
    ) -> Result<TransactWriteItem> {
        self.update(&key::acquaintance(user, &short_hash(stranger.actor)), |update| {
            let update = update
                .expression_attribute_names("#o", attr::ACTOR)
                .expression_attribute_names("#r", attr::REQUESTS)
                .expression_attribute_values(":o", s(stranger.actor))
                .expression_attribute_values(":r", bs([short_digest(stranger.envelope).to_vec()]))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let begins = |update: UpdateBuilder, condition: &str| {
                update
                    .update_expression("SET #o = :o, #ttl = :ttl, #r = :r")
                    .condition_expression(condition)
                    .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                    .expression_attribute_values(":ttl", n(ttl))
            };
            let Some(seen) = seen else { return begins(update, NEVER) };
            let Some(seen_ttl) = seen.ttl else { return begins(update, IS_NEW) };
            // A time to live says which requests these are, and the number how many of them.
            let update = update
                .expression_attribute_names("#c", attr::KNOWN_MS)
                .expression_attribute_values(":seen", n(seen_ttl));
            if seen.digests.is_empty() {
                return begins(update, "attribute_not_exists(#c) AND #ttl = :seen");
            }
            update
                .update_expression("SET #o = :o ADD #r :r")
                .condition_expression("attribute_not_exists(#c) AND #ttl = :seen AND size(#r) = :count")
                .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                .expression_attribute_values(":count", n(seen.count()))
        })
    }

    /// Builds the write that counts a request of a site on a day. It is refused if there are as many as are
    /// allowed.
    fn count_of_site(&self, user: &UserName, counted_as: &str, now_ms: i64) -> Result<TransactWriteItem> {
        let day = now_ms.div_euclid(DAY_MS);
        let ends_s = day.saturating_add(2).saturating_mul(DAY_MS).div_euclid(1000);
        self.update(&key::requests(user, day, &short_hash(counted_as)), |update| {
            update
                .update_expression("SET #ttl = :ttl ADD #n :one")
                .condition_expression("attribute_not_exists(#n) OR #n < :most")
                .expression_attribute_names("#n", attr::COUNT)
                .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                .expression_attribute_values(":ttl", n(ends_s))
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":most", n(MAX_REQUESTS_OF_SITE))
        })
    }

    /// Records that the user of the calling device knows an actor, on condition that the device is
    /// active and that the user knows fewer than [`MAX_KNOWN`] others. What the actor sent as a
    /// stranger is counted no more.
    ///
    /// One transaction of two writes: 2 write units of the acquaintance, and 2 for each KB of the
    /// device set. If the user knows the actor already, nothing is written, and it does not matter how many
    /// others the user knows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] or
    /// [`StoreError::GaveUp`] of the transaction.
    pub async fn add_known(
        &self,
        caller: DeviceAddress<'_>,
        actor: &str,
        now_ms: i64,
    ) -> Result<OwnChangeOutcome> {
        let set = self.update(&key::devices(caller.user), |update| {
            name_caller(update, caller)
                .update_expression("ADD #kn :one")
                .condition_expression(format!(
                    "{CALLER_IS_ACTIVE} AND (attribute_not_exists(#kn) OR #kn < :most)"
                ))
                .expression_attribute_names("#kn", devices::attr::KNOWN)
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":most", n(MAX_KNOWN))
        })?;
        let known = self.update(&key::acquaintance(caller.user, &short_hash(actor)), |update| {
            update
                .update_expression("SET #o = :o, #c = :c REMOVE #r, #ttl")
                .condition_expression("attribute_not_exists(#c)")
                .expression_attribute_names("#o", attr::ACTOR)
                .expression_attribute_names("#c", attr::KNOWN_MS)
                .expression_attribute_names("#r", attr::REQUESTS)
                .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                .expression_attribute_values(":o", s(actor))
                .expression_attribute_values(":c", n(now_ms))
        })?;
        Ok(match self.transact(vec![set, known]).await? {
            TransactionOutcome::Done => OwnChangeOutcome::Done,
            TransactionOutcome::Refused { failed, .. } => match failed.as_slice() {
                [1] => OwnChangeOutcome::Done,
                // Whoever knows as many as may be can repeat the acceptance of one of them.
                [0, 1] => OwnChangeOutcome::DoneIfActive,
                _ => OwnChangeOutcome::Refused,
            },
        })
    }

    /// Records that the user of the calling device knows an actor no longer, on condition that the device is
    /// active. The actor is a stranger again, who has made no requests.
    ///
    /// One transaction of two writes: 2 write units of the acquaintance, and 2 for each KB of the
    /// device set. If the user does not know the actor, nothing is written, so that it may be repeated and a
    /// stranger's requests stay counted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] or
    /// [`StoreError::GaveUp`] of the transaction.
    pub async fn remove_known(&self, caller: DeviceAddress<'_>, actor: &str) -> Result<OwnChangeOutcome> {
        let set = self.update(&key::devices(caller.user), |update| {
            name_caller(update, caller)
                .update_expression("ADD #kn :less")
                .condition_expression(CALLER_IS_ACTIVE)
                .expression_attribute_names("#kn", devices::attr::KNOWN)
                .expression_attribute_values(":less", n(-1))
        })?;
        let known = Delete::builder()
            .table_name(self.table())
            .set_key(Some(key::acquaintance(caller.user, &short_hash(actor)).item()))
            .condition_expression("attribute_exists(#c)")
            .expression_attribute_names("#c", attr::KNOWN_MS);
        let known = known.build().map_err(call("TransactWriteItems"))?;
        let known = TransactWriteItem::builder().delete(known).build();
        Ok(match self.transact(vec![set, known]).await? {
            TransactionOutcome::Done => OwnChangeOutcome::Done,
            TransactionOutcome::Refused { failed, .. } => match failed.as_slice() {
                [1] => OwnChangeOutcome::Done,
                [0, 1] => OwnChangeOutcome::DoneIfActive,
                _ => OwnChangeOutcome::Refused,
            },
        })
    }

    /// Stores who may write to the user of the calling device, on condition that the device is active.
    ///
    /// One UpdateItem: 1 write unit for each KB of the device set. It may be repeated.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails;
    /// [`StoreError::GaveUp`] after 7 conflicts with transactions.
    pub async fn set_who_may_write(
        &self,
        caller: DeviceAddress<'_>,
        setting: WhoMayWrite,
    ) -> Result<OwnChangeOutcome> {
        let update = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::devices(caller.user).item()))
            .condition_expression(CALLER_IS_ACTIVE)
            .expression_attribute_names("#a", devices::attr::ACTIVE)
            .expression_attribute_names("#device", caller.device.as_str())
            .expression_attribute_names("#w", devices::attr::WHO_MAY_WRITE);
        let update = match setting {
            WhoMayWrite::Everyone => update.update_expression("REMOVE #w"),
            WhoMayWrite::Known | WhoMayWrite::Nobody => {
                update.update_expression("SET #w = :w").expression_attribute_values(":w", s(setting.as_str()))
            }
        };
        let written = self.update_beside_transactions(update).await?;
        Ok(OwnChangeOutcome::of(written.is_done()))
    }
}

/// An envelope of a stranger.
#[derive(Clone, Copy, Debug)]
pub struct RequestOf<'a> {
    /// The actor id of the stranger.
    pub actor: &'a str,
    /// The name under which the requests of a day are counted together: the site of the stranger's server if
    /// it is another one, and the actor id of a stranger here.
    pub counted_as: &'a str,
    /// The key of the envelope's id.
    pub envelope: &'a str,
}

/// Reads the setting of a device set.
pub(crate) fn who_may_write(item: &Item) -> Result<WhoMayWrite> {
    let stored = item.get_s(devices::attr::WHO_MAY_WRITE);
    stored
        .map_or(Ok(WhoMayWrite::Everyone), |text| WhoMayWrite::parse(text).map_err(crate::attribute::corrupt))
}
