//! Live delivery: the open sockets of a user's devices, and the state of their pushes.
//!
//! Every delivery reads one item of each recipient, strongly consistent, after it has written the
//! entries. A device connects first and fetches afterwards: an entry that its fetch did not find
//! was written later, and whoever wrote it saw the socket.
//!
//! # Item `U#{user}` / `LIVE`
//!
//! The attributes are flat, so that each write is one UpdateItem whether or not there is an item.
//!
//! | Attribute | Type | Meaning |
//! |---|---|---|
//! | `C{connection id}` | M | an open socket: the map of the next table |
//! | `P{device}` | S | the state of the pushes to a device that has a subscription: `CODE TIME`, or `CODE TIME ORDER` ([`PushState`]) |
//! | `A{device}` | S | the key up to which the entries of that device have led to a push; missing before the first push |
//!
//! | In `C…` | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `d` | S | | the device |
//! | `e` | N | epoch s | the time at which the access token expires |
//! | `o` | N | epoch ms | the time of opening |
//! | `g` | S | | the family of refresh tokens that the device had then ([`crate::sessions`]) |
//! | `p` | N | | 1 if the device waits for approval; missing otherwise |
//! | `b` | N | epoch ms | the time of the announcement that is ordered, because a frame could not be posted |
//! | `f` | N | frames | the failures in a row until then; present with `b` |
//!
//! | In `P…` | Unit | Meaning |
//! |---|---|---|
//! | CODE | | `I` idle, `W` watched, `C` checked, `S` sent |
//! | TIME | epoch ms | the time since which the device is idle, of the check (`W`, `C`), or of the push |
//! | ORDER | | the id of the message of the queue `pushes` that sends the push; `S` only |
//!
//! The state is one text, because conditions compare it as a whole. Some engines take all maps for
//! equal.
//!
//! # Item `K#{connection id}` / `SOCKET`
//!
//! What a frame needs to know of its socket. A frame makes one UpdateItem on it.
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `u` | S | | the user |
//! | `d`, `e`, `o`, `g`, `p` | | | as above |
//! | `n` | N | frames | the frames that the device has sent |
//! | `q` | N | frames | those of them that were `Fetch` |
//! | `b`, `f` | | | as above, for an answer that could not be posted |
//! | `ttl` | N | epoch s | the time after which there is no such connection: [`SOCKET_SECONDS`] after `o` |

pub(crate) mod item;
mod order;
mod socket;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use serde::{Deserialize, Serialize};

pub use order::LiveOrder;
pub use socket::{Behind, ConnectionId, MarkedItems, Socket, UsedSocket};

use crate::condition::ConditionalWrite;
use crate::device::{DeviceAddress, DeviceRecord};
use crate::error::call;
use crate::items::BATCH_WRITES;
use crate::{Result, Store, key};
use item::{push_name, socket_name};

/// The time after which no connection is open any more, in seconds. API Gateway ends each after two
/// hours.
pub const SOCKET_SECONDS: i64 = 7_800;

/// The sockets of a user's devices, and the state of their pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The open sockets, oldest first. Their connections may be gone.
    pub sockets: Vec<Socket>,
    /// The state of the pushes, of each device that has a subscription.
    pub pushes: BTreeMap<DeviceId, PushState>,
    /// The key up to which entries have led to a push, of each device that was woken.
    pub pushed_for: BTreeMap<DeviceId, EntryKey>,
}

impl Live {
    /// Returns the sockets of one device, oldest first.
    pub fn sockets_of<'a>(&'a self, device: &'a DeviceId) -> impl Iterator<Item = &'a Socket> {
        self.sockets.iter().filter(move |socket| socket.device == *device)
    }
}

/// The state of the pushes to one device. Each change makes a value that was never there before, so
/// that a state that is still there says that nothing has happened. Items and queue messages have its
/// text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PushState {
    /// No push is under way, and nothing is watched.
    Idle {
        /// The time of the subscription, of the fetch that ended the last push, or at which that was
        /// given up, in epoch milliseconds.
        since_ms: i64,
    },
    /// A socket took an entry. Whether the device has acknowledged it is checked later.
    Watched {
        /// The time of the check, in epoch milliseconds.
        check_ms: i64,
    },
    /// The check has begun. It sees every entry that was in the mailbox before this state, so that
    /// an entry that comes later is treated as if the device were idle.
    Checked {
        /// The time of the check, in epoch milliseconds.
        check_ms: i64,
    },
    /// A push is sent, and the device has not been seen since.
    Sent {
        /// The time at which that began, in epoch milliseconds.
        sent_ms: i64,
        /// The id of the queue message whose order sends it.
        order: String,
    },
}

impl Store {
    /// Reads the sockets and pushes of users, strongly consistent. Users who have neither are left
    /// out. No call without users.
    ///
    /// One BatchGetItem for up to 100 users: 1 read unit for each 4 KB of each item.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn live(&self, users: &[&UserName]) -> Result<BTreeMap<UserName, Live>> {
        let items = self.batch_get(users.iter().map(|user| key::live(user)).collect()).await?;
        let mut found = BTreeMap::new();
        for user in users {
            if let Some(item) = key::live(user).find_in(&items) {
                found.insert((*user).clone(), Live::from_item(user, item)?);
            }
        }
        Ok(found)
    }

    /// Reads the sockets of a device that were opened in another session than it has now, strongly
    /// consistent.
    ///
    /// One BatchGetItem of the user's item and the device's record: 1 read unit for each 4 KB of each.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn former_sockets(&self, device: DeviceAddress<'_>) -> Result<Vec<Socket>> {
        let (live, record) = (key::live(device.user), key::device(device));
        let items = self.batch_get(vec![live.clone(), record.clone()]).await?;
        let Some(live) = live.find_in(&items) else { return Ok(Vec::new()) };
        let record = record.find_in(&items).map(DeviceRecord::from_item).transpose()?;
        let family = record.and_then(|record| record.family);
        let mut sockets = Live::from_item(device.user, live)?.sockets;
        sockets.retain(|socket| socket.address() == device && Some(&socket.family) != family.as_ref());
        Ok(sockets)
    }

    /// Registers a socket whose connection is being established. Returns what its user has open
    /// then, this socket included.
    ///
    /// One PutItem and one UpdateItem, one after the other: the socket's own item, so that frames
    /// can be answered, and then the user's, from which on entries are posted to the socket. 1
    /// write unit, and 1 for each KB of the user's item. Both may be repeated.
    ///
    /// # Errors
    /// The table is out of reach, or the user's item is corrupt. The socket may be registered then;
    /// its connection is not established, so posts find it gone and remove it.
    pub async fn open_socket(&self, socket: &Socket) -> Result<Live> {
        let mut item = key::socket(&socket.connection).item();
        item.extend(socket.own_attributes());
        let put = self.dynamodb().put_item().table_name(self.table()).set_item(Some(item));
        put.send().await.map_err(call("PutItem"))?;
        let listed = self
            .update_live(&socket.user)
            .update_expression("SET #c = :c")
            .expression_attribute_names("#c", socket_name(&socket.connection))
            .expression_attribute_values(":c", socket.listed())
            .return_values(ReturnValue::AllNew);
        let item = match self.update_beside_transactions(listed).await? {
            ConditionalWrite::Done(output) => output.attributes,
            // There is no condition.
            ConditionalWrite::Refused { stored } => stored,
        };
        Live::from_item(&socket.user, &item.unwrap_or_default())
    }

    /// Removes sockets of a user: first from the user's item, so that nothing is posted to them any
    /// more, and then their own items. No call without sockets.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item; one BatchWriteItem for each 25:
    /// 1 write unit each. Both may be repeated; sockets that are not there are no error.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn remove_sockets(&self, user: &UserName, connections: &[ConnectionId]) -> Result<()> {
        if connections.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = (0..connections.len()).map(|index| format!("#c{index}")).collect();
        let mut update = self
            .update_live(user)
            .update_expression(format!("REMOVE {}", names.join(", ")))
            .condition_expression(key::EXISTS);
        for (name, connection) in names.iter().zip(connections) {
            update = update.expression_attribute_names(name, socket_name(connection));
        }
        self.update_beside_transactions(update).await?;
        for some in connections.chunks(BATCH_WRITES) {
            self.batch_delete(some.iter().map(|connection| key::socket(connection).item()).collect()).await?;
        }
        Ok(())
    }

    /// Changes the state of the pushes to a device from one value to another. Returns false if it
    /// has neither value: somebody else has changed it, or there is no subscription.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn change_push(
        &self,
        device: DeviceAddress<'_>,
        from: &PushState,
        to: &PushState,
    ) -> Result<bool> {
        let change = self
            .update_live(device.user)
            .update_expression("SET #p = :to")
            .condition_expression("#p = :from OR #p = :to")
            .expression_attribute_names("#p", push_name(device.device))
            .expression_attribute_values(":from", from.attribute())
            .expression_attribute_values(":to", to.attribute());
        Ok(self.update_beside_transactions(change).await?.is_done())
    }

    /// Begins an UpdateItem of a user's item `LIVE`. Send it by
    /// [`update_beside_transactions`](Self::update_beside_transactions).
    pub(crate) fn update_live(&self, user: &UserName) -> UpdateItemFluentBuilder {
        self.dynamodb().update_item().table_name(self.table()).set_key(Some(key::live(user).item()))
    }
}
