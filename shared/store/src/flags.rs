//! Reported messages, for the operator (`docs/operate.md`).
//!
//! A partition is a day, so that the operator reads what is new with one Query. The operator reads
//! the items as they are, so their attributes have whole names.
//!
//! # Item `Q#{date}` / `{digest}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `received` | S | RFC 3339 | the time of the report |
//! | `standing` | S | | `verified`, `delivered`, `consistent` or `false` ([`FlagStanding`]) |
//! | `reporter` | S | | the actor id of the message's recipient |
//! | `author` | S | | the actor id of its author |
//! | `device` | S | | the address of the device that is said to have sent it |
//! | `envelope` | S | | the envelope's id |
//! | `sent` | S | RFC 3339 | the time at which the author's server is said to have accepted it |
//! | `content` | S | | the message, as JSON |
//! | `reason` | S | | the reporter's words; missing if there are none |
//! | `ttl` | N | epoch s | 90 days after the report |
//!
//! # Item `L#{hash of the actor id, site, or site#false}` / `FLAGS#{day}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | reports | those of one reporter, or of the reporters of another site: true ones and false ones are counted apart |
//! | `ttl` | N | epoch s | a day after the end of the day |
//!
//! A reporter is counted under the short hash of the actor id, so that the count names nobody who has
//! deleted the account since.

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::flag::Flag;
use eko_protocol::limits::{FLAG_DAYS, MAX_FALSE_FLAGS_OF_SITE, MAX_FLAGS_OF_REPORTER, MAX_FLAGS_OF_SITE};
use eko_protocol::timestamp;

use crate::attribute::{WriteItem, n, s, short_hash};
use crate::resources::TTL_ATTRIBUTE;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The attribute with a number of reports.
const COUNT: &str = "n";

/// The degree to which a server has verified a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlagStanding {
    /// The report contradicts itself, or the MAC of this server.
    False,
    /// The author's device may have sent the text: the tag is that of the text. Only the author's
    /// server can tell more.
    Consistent,
    /// The report is consistent, and this server has accepted an envelope of that id and author for the
    /// reporter.
    Delivered,
    /// The author, a user of this server, has sent the text to the reporter.
    Verified,
}

impl FlagStanding {
    fn as_str(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::Consistent => "consistent",
            Self::Delivered => "delivered",
            Self::Verified => "verified",
        }
    }
}

/// The outcome of [`Store::keep_flag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptFlag {
    /// The report is stored by this call.
    Kept,
    /// An earlier call of the same day has stored it. Nothing is counted.
    Known,
    /// The reporter, or the reporter's site, has reported as many messages as they may on this day.
    Full,
}

/// A report that is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewFlag<'a> {
    /// The report.
    pub flag: &'a Flag,
    /// The actor id of the reporter.
    pub reporter: &'a str,
    /// The site of the reporter's server, if it is another one.
    pub site: Option<&'a str>,
    /// The degree to which this server has verified it.
    pub standing: FlagStanding,
}

impl Store {
    /// Stores a report for the operator, unless the same one was stored on this day.
    ///
    /// One transaction of two writes, or three for a reporter of another site: 2 write units for each
    /// KB of the report, and 2 for each count.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn keep_flag(&self, new: NewFlag<'_>, now_ms: i64) -> Result<KeptFlag> {
        let NewFlag { flag, reporter, site, standing } = new;
        let day = now_ms.div_euclid(DAY_MS);
        let received = timestamp::format(now_ms);
        let date = received.get(..10).unwrap_or_default();
        let evidence = &flag.evidence;
        let digest = hex::encode(evidence.digest(&format!("{} {reporter}", flag.author)));
        let mut item = key::flag(date, &digest).item();
        item.set("received", s(&received));
        item.set("standing", s(standing.as_str()));
        item.set("reporter", s(reporter));
        item.set("author", s(&flag.author));
        item.set("device", s(&evidence.device));
        item.set("envelope", s(evidence.envelope.as_str()));
        if let Some(sent) = evidence.stated_time() {
            item.set("sent", s(sent));
        }
        item.set("content", s(&evidence.content));
        if let Some(reason) = &flag.reason {
            item.set("reason", s(reason));
        }
        let ttl = now_ms.saturating_add(FLAG_DAYS.saturating_mul(DAY_MS)).div_euclid(1000);
        item.set(TTL_ATTRIBUTE, n(ttl));
        let of_reporter = self.count_flag(&short_hash(reporter), MAX_FLAGS_OF_REPORTER, day)?;
        let mut writes = vec![self.put_new(item)?, of_reporter];
        if let Some(site) = site {
            // Made-up reports crowd out no true ones.
            writes.push(match standing {
                FlagStanding::False => {
                    self.count_flag(&format!("{site}#false"), MAX_FALSE_FLAGS_OF_SITE, day)?
                }
                _ => self.count_flag(site, MAX_FLAGS_OF_SITE, day)?,
            });
        }
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => KeptFlag::Kept,
            TransactionOutcome::Refused { index: 0, .. } => KeptFlag::Known,
            TransactionOutcome::Refused { .. } => KeptFlag::Full,
        })
    }

    /// Builds the write that counts a report of somebody. It is refused if there are as many as are
    /// allowed on one day.
    fn count_flag(&self, subject: &str, most: u64, day: i64) -> Result<TransactWriteItem> {
        let ends_s = day.saturating_add(2).saturating_mul(DAY_MS).div_euclid(1000);
        self.update(&key::flags_of(subject, day), |update| {
            update
                .update_expression("SET #ttl = :ttl ADD #n :one")
                .condition_expression("attribute_not_exists(#n) OR #n < :most")
                .expression_attribute_names("#n", COUNT)
                .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
                .expression_attribute_values(":ttl", n(ends_s))
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":most", n(most))
        })
    }
}
