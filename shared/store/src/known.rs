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
//! # Item `L#{user}` / `REQUESTS#{day}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `{hash}` | N | envelopes | the requests of the strangers of one site |
//! | `ttl` | N | epoch s | a day after the end of the day |
//!
//! `{hash}` is the short hash of the actor id or of the site.

use std::collections::BTreeSet;

use eko_protocol::address::UserName;
use eko_protocol::limits::{MAX_KNOWN, MAX_REQUESTS_OF_SENDER, MAX_REQUESTS_OF_SITE};
use eko_protocol::settings::WhoMayWrite;

use crate::attribute::{Item, ReadItem, b, bs, digests, n, s, short_digest, short_hash};
use crate::blocks::{CALLER_IS_ACTIVE, OwnChangeOutcome, name_caller};
use crate::device::DeviceAddress;
use crate::resources::TTL_ATTRIBUTE;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, devices, key};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The names of the attributes.
mod attr {
    pub(super) const ACTOR: &str = "o";
    pub(super) const KNOWN_MS: &str = "c";
    pub(super) const REQUESTS: &str = "r";
}

/// What a user has to do with a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// The user knows the sender.
    Known,
    /// The user does not.
    Stranger(StrangerRequests),
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
    pub fn count(&self) -> usize {
        self.digests.len()
    }
}

impl Store {
    /// Returns what a user has to do with an actor.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the item is not readable.
    pub async fn acquaintance(&self, user: &UserName, actor: &str, now_ms: i64) -> Result<Acquaintance> {
        let Some(item) = self.get_item(&key::acquaintance(user, &short_hash(actor))).await? else {
            return Ok(Acquaintance::Stranger(StrangerRequests::default()));
        };
        if item.get_n(attr::KNOWN_MS).is_some() {
            return Ok(Acquaintance::Known);
        }
        let ttl = item.need_n(TTL_ATTRIBUTE)?;
        let is_over = ttl <= now_ms.div_euclid(1000);
        let digests = if is_over { BTreeSet::new() } else { digests(&item, attr::REQUESTS)? };
        Ok(Acquaintance::Stranger(StrangerRequests { digests, ttl: Some(ttl) }))
    }

    /// Counts an envelope of a stranger as a request, unless it is counted, or the stranger or the site
    /// has made as many as they may, or none is `admitted`. Returns whether it is one now. `seen` is
    /// what was read of the stranger.
    ///
    /// One transaction of two writes: 4 write units, also if nothing is written. So it takes the same
    /// time whatever becomes of the envelope.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn add_request(
        &self,
        user: &UserName,
        stranger: RequestOf<'_>,
        seen: &StrangerRequests,
        admitted: bool,
        now_ms: i64,
        ttl: i64,
    ) -> Result<bool> {
        let digest = short_digest(stranger.envelope);
        // What has expired is replaced.
        let starts_over = seen.digests.is_empty() && seen.ttl.is_some();
        let requests = self.update(&key::acquaintance(user, &short_hash(stranger.actor)), |update| {
            let update = update
                .expression_attribute_names("#o", attr::ACTOR)
                .expression_attribute_names("#c", attr::KNOWN_MS)
                .expression_attribute_names("#r", attr::REQUESTS)
                .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                .expression_attribute_values(":o", s(stranger.actor))
                .expression_attribute_values(":r", bs([digest.to_vec()]))
                .expression_attribute_values(":ttl", n(ttl));
            if starts_over && admitted {
                return update
                    .update_expression("SET #o = :o, #ttl = :ttl, #r = :r")
                    .condition_expression("attribute_not_exists(#c) AND #ttl = :seen")
                    .expression_attribute_values(":seen", n(seen.ttl.unwrap_or_default()));
            }
            // Whoever is not known has no time since when.
            let condition = if admitted { "attribute_not_exists(#c)" } else { "attribute_exists(#c)" };
            update
                .update_expression("SET #o = :o, #ttl = if_not_exists(#ttl, :ttl) ADD #r :r")
                .condition_expression(format!(
                    "{condition} AND (attribute_not_exists(#r) OR size(#r) < :most) AND NOT contains(#r, :digest)"
                ))
                .expression_attribute_values(":digest", b(digest))
                .expression_attribute_values(":most", n(MAX_REQUESTS_OF_SENDER))
        })?;
        let day = now_ms.div_euclid(DAY_MS);
        let ends_s = day.saturating_add(2).saturating_mul(DAY_MS).div_euclid(1000);
        let site = self.update(&key::requests(user, day), |update| {
            update
                .update_expression("SET #ttl = :ttl ADD #n :one")
                .condition_expression("attribute_not_exists(#n) OR #n < :most")
                .expression_attribute_names("#n", short_hash(stranger.site))
                .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                .expression_attribute_values(":ttl", n(ends_s))
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":most", n(MAX_REQUESTS_OF_SITE))
        })?;
        Ok(self.transact(vec![requests, site]).await?.is_done())
    }

    /// Records that the user of the calling device knows an actor, on condition that the device is
    /// active and that the user knows fewer than [`MAX_KNOWN`] others. What the actor sent as a
    /// stranger is counted no more.
    ///
    /// One transaction of two writes: 2 write units of the acquaintance, and 2 for each KB of the
    /// device set. If the user knows the actor already, nothing is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
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
            TransactionOutcome::Done | TransactionOutcome::Refused { index: 1 } => OwnChangeOutcome::Done,
            TransactionOutcome::Refused { .. } => OwnChangeOutcome::Refused,
        })
    }

    /// Stores who may write to the user of the calling device, on condition that the device is active.
    ///
    /// One UpdateItem: 1 write unit for each KB of the device set. It may be repeated.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) after 7 conflicts with transactions.
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
    /// The site of the stranger's server.
    pub site: &'a str,
    /// The key of the envelope's id.
    pub envelope: &'a str,
}

/// Reads the setting of a device set.
pub(crate) fn who_may_write(item: &Item) -> Result<WhoMayWrite> {
    let stored = item.get_s(devices::attr::WHO_MAY_WRITE);
    stored
        .map_or(Ok(WhoMayWrite::Everyone), |text| WhoMayWrite::parse(text).map_err(crate::attribute::corrupt))
}
