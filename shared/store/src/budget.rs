//! Rate budgets: the envelopes and the bytes of one minute, of a recipient and of an account
//! (`docs/protocol.md`, section 6).
//!
//! One conditional write counts an envelope everywhere in an item, or nowhere. A sender over its
//! share therefore adds nothing, and takes nothing from others. The writes run beside the read of
//! the device sets, before it is known whether the envelope is accepted; an envelope that is then
//! refused is given back.
//!
//! # Item `L#{recipient}` / `{window}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n`, `b` | N | envelopes, bytes | what all senders sent |
//! | `o`, `q` | N | envelopes, bytes | what the senders of all other servers sent |
//! | `s{hash}`, `t{hash}` | N | envelopes, bytes | what one sender sent |
//! | `h{hash}`, `i{hash}` | N | envelopes, bytes | what all actors of one other site sent |
//! | `a{hash}` | BS | | the hashes of these actors |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! # Item `L#{user}` / `REPORTS#{window}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n`, `b` | N | reports, bytes | what all other servers reported to the user |
//! | `h{hash}`, `i{hash}` | N | reports, bytes | what all actors of one other site reported |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! # Item `L#{site}` / `FLAGGED#{window}#{hash}`
//!
//! The hash is that of the user's name. No site's reports are in the way of another one's, and no export
//! tells a user of a report.
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n`, `b` | N | abuse reports, bytes | what all actors of the site reported about the user |
//! | `s{hash}`, `t{hash}` | N | abuse reports, bytes | what one of these actors reported |
//! | `a` | BS | | the hashes of these actors |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! # Item `L#{user}` / `ACCOUNT#{window}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n`, `b` | N | envelopes, bytes | what the account sent to everyone |
//! | `c{hash}`, `d{hash}` | N | sockets, 0 | the sockets that one active device opened |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! # Item `L#{user}` / `WAITING#{device}#{window}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n`, `b` | N | sockets, 0 | the sockets that a device opened while it waits for approval |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! `{hash}` is the short hash ([`crate::attribute`]) of the sender's actor id, of the other server's
//! site, or of the device. In the set it is the first 16 bytes of the SHA-256.
//!
//! The item has some 70 bytes for each actor of another site, and a write costs a unit for each
//! kilobyte. The set bounds how many actors of one site the item has.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use eko_protocol::address::UserName;

use crate::attribute::{Item, ReadItem, bs, n, short_digest, short_hash};
use crate::condition::{ConditionalWrite, conditional};
use crate::device::DeviceAddress;
use crate::key::ItemKey;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The length of a window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// The time that a window's item is kept after its end, in seconds.
const KEPT_SECONDS: i64 = 60;
/// The names of the attributes that count everything in an item.
const TOTAL: [&str; 2] = ["n", "b"];
/// The beginnings of the attributes' names that count one sender.
const SENDER: [&str; 2] = ["s", "t"];
/// The beginnings of the attributes' names that count one other site.
const SITE: [&str; 2] = ["h", "i"];
/// The beginnings of the attributes' names that count the sockets of one device.
const DEVICE: [&str; 2] = ["c", "d"];
/// The beginning of the attributes' names that list the actors of one other site.
const ACTORS: &str = "a";
/// The names of the attributes that count all other servers.
const OTHERS: [&str; 2] = ["o", "q"];

/// The most that a party may send in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The most envelopes.
    pub envelopes: u64,
    /// The most bytes of content.
    pub bytes: u64,
}

/// The sender of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSender<'a> {
    /// The actor id.
    pub name: &'a str,
    /// The most that the sender may send to one recipient.
    pub allowance: Allowance,
}

/// The site of a sender on another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSite<'a> {
    /// The site.
    pub name: &'a str,
    /// The most that all actors of the site may send to one recipient.
    pub allowance: Allowance,
    /// The most actors of the site that may send to one recipient.
    pub actors: u64,
}

/// The most that a recipient may be sent in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipientAllowance {
    /// The most that all senders together may send.
    pub everyone: Allowance,
    /// The most that the senders of all other servers together may send.
    pub others: Allowance,
}

/// The budget that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUp {
    /// The sender's share of the recipient's budget.
    Sender(Measure),
    /// The share of the sender's site in the recipient's budget.
    Site(Measure),
    /// The number of actors of the sender's site that may write to the recipient.
    Actors,
    /// The share of all other servers together in the recipient's budget.
    Others(Measure),
    /// The recipient's budget.
    Recipient(Measure),
    /// The sending account's budget over all recipients.
    Account(Measure),
    /// The sockets of a device.
    Sockets,
    /// The share of the sender's site in the reports to a user.
    SiteReports,
    /// The reports of all other servers to a user.
    Reports,
    /// The reporter's share of the abuse reports about a user.
    Reporter,
    /// The share of the reporter's site in the abuse reports about a user.
    SiteFlags,
    /// The number of actors of the reporter's site that may report a user.
    Reporters,
    /// One of these. The engine does not say what is stored.
    Unknown,
}

/// The measure of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Envelopes.
    Envelopes,
    /// Bytes of content.
    Bytes,
}

/// The outcome of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The envelope is counted.
    Counted,
    /// A budget is used up, and nothing is counted.
    Refused {
        /// The budget.
        used_up: UsedUp,
        /// The time until the next window, in milliseconds.
        resets_in_ms: i64,
    },
}

/// The charge of one envelope to the budgets in one item.
#[derive(Clone, Debug)]
pub struct Charge {
    key: ItemKey,
    /// The end of the window, epoch milliseconds.
    ends_ms: i64,
    /// The bytes of content.
    bytes: u64,
    /// The counters. The first one is the sender's, the account's, the reporting site's or that of
    /// a device that waits for approval.
    counters: Vec<Counter>,
    actors: Option<ActorSet>,
}

/// The set of the actors of one site, to which a charge adds its sender.
#[derive(Clone, Debug)]
struct ActorSet {
    /// The name of the attribute.
    name: String,
    /// The sender's hash.
    actor: Vec<u8>,
    /// The most actors.
    most: u64,
    /// The budget that the set stands for.
    budget: UsedUp,
}

/// Two attributes that count the same envelopes.
#[derive(Clone, Debug)]
struct Counter {
    /// The names of the attributes that count envelopes and bytes.
    names: [String; 2],
    allowance: Allowance,
    /// The budget that the counter stands for.
    budget: fn(Measure) -> UsedUp,
}

impl Counter {
    fn new(prefix: [&str; 2], party: &str, allowance: Allowance, budget: fn(Measure) -> UsedUp) -> Self {
        Self { names: prefix.map(|prefix| format!("{prefix}{party}")), allowance, budget }
    }

    /// Returns the budget that one more envelope of `bytes` would exceed, if the item is `stored`.
    fn used_up(&self, stored: &Item, bytes: u64) -> Option<UsedUp> {
        let [envelopes, sum] = self
            .names
            .each_ref()
            .map(|name| stored.get_n(name).and_then(|count| u64::try_from(count).ok()).unwrap_or_default());
        if envelopes >= self.allowance.envelopes {
            Some((self.budget)(Measure::Envelopes))
        } else if sum.saturating_add(bytes) > self.allowance.bytes {
            Some((self.budget)(Measure::Bytes))
        } else {
            None
        }
    }
}

impl Charge {
    /// Creates the charge of an envelope of `bytes` to its recipient, at `now_ms`. `recipient` is a
    /// user name, or an actor id, a handle or an origin of another server. `site` is that of the
    /// sender's server, if that is another server.
    pub fn to_recipient(
        recipient: &str,
        sender: BudgetSender<'_>,
        site: Option<BudgetSite<'_>>,
        total: RecipientAllowance,
        bytes: u64,
        now_ms: i64,
    ) -> Self {
        let window = now_ms.div_euclid(WINDOW_MS);
        let hash = short_hash(sender.name);
        let mut counters = vec![Counter::new(SENDER, &hash, sender.allowance, UsedUp::Sender)];
        if let Some(site) = site {
            let hash = short_hash(site.name);
            counters.push(Counter::new(SITE, &hash, site.allowance, UsedUp::Site));
            counters.push(Counter::new(OTHERS, "", total.others, UsedUp::Others));
        }
        counters.push(Counter::new(TOTAL, "", total.everyone, UsedUp::Recipient));
        let actors = site.map(|site| ActorSet {
            name: format!("{ACTORS}{}", short_hash(site.name)),
            actor: short_digest(sender.name).to_vec(),
            most: site.actors,
            budget: UsedUp::Actors,
        });
        let key = key::rate(recipient, window.unsigned_abs());
        Self { key, ends_ms: end_of(window), bytes, counters, actors }
    }

    /// Creates the charge of a report of `bytes` from another server to `user`, at `now_ms`. `site`
    /// is that of the server, `share` what it may report in a minute, and `total` what all other
    /// servers may.
    ///
    /// Reports have counters of their own, so that they keep no envelope out.
    pub fn to_reported(
        user: &UserName,
        site: &str,
        share: Allowance,
        total: Allowance,
        bytes: u64,
        now_ms: i64,
    ) -> Self {
        let window = now_ms.div_euclid(WINDOW_MS);
        Self {
            key: key::report_rate(user, window.unsigned_abs()),
            ends_ms: end_of(window),
            bytes,
            counters: vec![
                Counter::new(SITE, &short_hash(site), share, |_| UsedUp::SiteReports),
                Counter::new(TOTAL, "", total, |_| UsedUp::Reports),
            ],
            actors: None,
        }
    }

    /// Creates the charge of an abuse report about `user` with `bytes` of content, at `now_ms`. `site` is
    /// that of the server that passes it on, whose user the reporter is.
    pub fn to_flagged(
        user: &UserName,
        reporter: BudgetSender<'_>,
        site: BudgetSite<'_>,
        bytes: u64,
        now_ms: i64,
    ) -> Self {
        let window = now_ms.div_euclid(WINDOW_MS);
        Self {
            key: key::flag_rate(site.name, window.unsigned_abs(), &short_hash(user.as_str())),
            ends_ms: end_of(window),
            bytes,
            counters: vec![
                Counter::new(SENDER, &short_hash(reporter.name), reporter.allowance, |_| UsedUp::Reporter),
                Counter::new(TOTAL, "", site.allowance, |_| UsedUp::SiteFlags),
            ],
            actors: Some(ActorSet {
                name: ACTORS.to_owned(),
                actor: short_digest(reporter.name).to_vec(),
                most: site.actors,
                budget: UsedUp::Reporters,
            }),
        }
    }

    /// Creates the charge of an envelope of `bytes` to the account that sends it, at `now_ms`.
    pub fn to_account(user: &UserName, allowance: Allowance, bytes: u64, now_ms: i64) -> Self {
        let window = now_ms.div_euclid(WINDOW_MS);
        Self {
            key: key::account_rate(user, window.unsigned_abs()),
            ends_ms: end_of(window),
            bytes,
            counters: vec![Counter::new(TOTAL, "", allowance, UsedUp::Account)],
            actors: None,
        }
    }

    /// Creates the charge of a socket that an active device opens at `now_ms`, to its account. The
    /// device may open `most` in a minute.
    pub fn to_active_device(device: DeviceAddress<'_>, account: Allowance, most: u64, now_ms: i64) -> Self {
        let mut charge = Self::to_account(device.user, account, 0, now_ms);
        let (hash, allowance) = (short_hash(device.device.as_str()), sockets(most));
        charge.counters.push(Counter::new(DEVICE, &hash, allowance, |_| UsedUp::Sockets));
        charge
    }

    /// Creates the charge of a socket that a device opens at `now_ms`, while it waits for approval. It
    /// may open `most` in a minute.
    pub fn to_waiting_device(device: DeviceAddress<'_>, most: u64, now_ms: i64) -> Self {
        let window = now_ms.div_euclid(WINDOW_MS);
        Self {
            key: key::waiting_rate(device, window.unsigned_abs()),
            ends_ms: end_of(window),
            bytes: 0,
            counters: vec![Counter::new(TOTAL, "", sockets(most), |_| UsedUp::Sockets)],
            actors: None,
        }
    }

    /// Returns the budget that the envelope would exceed, if the item is `stored`.
    fn used_up(&self, stored: &Item) -> Option<UsedUp> {
        let used_up = self.counters.iter().find_map(|counter| counter.used_up(stored, self.bytes));
        // Nothing else refuses an envelope.
        used_up.or_else(|| self.actors.as_ref().map(|set| set.budget).filter(|_| !stored.is_empty()))
    }
}

/// Returns the allowance of so many sockets.
fn sockets(most: u64) -> Allowance {
    Allowance { envelopes: most, bytes: 0 }
}

/// Returns the end of a window, in epoch milliseconds.
fn end_of(window: i64) -> i64 {
    window.saturating_add(1).saturating_mul(WINDOW_MS)
}

impl Store {
    /// Counts an envelope, unless it would exceed a budget.
    ///
    /// One UpdateItem: 1 write unit as long as the item has less than 1 KB. The item of a recipient
    /// has some 50 bytes for each sender of the minute, 20 more for one of another server, and 50
    /// for each site. No call for an
    /// envelope that exceeds a budget by itself. If the answer is lost, the SDK's repetition may
    /// count the envelope twice.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails. The envelope may be counted
    /// then.
    pub async fn charge(&self, charge: &Charge, now_ms: i64) -> Result<ChargeOutcome> {
        let resets_in_ms = charge.ends_ms.saturating_sub(now_ms);
        // An attribute that is not there yet passes the condition whatever the limit is.
        if let Some(used_up) = charge.used_up(&Item::new()) {
            return Ok(ChargeOutcome::Refused { used_up, resets_in_ms });
        }
        let mut add = Vec::new();
        let mut conditions = Vec::new();
        let mut request = self.dynamodb().update_item().table_name(self.table());
        for (index, counter) in charge.counters.iter().enumerate() {
            let [envelopes, bytes] = &counter.names;
            let room = counter.allowance.bytes.saturating_sub(charge.bytes);
            add.push(format!("#n{index} :one, #b{index} :bytes"));
            conditions.push(format!(
                "(attribute_not_exists(#n{index}) OR #n{index} < :most{index}) AND \
                 (attribute_not_exists(#b{index}) OR #b{index} <= :room{index})"
            ));
            request = request
                .expression_attribute_names(format!("#n{index}"), envelopes)
                .expression_attribute_names(format!("#b{index}"), bytes)
                .expression_attribute_values(format!(":most{index}"), n(counter.allowance.envelopes))
                .expression_attribute_values(format!(":room{index}"), n(room));
        }
        if let Some(ActorSet { name, actor, most, .. }) = &charge.actors {
            add.push("#actors :actor".to_owned());
            // A sender that is counted already is in the set.
            conditions.push(
                "(attribute_exists(#n0) OR attribute_not_exists(#actors) OR size(#actors) < :actors)"
                    .to_owned(),
            );
            request = request
                .expression_attribute_names("#actors", name)
                .expression_attribute_values(":actor", bs([actor.clone()]))
                .expression_attribute_values(":actors", n(*most));
        }
        let ttl = charge.ends_ms.div_euclid(1000).saturating_add(KEPT_SECONDS);
        let updated = request
            .set_key(Some(charge.key.item()))
            .update_expression(format!("SET #ttl = :ttl ADD {}", add.join(", ")))
            .condition_expression(conditions.join(" AND "))
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":ttl", n(ttl))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":bytes", n(charge.bytes))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(match conditional(updated)? {
            ConditionalWrite::Done(_) => ChargeOutcome::Counted,
            ConditionalWrite::Refused { stored } => {
                let used_up = stored.and_then(|stored| charge.used_up(&stored));
                let used_up = used_up.unwrap_or(UsedUp::Unknown);
                ChargeOutcome::Refused { used_up, resets_in_ms }
            }
        })
    }

    /// Gives back an envelope that was counted and then refused.
    ///
    /// One UpdateItem: the write units of [`Store::charge`]. Has no effect if the window's item is
    /// gone or does not count an envelope of this sender. The sender stays in the set of its site's
    /// actors, since the item keeps its counters. If the answer is lost, the SDK's repetition may give a second
    /// envelope of the same sender back.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails. The envelope may stay
    /// counted until the window ends.
    pub async fn give_back(&self, charge: &Charge) -> Result<()> {
        let mut add = Vec::new();
        let mut request = self.dynamodb().update_item().table_name(self.table());
        for (index, counter) in charge.counters.iter().enumerate() {
            let [envelopes, bytes] = &counter.names;
            add.push(format!("#n{index} :one, #b{index} :bytes"));
            request = request
                .expression_attribute_names(format!("#n{index}"), envelopes)
                .expression_attribute_names(format!("#b{index}"), bytes);
        }
        let given_back = request
            .set_key(Some(charge.key.item()))
            .update_expression(format!("ADD {}", add.join(", ")))
            .condition_expression("#n0 > :none AND #b0 >= :room")
            .expression_attribute_values(":one", n(-1))
            .expression_attribute_values(":bytes", n(-i128::from(charge.bytes)))
            .expression_attribute_values(":room", n(charge.bytes))
            .expression_attribute_values(":none", n(0))
            .send()
            .await;
        conditional(given_back)?;
        Ok(())
    }
}
