//! Refresh tokens: random, stored as their SHA-256, used once.
//!
//! `S#{sha256}` / `SESSION`: `u` user, `d` device, `fam` family, `used` (when it was exchanged), `ttl`. A
//! token that was exchanged stays until its time is over, so that its second use is noticed. A family lives
//! as long as the device's own record names it; a device has one.

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, ReadItem, corrupt, n, s};
use crate::condition::conditional;
use crate::device::{DeviceAddress, DeviceStatus};
use crate::key::{self, ItemKey};
use crate::transaction::TransactionOutcome;
use crate::{Result, Store};

/// A refresh token about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Lower-case hex SHA-256 of the token.
    pub token_hash: String,
    /// Its family: a random id shared by all tokens that follow from one sign-in.
    pub family: String,
    /// Epoch seconds after which it is worthless.
    pub ttl: i64,
}

impl NewSession {
    pub(crate) fn item(&self, address: DeviceAddress<'_>) -> Item {
        let mut item = key::session(&self.token_hash).item();
        item.insert("u".to_owned(), s(address.user.as_str()));
        item.insert("d".to_owned(), s(address.device.to_string()));
        item.insert("fam".to_owned(), s(&self.family));
        item.insert("ttl".to_owned(), n(self.ttl));
        item
    }
}

/// A stored refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user: UserName,
    /// For which device.
    pub device: DeviceId,
    /// Its family.
    pub family: String,
    used: bool,
}

impl Session {
    /// Returns the address of the device that the token is for.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress::new(&self.user, &self.device)
    }
}

/// The token that replaces another of its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextToken {
    /// Lower-case hex SHA-256 of the token.
    pub token_hash: String,
    /// Epoch seconds after which it is worthless.
    pub ttl: i64,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationOutcome {
    /// The old token is spent, the new one stored.
    Rotated(Session),
    /// There is no such token, or its time is over.
    Unknown,
    /// It was exchanged before: its family has been ended.
    Reused(Session),
    /// Its family has ended, by logout, reuse, revocation or a newer sign-in.
    Ended,
}

impl Store {
    /// Reads a token by its hash: one GetItem, strongly consistent.
    pub async fn session(&self, token_hash: &str, now_ms: i64) -> Result<Option<Session>> {
        let found = self.get_item(&key::session(token_hash)).await?;
        let Some(item) = found.filter(|item| item.get_n("ttl").unwrap_or(0) > now_ms.div_euclid(1000)) else {
            return Ok(None);
        };
        Ok(Some(Session {
            user: UserName::parse(item.need_s("u")?).map_err(corrupt)?,
            device: DeviceId::parse(item.need_s("d")?).map_err(corrupt)?,
            family: item.need_s("fam")?.to_owned(),
            used: item.contains_key("used"),
        }))
    }

    /// Exchanges a refresh token for the next of its family: a GetItem and a transaction of three.
    pub async fn rotate(&self, token_hash: &str, next: NextToken, now_ms: i64) -> Result<RotationOutcome> {
        let Some(session) = self.session(token_hash, now_ms).await? else {
            return Ok(RotationOutcome::Unknown);
        };
        if session.used {
            self.end_family(&session).await?;
            return Ok(RotationOutcome::Reused(session));
        }
        let next = NewSession { token_hash: next.token_hash, family: session.family.clone(), ttl: next.ttl };
        let spend = self.update(&key::session(token_hash), |update| {
            update
                .update_expression("SET #used = :now")
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(#used)")
                .expression_attribute_names("#used", "used")
                .expression_attribute_values(":now", n(now_ms))
        })?;
        let alive = self.check(&key::device(session.address()), |check| {
            check
                .condition_expression("#fam = :fam")
                .expression_attribute_names("#fam", "fam")
                .expression_attribute_values(":fam", s(&session.family))
        })?;
        let put = self.put_new(next.item(session.address()))?;
        match self.transact(vec![spend, alive, put]).await? {
            TransactionOutcome::Done => Ok(RotationOutcome::Rotated(session)),
            TransactionOutcome::Refused { index: 0, .. } => {
                self.end_family(&session).await?;
                Ok(RotationOutcome::Reused(session))
            }
            TransactionOutcome::Refused { .. } => Ok(RotationOutcome::Ended),
        }
    }

    /// Starts a new family for a registered device, ending its former one; `false` where the device has
    /// been revoked. One transaction of two.
    pub async fn start_session(&self, address: DeviceAddress<'_>, session: &NewSession) -> Result<bool> {
        let name = self.update(&key::device(address), |update| {
            update
                .update_expression("SET #fam = :fam")
                .condition_expression("attribute_exists(pk) AND #st <> :revoked")
                .expression_attribute_names("#fam", "fam")
                .expression_attribute_names("#st", "st")
                .expression_attribute_values(":fam", s(&session.family))
                .expression_attribute_values(":revoked", s(DeviceStatus::Revoked.code()))
        })?;
        let put = self.put_new(session.item(address))?;
        Ok(matches!(self.transact(vec![name, put]).await?, TransactionOutcome::Done))
    }

    /// Ends a family: none of its tokens can be exchanged again. One UpdateItem.
    pub async fn end_family(&self, session: &Session) -> Result<()> {
        let ended = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(ItemKey::item(&key::device(session.address()))))
            .update_expression("REMOVE #fam")
            .condition_expression("#fam = :fam")
            .expression_attribute_names("#fam", "fam")
            .expression_attribute_values(":fam", s(&session.family))
            .send()
            .await;
        conditional(ended)?;
        Ok(())
    }
}
