//! Refresh tokens: random, stored as their SHA-256, used once.
//!
//! `S#{sha256}` / `SESSION`: `u` user, `d` device, `fam` family, `used` (when it was exchanged), `ttl`. A
//! token that was exchanged stays until its time is over, so that its second use is noticed. A family lives
//! as long as the device's own record names it; a device has one.

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, Read, corrupt, n, s};
use crate::condition::conditional;
use crate::key::{self, Key};
use crate::transaction::Outcome;
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
    pub(crate) fn item(&self, user: &UserName, device: &DeviceId) -> Item {
        let mut item = key::session(&self.token_hash).item();
        item.insert("u".to_owned(), s(user.as_str()));
        item.insert("d".to_owned(), s(device.to_string()));
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

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
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
    pub async fn rotate(&self, token_hash: &str, next: &str, ttl: i64, now_ms: i64) -> Result<Rotation> {
        let Some(session) = self.session(token_hash, now_ms).await? else { return Ok(Rotation::Unknown) };
        if session.used {
            self.end_family(&session).await?;
            return Ok(Rotation::Reused(session));
        }
        let next = NewSession { token_hash: next.to_owned(), family: session.family.clone(), ttl };
        let spend = self.update(&key::session(token_hash), |update| {
            update
                .update_expression("SET #used = :now")
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(#used)")
                .expression_attribute_names("#used", "used")
                .expression_attribute_values(":now", n(now_ms))
        })?;
        let alive = self.check(&key::device(&session.user, &session.device), |check| {
            check
                .condition_expression("#fam = :fam")
                .expression_attribute_names("#fam", "fam")
                .expression_attribute_values(":fam", s(&session.family))
        })?;
        let put = self.put_new(next.item(&session.user, &session.device))?;
        match self.transact(vec![spend, alive, put]).await? {
            Outcome::Done => Ok(Rotation::Rotated(session)),
            Outcome::Refused { index: 0, .. } => {
                self.end_family(&session).await?;
                Ok(Rotation::Reused(session))
            }
            Outcome::Refused { .. } => Ok(Rotation::Ended),
        }
    }

    /// Starts a new family for a registered device, ending its former one; `false` where the device has
    /// been revoked. One transaction of two.
    pub async fn start_session(
        &self,
        user: &UserName,
        device: &DeviceId,
        session: &NewSession,
    ) -> Result<bool> {
        let name = self.update(&key::device(user, device), |update| {
            update
                .update_expression("SET #fam = :fam")
                .condition_expression("attribute_exists(pk) AND #st <> :revoked")
                .expression_attribute_names("#fam", "fam")
                .expression_attribute_names("#st", "st")
                .expression_attribute_values(":fam", s(&session.family))
                .expression_attribute_values(":revoked", s(crate::device::Status::Revoked.code()))
        })?;
        let put = self.put_new(session.item(user, device))?;
        Ok(matches!(self.transact(vec![name, put]).await?, Outcome::Done))
    }

    /// Ends a family: none of its tokens can be exchanged again. One UpdateItem.
    pub async fn end_family(&self, session: &Session) -> Result<()> {
        let ended = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(Key::item(&key::device(&session.user, &session.device))))
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
