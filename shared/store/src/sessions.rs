//! Refresh tokens: stored as their SHA-256, exchanged once.
//!
//! A sign-in starts a family; each exchange replaces a token by the next one of its family. An
//! exchanged token stays in the table until its time is over, so that its second use is noticed.
//! A second use may be a repetition: the answer to the first one may be lost. It gets the same next
//! token, whose text follows from the old one's text and from a stored salt. Within a minute it always
//! is one; later it is one once in a day per family, because a thief who repeats each exchange of a
//! device would not be noticed otherwise. A family is alive as long as the device record names it
//! ([`crate::device`]); a device has one family at a time.
//!
//! A token names its device, so that it lies among the items of the device, and is erased with them.
//!
//! # Item `D#{user}#{device}` / `S#{sha256}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `fam` | S | | the family |
//! | `used` | N | epoch ms | the time of the exchange; missing before it, like the next two |
//! | `salt` | B | | the random bytes from which the text of the next token follows |
//! | `next` | S | | the SHA-256 of the next token |
//! | `late` | N | epoch ms | the time of the family's last late repetition; missing before it |
//! | `ttl` | N | epoch s | the time after which the token is worthless |
//!
//! # Item `S#{sha256}` / `SESSION`
//!
//! The earlier form of a token, which this server does not write any more. It has the attributes above,
//! and the user and the device:
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `u` | S | | the user |
//! | `d` | S | | the device |

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n, s};
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::key;
use crate::resources::TTL_ATTRIBUTE;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, StoreError};

/// The names of the attributes.
mod attr {
    pub(super) const USER: &str = "u";
    pub(super) const DEVICE: &str = "d";
    pub(super) const FAMILY: &str = "fam";
    pub(super) const USED_MS: &str = "used";
    pub(super) const SALT: &str = "salt";
    pub(super) const NEXT: &str = "next";
    pub(super) const LATE_MS: &str = "late";
}

/// The time after an exchange in which it may be repeated, in milliseconds. A later repetition may be
/// repeated for as long.
pub const REPEATED_MS: i64 = 60_000;

/// The time between two later repetitions in one family, in milliseconds.
pub const LATE_REPEATED_MS: i64 = 24 * 3_600_000;

/// The random bytes from which the text of a token follows, together with the text of the token
/// that it replaces.
pub type TokenSalt = [u8; 32];

/// A refresh token that is about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The SHA-256 of the token, lower-case hex.
    pub token_hash: String,
    /// The family: a random id that all tokens of one sign-in share.
    pub family: String,
    /// The time after which the token is worthless, epoch seconds.
    pub ttl: i64,
}

impl NewSession {
    pub(crate) fn item(&self, address: DeviceAddress<'_>) -> Item {
        let mut item = key::session(address, &self.token_hash).item();
        item.set(attr::FAMILY, s(&self.family));
        item.set(TTL_ATTRIBUTE, n(self.ttl));
        item
    }
}

/// A stored refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user that the token is for.
    pub user: UserName,
    /// The device that the token is for.
    pub device: DeviceId,
    /// The family of the token.
    pub family: String,
    /// The exchange of the token, if it was exchanged before.
    exchange: Option<TokenExchange>,
    /// The time of the family's last late repetition, as this token knows it, epoch milliseconds.
    late_ms: Option<i64>,
}

/// The exchange of a token for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TokenExchange {
    /// The time, epoch milliseconds.
    at_ms: i64,
    /// The salt of the next token.
    salt: TokenSalt,
    /// The SHA-256 of the next token.
    next_hash: String,
}

impl TokenExchange {
    /// Reads the exchange of a token; `None` if the token was not exchanged.
    fn from_item(item: &Item) -> Result<Option<Self>> {
        let Some(at_ms) = item.get_n(attr::USED_MS) else { return Ok(None) };
        let salt = item.need_b(attr::SALT)?.try_into().map_err(corrupt)?;
        Ok(Some(Self { at_ms, salt, next_hash: item.need_s(attr::NEXT)?.to_owned() }))
    }
}

impl Session {
    /// Returns the address of the device that the token is for.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress::new(&self.user, &self.device)
    }
}

/// The token that replaces another one of its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextToken {
    /// The salt of the token.
    pub salt: TokenSalt,
    /// The SHA-256 of the token, lower-case hex.
    pub token_hash: String,
    /// The time after which the token is worthless, epoch seconds.
    pub ttl: i64,
}

/// The outcome of [`Store::rotate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationOutcome {
    /// The old token is used up and the next one is stored. Holds the old one.
    Rotated(Session),
    /// The token was exchanged before, and the next one was not. The next one is given again.
    Repeated {
        /// The old token.
        session: Session,
        /// The salt of the next one.
        salt: TokenSalt,
        /// True if it is a late repetition: more than a minute has passed since the exchange.
        is_late: bool,
    },
    /// The token does not exist, or its time is over.
    Unknown,
    /// The token was exchanged before. Its family has been ended, because one of the two uses may
    /// be a thief's.
    Reused(Session),
    /// The family of the token has ended: by a logout, a reuse, a revocation or a newer sign-in.
    Ended,
}

impl Store {
    /// Reads a refresh token of a device by its hash, strongly consistent; `None` if it does not exist or
    /// its time is over.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the item is not readable.
    pub async fn session(
        &self,
        device: DeviceAddress<'_>,
        token_hash: &str,
        now_ms: i64,
    ) -> Result<Option<Session>> {
        let found = self.get_item(&key::session(device, token_hash)).await?;
        let Some(item) = found.filter(is_live(now_ms)) else { return Ok(None) };
        Ok(Some(Session {
            user: device.user.clone(),
            device: device.device.clone(),
            family: item.need_s(attr::FAMILY)?.to_owned(),
            exchange: TokenExchange::from_item(&item)?,
            late_ms: item.get_n(attr::LATE_MS),
        }))
    }

    /// Reads a refresh token of the earlier form by its hash, strongly consistent; `None` if it does not
    /// exist or its time is over. Such a token names no device in its text. It is not exchanged any more,
    /// and a logout with it still ends its family.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the item is not readable.
    pub async fn former_session(&self, token_hash: &str, now_ms: i64) -> Result<Option<Session>> {
        let Some(item) = self.get_item(&key::former_session(token_hash)).await?.filter(is_live(now_ms))
        else {
            return Ok(None);
        };
        Ok(Some(Session {
            user: UserName::parse(item.need_s(attr::USER)?).map_err(corrupt)?,
            device: DeviceId::parse(item.need_s(attr::DEVICE)?).map_err(corrupt)?,
            family: item.need_s(attr::FAMILY)?.to_owned(),
            exchange: None,
            late_ms: None,
        }))
    }

    /// Exchanges a refresh token for the next one of its family. A token that was exchanged before
    /// ends its family, unless it is a repetition: before the exchange of the next token, and less
    /// than a minute after its own, or as the only later one in a day.
    ///
    /// One GetItem: 1 read unit. Then one transaction of an update, a check and a put: twice the
    /// write units of old token, device record and next token. For a token that was exchanged
    /// before, two GetItem instead, and one UpdateItem of the next token if it is a late repetition;
    /// or the transaction of [`end_family`](Self::end_family). Of several exchanges at once one stores
    /// its next token, and the others repeat it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if a call fails;
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction, or if the token was given
    /// again meanwhile;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the token is not readable.
    pub async fn rotate(
        &self,
        device: DeviceAddress<'_>,
        token_hash: &str,
        next: NextToken,
        now_ms: i64,
    ) -> Result<RotationOutcome> {
        const OLD_TOKEN: usize = 0;
        let Some(session) = self.session(device, token_hash, now_ms).await? else {
            return Ok(RotationOutcome::Unknown);
        };
        if session.exchange.is_some() {
            return self.use_again(session, now_ms).await;
        }
        let NextToken { salt, token_hash: next_hash, ttl } = next;
        let use_up = self.update(&key::session(device, token_hash), |update| {
            // The next token takes over what this one knows of the family.
            let update = match session.late_ms {
                None => update.condition_expression(concat!(
                    "attribute_exists(pk) AND attribute_not_exists(#used)",
                    " AND attribute_not_exists(#late)"
                )),
                Some(late_ms) => update
                    .condition_expression("attribute_not_exists(#used) AND #late = :late")
                    .expression_attribute_values(":late", n(late_ms)),
            };
            update
                .update_expression("SET #used = :now, #salt = :salt, #next = :next")
                .expression_attribute_names("#late", attr::LATE_MS)
                .expression_attribute_names("#used", attr::USED_MS)
                .expression_attribute_names("#salt", attr::SALT)
                .expression_attribute_names("#next", attr::NEXT)
                .expression_attribute_values(":now", n(now_ms))
                .expression_attribute_values(":salt", b(salt))
                .expression_attribute_values(":next", s(&next_hash))
        })?;
        let is_alive = self.check(&key::device(session.address()), |check| {
            check
                .condition_expression("#fam = :fam")
                .expression_attribute_names("#fam", device::attr::FAMILY)
                .expression_attribute_values(":fam", s(&session.family))
        })?;
        let next = NewSession { token_hash: next_hash, family: session.family.clone(), ttl };
        let mut item = next.item(session.address());
        if let Some(late_ms) = session.late_ms {
            item.set(attr::LATE_MS, n(late_ms));
        }
        let put = self.put_new(item)?;
        match self.transact(vec![use_up, is_alive, put]).await? {
            TransactionOutcome::Done => Ok(RotationOutcome::Rotated(session)),
            TransactionOutcome::Refused { index: OLD_TOKEN, .. } => {
                match self.session(device, token_hash, now_ms).await? {
                    Some(session) if session.exchange.is_some() => self.use_again(session, now_ms).await,
                    Some(_) => Err(StoreError::GaveUp {
                        operation: "TransactWriteItems",
                        detail: "the token was given again meanwhile".to_owned(),
                    }),
                    None => Ok(RotationOutcome::Unknown),
                }
            }
            TransactionOutcome::Refused { .. } => Ok(RotationOutcome::Ended),
        }
    }

    /// Decides whether the use of a token that was exchanged before is a repetition. Ends the family
    /// if it is not.
    async fn use_again(&self, session: Session, now_ms: i64) -> Result<RotationOutcome> {
        if let Some(TokenExchange { at_ms, salt, next_hash }) = &session.exchange
            && let Some(next) = self.session(session.address(), next_hash, now_ms).await?
            && next.exchange.is_none()
        {
            let passed_ms = now_ms.saturating_sub(*at_ms);
            let since_late_ms = next.late_ms.map(|late_ms| now_ms.saturating_sub(late_ms));
            let is_same = passed_ms < REPEATED_MS || since_late_ms.is_some_and(|ms| ms < REPEATED_MS);
            let is_first = since_late_ms.is_none_or(|ms| ms >= LATE_REPEATED_MS);
            if is_same || (is_first && self.note_late(session.address(), next_hash, now_ms).await?) {
                let family = self.device_record(session.address()).await?.and_then(|record| record.family);
                let (salt, is_late) = (*salt, passed_ms >= REPEATED_MS);
                return Ok(match family.as_ref() == Some(&session.family) {
                    true => RotationOutcome::Repeated { session, salt, is_late },
                    false => RotationOutcome::Ended,
                });
            }
        }
        Ok(match self.end_family(&session).await? {
            true => RotationOutcome::Reused(session),
            false => RotationOutcome::Ended,
        })
    }

    /// Notes a late repetition at the token that it gives again. Returns false if that one was exchanged
    /// meanwhile. One UpdateItem, more while an exchange of that token is under way. It may be repeated:
    /// within a minute, a repetition is the same one.
    async fn note_late(&self, device: DeviceAddress<'_>, next_hash: &str, now_ms: i64) -> Result<bool> {
        let update = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::session(device, next_hash).item()))
            .update_expression("SET #late = :now")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#used)")
            .expression_attribute_names("#late", attr::LATE_MS)
            .expression_attribute_names("#used", attr::USED_MS)
            .expression_attribute_values(":now", n(now_ms));
        Ok(self.update_beside_transactions(update).await?.is_done())
    }

    /// Starts a new family for a registered device and ends its former one, with the device's push
    /// subscription. Returns true if it is started, false if the device has no record or is revoked.
    ///
    /// One transaction of four writes: twice the write units of device record, token, subscription
    /// and the user's item `LIVE`. The subscription may be that of a thief who had an access token
    /// of the former family. If the answer is lost for good, the device may have a new family whose
    /// token it never got: it signs in again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn start_session(&self, address: DeviceAddress<'_>, session: &NewSession) -> Result<bool> {
        let name = self.update(&key::device(address), |update| {
            update
                .update_expression("SET #fam = :fam REMOVE #pu")
                .condition_expression("#st = :active OR #st = :pending")
                .expression_attribute_names("#fam", device::attr::FAMILY)
                .expression_attribute_names("#pu", device::attr::PUSHED_MS)
                .expression_attribute_names("#st", device::attr::STATUS)
                .expression_attribute_values(":fam", s(&session.family))
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                .expression_attribute_values(":pending", s(DeviceStatus::Pending.code()))
        })?;
        let put = self.put_new(session.item(address))?;
        let [subscription, state] = self.without_push(address)?;
        Ok(self.transact(vec![name, put, subscription, state]).await?.is_done())
    }

    /// Ends the family of a token: none of its tokens can be exchanged again, and the device has no
    /// push subscription any more. Returns false, and does nothing, if the device has another family
    /// meanwhile.
    ///
    /// One transaction of three writes: twice the write units of device record, subscription and
    /// the user's item `LIVE`. So no subscription outlives its session and comes back to life with
    /// the next one. The verb may be repeated; a lost answer does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn end_family(&self, session: &Session) -> Result<bool> {
        let address = session.address();
        let record = self.update(&key::device(address), |update| {
            update
                .update_expression("REMOVE #fam, #pu")
                .condition_expression("attribute_exists(pk) AND (#fam = :fam OR attribute_not_exists(#fam))")
                .expression_attribute_names("#fam", device::attr::FAMILY)
                .expression_attribute_names("#pu", device::attr::PUSHED_MS)
                .expression_attribute_values(":fam", s(&session.family))
        })?;
        let [subscription, state] = self.without_push(address)?;
        Ok(self.transact(vec![record, subscription, state]).await?.is_done())
    }
}

/// True for an item whose time is not over.
fn is_live(now_ms: i64) -> impl Fn(&Item) -> bool {
    move |item| item.get_n(TTL_ATTRIBUTE).unwrap_or(0) > now_ms.div_euclid(1000)
}
