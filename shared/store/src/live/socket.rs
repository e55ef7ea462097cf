//! A socket: the connection of one device, as its own item and the user's item have it.

use std::fmt;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use super::SOCKET_SECONDS;
use super::item::{attr, socket_name};
use crate::attribute::{Item, ReadItem, corrupt, n, s};
use crate::condition::{ConditionalWrite, conditional};
use crate::device::DeviceAddress;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, StoreError, key};

/// The id of a connection, as API Gateway gives it: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Reads an id; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_id.then(|| Self(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = StoreError;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text).ok_or_else(|| corrupt("no id of a connection"))
    }
}

impl From<ConnectionId> for String {
    fn from(id: ConnectionId) -> Self {
        id.0
    }
}

/// A socket of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The connection.
    pub connection: ConnectionId,
    /// The user.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// The time at which the access token expires, in epoch seconds.
    pub expires_s: i64,
    /// The time of opening, in epoch milliseconds.
    pub opened_ms: i64,
    /// The family of refresh tokens that the device had then: its session.
    pub family: String,
    /// True if the device waits for approval.
    pub is_pending: bool,
    /// The announcement that is ordered, if a frame could not be posted. The socket's own item has
    /// the latest one that was ordered because of an answer, the user's item the latest one.
    pub behind: Option<Behind>,
}

/// A socket that does not take frames. Its device is told to fetch later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The time of the announcement that is ordered, in epoch milliseconds.
    pub until_ms: i64,
    /// The number of failures in a row until then.
    pub failures: u32,
}

/// The items that note an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkedItems {
    /// The user's item.
    Listed,
    /// The user's item and the socket's own, by which frames are answered.
    Both,
}

/// A socket on which a frame came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedSocket {
    /// The socket.
    pub socket: Socket,
    /// The number of frames that the device has sent on it, this one included.
    pub frames: u64,
    /// The number of these that were `Fetch`.
    pub fetches: u64,
}

impl Socket {
    /// Returns the address of the device.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress::new(&self.user, &self.device)
    }

    /// True if the access token has expired at this time.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_s <= now_ms.div_euclid(1000)
    }

    /// True if no connection of this age is open any more.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.ends_s() <= now_ms.div_euclid(1000)
    }

    fn ends_s(&self) -> i64 {
        self.opened_ms.div_euclid(1000).saturating_add(SOCKET_SECONDS)
    }
}

impl Store {
    /// Reads a socket; `None` if there is none, or its time is over. One GetItem: 1 read unit.
    ///
    /// # Errors
    /// The table is out of reach, or the item is corrupt.
    pub async fn socket(&self, connection: &ConnectionId, now_ms: i64) -> Result<Option<Socket>> {
        let found = self.get_item(&key::socket(connection)).await?;
        let found = found.map(|item| Socket::from_own(connection, &item)).transpose()?;
        Ok(found.filter(|socket| !socket.is_over(now_ms)))
    }

    /// Counts a frame that came on a socket, which may be `Fetch`, and reads the socket; `None` if there
    /// is none, or its time is over.
    ///
    /// One UpdateItem: 1 write unit. A frame whose count is repeated, because the answer is lost,
    /// counts twice.
    ///
    /// # Errors
    /// The table is out of reach, or the item is corrupt.
    pub async fn use_socket(
        &self,
        connection: &ConnectionId,
        is_fetch: bool,
        now_ms: i64,
    ) -> Result<Option<UsedSocket>> {
        let counted = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::socket(connection).item()))
            .update_expression("ADD #n :one, #f :fetches")
            .condition_expression(key::EXISTS)
            .expression_attribute_names("#n", attr::FRAMES)
            .expression_attribute_names("#f", attr::FETCHES)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":fetches", n(i64::from(is_fetch)))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let ConditionalWrite::Done(output) = conditional(counted)? else { return Ok(None) };
        let item = output.attributes.unwrap_or_default();
        let used = UsedSocket {
            socket: Socket::from_own(connection, &item)?,
            frames: item.need_u(attr::FRAMES)?,
            fetches: item.need_u(attr::FETCHES)?,
        };
        Ok(Some(used).filter(|used| !used.socket.is_over(now_ms)))
    }

    /// Continues a socket until another time of expiry, unless it is a sooner one. Does nothing if the
    /// socket was removed meanwhile.
    ///
    /// Two UpdateItem, one after the other: the user's item, and the socket's own. 1 write unit for
    /// each KB of the user's item, and 1. Both may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn extend_socket(&self, socket: &Socket, expires_s: i64) -> Result<()> {
        let listed = self
            .update_listed(socket)
            .update_expression("SET #c.#e = :e")
            .condition_expression("#c.#e < :e")
            .expression_attribute_names("#e", attr::EXPIRES_S)
            .expression_attribute_values(":e", n(expires_s));
        self.update_beside_transactions(listed).await?;
        let own = self
            .update_own(socket)
            .update_expression("SET #e = :e")
            .condition_expression("#e < :e")
            .expression_attribute_names("#e", attr::EXPIRES_S)
            .expression_attribute_values(":e", n(expires_s));
        conditional(own.send().await)?;
        Ok(())
    }

    /// Notes that the device of a socket was approved, so that entries are posted to it from now on.
    /// Does nothing if the socket was removed meanwhile.
    ///
    /// Two UpdateItem, one after the other: the user's item, and the socket's own. Only when both
    /// have it is the next `Fetch` of the device that of an active one, and does not repeat them. 1
    /// write unit for each KB of the user's item, and 1. Both may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn approve_socket(&self, socket: &Socket) -> Result<()> {
        let listed = self
            .update_listed(socket)
            .update_expression("REMOVE #c.#p")
            .condition_expression("attribute_exists(#c)")
            .expression_attribute_names("#p", attr::PENDING);
        self.update_beside_transactions(listed).await?;
        let own = self
            .update_own(socket)
            .update_expression("REMOVE #p")
            .condition_expression(key::EXISTS)
            .expression_attribute_names("#p", attr::PENDING);
        conditional(own.send().await)?;
        Ok(())
    }

    /// Notes that an announcement to a socket is ordered, unless a later one is. Does nothing if the
    /// socket was removed meanwhile.
    ///
    /// One UpdateItem for each item: 1 write unit for each KB of the user's item, and 1. They may be
    /// repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn mark_behind(&self, socket: &Socket, behind: Behind, items: MarkedItems) -> Result<()> {
        let update = self
            .update_listed(socket)
            .update_expression("SET #c.#b = :b, #c.#f = :f")
            .condition_expression("attribute_exists(#c) AND (attribute_not_exists(#c.#b) OR #c.#b < :b)");
        self.update_beside_transactions(behind.set(update)).await?;
        if items == MarkedItems::Both {
            let update = self
                .update_own(socket)
                .update_expression("SET #b = :b, #f = :f")
                .condition_expression("attribute_exists(pk) AND (attribute_not_exists(#b) OR #b < :b)");
            conditional(behind.set(update).send().await)?;
        }
        Ok(())
    }

    /// Notes that a socket takes frames again, unless another announcement is ordered than the one
    /// that was seen.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn unmark_behind(&self, socket: &Socket, seen: Behind) -> Result<()> {
        let update = self
            .update_listed(socket)
            .update_expression("REMOVE #c.#b, #c.#f")
            .condition_expression("#c.#b = :b")
            .expression_attribute_names("#b", attr::BEHIND_MS)
            .expression_attribute_names("#f", attr::FAILURES)
            .expression_attribute_values(":b", n(seen.until_ms));
        self.update_beside_transactions(update).await?;
        Ok(())
    }

    /// Begins an UpdateItem of the user's item that changes the map of a socket, `#c`.
    fn update_listed(&self, socket: &Socket) -> UpdateItemFluentBuilder {
        self.update_live(&socket.user).expression_attribute_names("#c", socket_name(&socket.connection))
    }

    /// Begins an UpdateItem of a socket's own item.
    fn update_own(&self, socket: &Socket) -> UpdateItemFluentBuilder {
        let update = self.dynamodb().update_item().table_name(self.table());
        update.set_key(Some(key::socket(&socket.connection).item()))
    }
}

impl Socket {
    /// Returns the attributes of the socket's own item, but its key.
    pub(super) fn own_attributes(&self) -> Item {
        let mut item = self.common();
        item.insert(attr::USER.to_owned(), s(self.user.as_str()));
        item.insert(TTL_ATTRIBUTE.to_owned(), n(self.ends_s()));
        item
    }

    /// Returns the map by which the user's item lists the socket.
    pub(super) fn listed(&self) -> AttributeValue {
        AttributeValue::M(self.common())
    }

    fn common(&self) -> Item {
        let mut map = Item::from([
            (attr::DEVICE.to_owned(), s(self.device.as_str())),
            (attr::EXPIRES_S.to_owned(), n(self.expires_s)),
            (attr::OPENED_MS.to_owned(), n(self.opened_ms)),
            (attr::FAMILY.to_owned(), s(&self.family)),
        ]);
        if self.is_pending {
            map.insert(attr::PENDING.to_owned(), n(1));
        }
        map
    }

    fn from_own(connection: &ConnectionId, item: &Item) -> Result<Self> {
        let user = UserName::parse(item.need_s(attr::USER)?).map_err(corrupt)?;
        Self::from_map(connection.clone(), &user, item)
    }

    /// Reads a socket from the map by which the user's item lists it.
    pub(super) fn from_map(connection: ConnectionId, user: &UserName, map: &Item) -> Result<Self> {
        Ok(Self {
            connection,
            user: user.clone(),
            device: DeviceId::parse(map.need_s(attr::DEVICE)?).map_err(corrupt)?,
            expires_s: map.need_n(attr::EXPIRES_S)?,
            opened_ms: map.need_n(attr::OPENED_MS)?,
            family: map.need_s(attr::FAMILY)?.to_owned(),
            is_pending: map.get_n(attr::PENDING) == Some(1),
            behind: Behind::from_map(map)?,
        })
    }
}

impl Behind {
    /// Adds the names and values of a mark to an update: `#b`, `#f`, `:b`, `:f`.
    fn set(self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        update
            .expression_attribute_names("#b", attr::BEHIND_MS)
            .expression_attribute_names("#f", attr::FAILURES)
            .expression_attribute_values(":b", n(self.until_ms))
            .expression_attribute_values(":f", n(self.failures))
    }

    fn from_map(map: &Item) -> Result<Option<Self>> {
        let Some(until_ms) = map.get_n(attr::BEHIND_MS) else { return Ok(None) };
        let failures = u32::try_from(map.need_u(attr::FAILURES)?).map_err(corrupt)?;
        Ok(Some(Self { until_ms, failures }))
    }
}
