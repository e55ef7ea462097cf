//! Other servers as unverified requests name them: whether they answer in time, and how many
//! requests may wait for them.
//!
//! A signature cannot be verified before its actor's server was asked, and anyone can name an
//! actor. The numbers of waits and of fetches are therefore counted here, so that all processes
//! together keep within them (`docs/decisions/0018-unverified-requests.md`).
//!
//! # Item `I#{authority}` / `HOST`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `v` | N | epoch ms | the last time that an actor of the server was verified, to within a day |
//! | `s` | N | epoch ms | the time before which no request waits for the server |
//! | `ttl` | N | epoch s | the time after which all of it is forgotten |
//!
//! # Item `W#{group}` / `WAIT`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `p{place}` | N | epoch ms | the time until which a request has the place, at most |
//! | `ttl` | N | epoch s | one minute after the last of these times |
//!
//! A request that waits has one of the group's places, which it leaves when its wait ends. No more
//! requests than places wait at any moment, however short their waits are. Site and actor decide
//! which place it is: the actors of one site have neighbouring places, as many as the site's share.
//!
//! # Items `W#{group}` / `FETCH#{window}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | | the planned fetches of the group in the window |
//! | `{hash}` | N | | those of one site |
//! | `a{hash}` | N | | 1 for an actor whose fetch is planned |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! `{group}` is `strangers`, `known` or `renewals`, `{window}` the number of windows since the
//! epoch, and `{hash}` the short hash of the site or of the actor id. [`site()`] says what a site
//! is.

mod group;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use eko_protocol::actor::RemoteActor;

use crate::attribute::{Item, ReadItem, n, short_digest, short_hash};
use crate::condition::{ConditionalWrite, conditional};
use crate::error::call;
use crate::remote::{CachedLookup, read_actor};
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, StoreError, key};

pub use crate::site::site;
pub use group::{ServerGroup, WaitBounds, WindowBounds};

/// The time for which a server counts as known after an actor of it was verified, in milliseconds.
const KNOWN_MS: i64 = 7 * 24 * 3_600_000;
/// The age from which the time of a verification is written again, in milliseconds.
const RENEWED_MS: i64 = 24 * 3_600_000;
/// The time for which no request waits for a server that did not answer in time, in milliseconds.
const SLOW_MS: i64 = 60_000;
/// The time after which a place is free again if the request that has it died, in milliseconds. It
/// is longer than any wait.
const PLACE_MS: i64 = 3_000;
/// The time that a window's item, or the record of a slow server, is kept after it has passed, in
/// seconds.
const KEPT_SECONDS: i64 = 60;

/// The names of the attributes, except those of the servers and actors.
mod attr {
    pub(super) const VERIFIED_MS: &str = "v";
    pub(super) const SLOW_UNTIL_MS: &str = "s";
    pub(super) const ALL: &str = "n";
}

/// The record of another server for unverified requests. The default is a server that nobody has
/// named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboundHost {
    /// The last time that an actor of the server was verified, to within a day, in epoch
    /// milliseconds; 0 if there is none.
    pub verified_ms: i64,
    /// The time before which no request waits for the server, in epoch milliseconds.
    pub slow_until_ms: i64,
}

impl InboundHost {
    /// Returns the group that the server is in at `now_ms`.
    pub fn group(&self, now_ms: i64) -> ServerGroup {
        match now_ms.saturating_sub(self.verified_ms) < KNOWN_MS {
            true => ServerGroup::Known,
            false => ServerGroup::Strangers,
        }
    }

    /// True if the server did not answer in time a moment ago.
    pub fn is_slow(&self, now_ms: i64) -> bool {
        now_ms < self.slow_until_ms
    }

    /// True if a verification at `now_ms` is worth a write.
    pub fn needs_note(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.verified_ms) >= RENEWED_MS
    }

    fn from_item(item: &Item) -> Self {
        Self {
            verified_ms: item.get_n(attr::VERIFIED_MS).unwrap_or_default(),
            slow_until_ms: item.get_n(attr::SLOW_UNTIL_MS).unwrap_or_default(),
        }
    }
}

/// The facts that the verification of a signature begins with.
#[derive(Clone, Debug)]
pub struct InboundContext {
    /// The last lookup of the actor, if it is kept.
    pub actor: Option<CachedLookup<RemoteActor>>,
    /// The record of the actor's server.
    pub host: InboundHost,
}

/// The place of a request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitPlace {
    group: ServerGroup,
    /// The name of the attribute.
    name: String,
    /// The time until which the request has the place, at most, in epoch milliseconds.
    until_ms: i64,
}

/// The answer to whether one more may be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admittance {
    /// One more is counted.
    Granted,
    /// The fetch of the actor is planned already.
    AlreadyPlanned,
    /// The server's site has its share.
    ServerFull,
    /// The whole group has its share.
    GroupFull,
}

impl Store {
    /// Reads the last lookup of an actor and the record of its server, strongly consistent.
    ///
    /// One BatchGetItem: 1 read unit for each of the two items, more if the actor exceeds 4 KB.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) and
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the reads.
    pub async fn inbound_context(&self, actor: &str, authority: &str) -> Result<InboundContext> {
        let keys = [key::remote(actor), key::inbound_host(authority)];
        let items = self.batch_get(keys.to_vec()).await?;
        let [lookup, host] = keys.map(|key| key.find_in(&items));
        Ok(InboundContext {
            actor: lookup.and_then(|item| read_actor(actor, item)),
            host: host.map(InboundHost::from_item).unwrap_or_default(),
        })
    }

    /// Takes the place in which a request waits for an actor, if it is free. `None` if it is not.
    ///
    /// One UpdateItem: 1 write unit. If the answer is lost, the SDK's repetition finds the place
    /// taken: the request does not wait, and the place is free again after three seconds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn take_place(
        &self,
        group: ServerGroup,
        authority: &str,
        actor: &str,
        now_ms: i64,
    ) -> Result<Option<WaitPlace>> {
        let until_ms = now_ms.saturating_add(PLACE_MS);
        let place = WaitPlace { group, name: place_name(group, authority, actor), until_ms };
        let taken = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::inbound_waits(group).item()))
            .update_expression("SET #place = :until, #ttl = :ttl")
            .condition_expression("attribute_not_exists(#place) OR #place <= :now")
            .expression_attribute_names("#place", &place.name)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":until", n(until_ms))
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":ttl", n(until_ms.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .send()
            .await;
        Ok(match conditional(taken)? {
            ConditionalWrite::Done(_) => Some(place),
            ConditionalWrite::Refused { .. } => None,
        })
    }

    /// Leaves a place at the end of a wait, unless somebody else has it by now.
    ///
    /// One UpdateItem: 1 write unit. A repetition finds nothing to leave, so that a lost answer
    /// does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn leave_place(&self, place: &WaitPlace) -> Result<()> {
        let left = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::inbound_waits(place.group).item()))
            .update_expression("REMOVE #place")
            .condition_expression("#place = :until")
            .expression_attribute_names("#place", &place.name)
            .expression_attribute_values(":until", n(place.until_ms))
            .send()
            .await;
        conditional(left).map(|_| ())
    }

    /// Plans a fetch of an actor, if it is not planned already and site and group have not had
    /// their share of the window. The caller then queues the fetch.
    ///
    /// One UpdateItem: 1 write unit. If the answer is lost, the SDK's repetition finds the fetch
    /// planned: it is not made in this window.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::GaveUp`] if an engine refuses it and does not return the stored item.
    pub async fn plan_fetch(
        &self,
        group: ServerGroup,
        authority: &str,
        actor: &str,
        now_ms: i64,
    ) -> Result<Admittance> {
        let bounds = group.fetches();
        let key = key::inbound_fetches(group, window(bounds, now_ms));
        let ends_ms = window(bounds, now_ms).saturating_add(1).saturating_mul(bounds.window_ms);
        let site = short_hash(site(authority));
        let actor = format!("a{}", short_hash(actor));
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key.item()))
            .update_expression("SET #ttl = :ttl ADD #all :one, #site :one, #actor :one")
            .condition_expression(
                "(attribute_not_exists(#all) OR #all < :together) AND \
                 (attribute_not_exists(#site) OR #site < :each) AND attribute_not_exists(#actor)",
            )
            .expression_attribute_names("#all", attr::ALL)
            .expression_attribute_names("#site", site)
            .expression_attribute_names("#actor", &actor)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":together", n(bounds.together))
            .expression_attribute_values(":each", n(bounds.each))
            .expression_attribute_values(":ttl", n(ends_ms.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(match conditional(updated)? {
            ConditionalWrite::Done(_) => Admittance::Granted,
            ConditionalWrite::Refused { stored } => {
                let stored = stored.ok_or_else(|| StoreError::GaveUp {
                    operation: "UpdateItem",
                    detail: "it was refused, and the engine does not say what is stored".to_owned(),
                })?;
                let all = stored.get_n(attr::ALL).unwrap_or_default().unsigned_abs();
                match stored.contains_key(&actor) {
                    true => Admittance::AlreadyPlanned,
                    false if all >= bounds.together => Admittance::GroupFull,
                    false => Admittance::ServerFull,
                }
            }
        })
    }

    /// Notes that a server did not answer in time: for a minute no request waits for it.
    ///
    /// One UpdateItem: 1 write unit. A repetition writes the same again, so that a lost answer does
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn note_slow(&self, authority: &str, now_ms: i64) -> Result<()> {
        let until_ms = now_ms.saturating_add(SLOW_MS);
        // The record of a known server lives as long as it did.
        let update = "SET #field = :value, #ttl = if_not_exists(#ttl, :ttl)";
        self.note(authority, update, attr::SLOW_UNTIL_MS, until_ms, KEPT_SECONDS).await
    }

    /// Notes that an actor of a server was verified: for seven days it counts as known. The caller
    /// skips it if [`InboundHost::needs_note`] is false.
    ///
    /// One UpdateItem: 1 write unit. A repetition writes the same again, so that a lost answer does
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn note_verified(&self, authority: &str, now_ms: i64) -> Result<()> {
        let update = "SET #field = :value, #ttl = :ttl";
        self.note(authority, update, attr::VERIFIED_MS, now_ms, KNOWN_MS.div_euclid(1000)).await
    }

    /// Writes one time of a server's record, which is kept for `kept_seconds` after that time.
    async fn note(
        &self,
        authority: &str,
        update: &str,
        field: &str,
        value_ms: i64,
        kept_seconds: i64,
    ) -> Result<()> {
        let ttl: AttributeValue = n(value_ms.div_euclid(1000).saturating_add(kept_seconds));
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::inbound_host(authority).item()))
            .update_expression(update)
            .expression_attribute_names("#field", field)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":value", n(value_ms))
            .expression_attribute_values(":ttl", ttl)
            .send()
            .await
            .map(|_| ())
            .map_err(call("UpdateItem"))
    }
}

/// Returns the number of the window that a time is in.
fn window(bounds: WindowBounds, at_ms: i64) -> i64 {
    at_ms.div_euclid(bounds.window_ms)
}

/// Returns the name of the place in which requests wait for an actor.
fn place_name(group: ServerGroup, authority: &str, actor: &str) -> String {
    let bounds = group.waits();
    let first = u64::from(short_digest(site(authority))[0]);
    let next = u64::from(short_digest(actor)[0]) % bounds.each;
    format!("p{}", (first + next) % bounds.together)
}
