//! The primary keys of the table: partition key `pk` and sort key `sk` of every kind of item.
//!
//! | `pk` | `sk` | Item | Module |
//! |---|---|---|---|
//! | `U#{user}` | `PROFILE` | the account: issuer, subject, time of creation | [`crate::accounts`] |
//! | `U#{user}` | `DEVICES` | the device set, the pending devices, the marks of full mailboxes, the digests of blocks; or the tombstone of a deleted account | [`crate::devices`] |
//! | `U#{user}` | `CHAIN#{seq}` | one node of the device chain | [`crate::chain`] |
//! | `U#{user}` | `A#{hash}` | an actor whom the user knows, or a stranger's requests | [`crate::known`] |
//! | `U#{user}` | `B#{hash}` | a block: whom it is about, and since when | [`crate::blocks`] |
//! | `U#{user}` | `E#{hash}` | an accepted envelope: its devices and its receipt | [`crate::envelopes`] |
//! | `U#{user}` | `X#{hash}` | an envelope that was sent to another server | [`crate::sent`] |
//! | `U#{user}` | `LIVE` | the open sockets of the user's devices, and the state of their pushes | [`crate::live`] |
//! | `C#{user}` | `{device}` | a device that the user has or had, whatever its status | [`crate::accounts`] |
//! | `D#{user}#{device}` | `DEVICE` | the device record: status, pools, counters of takes | [`crate::device`] |
//! | `D#{user}#{device}` | `M#{entry}` | an entry of the device's mailbox | [`crate::mailbox`] |
//! | `D#{user}#{device}` | `OPK#{block}` | a block of one-time prekeys | [`crate::one_time_keys`] |
//! | `D#{user}#{device}` | `PQK#{block}` | a block of one-time Kyber prekeys | [`crate::one_time_keys`] |
//! | `D#{user}#{device}` | `PREKEYS` | the device's lasting keys | [`crate::device_keys`] |
//! | `D#{user}#{device}` | `PUSH` | the device's push subscription | [`crate::push`] |
//! | `D#{user}#{device}` | `S#{sha256}` | a refresh token | [`crate::sessions`] |
//! | `G#{user}` | `{id}` | a sealed group state | [`crate::group_states`] |
//! | `Q#{date}` | `{digest}` | a reported message | [`crate::flags`] |
//! | `R#{actor id}` | `ACTOR` | an actor of another server, as looked up | [`crate::remote`] |
//! | `R#acct:{handle}` | `ACTOR` | the actor id of a handle, as looked up | [`crate::remote`] |
//! | `H#{authority}` | `HOST` | the circuit breaker of another server | [`crate::hosts`] |
//! | `H#{authority}` | `P#{message}` | a parcel that waits for another server | [`crate::waiting`] |
//! | `I#{authority}` | `HOST` | another server, as unverified requests name it | [`crate::inbound`] |
//! | `W#{group}` | `WAIT` | the waits for servers of a group | [`crate::inbound`] |
//! | `W#{group}` | `FETCH#{window}` | the planned fetches of actors of a group | [`crate::inbound`] |
//! | `F#{uuid}` | `{part}` | a part of an activity too long for the queue `federation` | [`crate::parcels`] |
//! | `S#{sha256}` | `SESSION` | a refresh token of the earlier form, which ends after 60 days | [`crate::sessions`] |
//! | `K#{connection}` | `SOCKET` | an open socket | [`crate::live`] |
//! | `O#{issuer}#{subject}` | `SUBJECT` | the user name of an OIDC subject | [`crate::accounts`] |
//! | `N#server` | `STATISTICS` | the approximate number of users | [`crate::accounts`] |
//! | `L#{recipient}` | `{window}` | the rate budgets of a recipient in one minute | [`crate::budget`] |
//! | `L#{user}` | `REPORTS#{window}` | the rate budget of reports to a user in one minute | [`crate::budget`] |
//! | `L#{user}` | `ACCOUNT#{window}` | the rate budget of an account in one minute | [`crate::budget`] |
//! | `L#{user}` | `WAITING#{device}#{window}` | the sockets that a device opens in one minute while it waits for approval | [`crate::budget`] |
//! | `L#{user}` | `REQUESTS#{day}#{hash}` | the requests of the strangers of one other site, or of one stranger here, in one day | [`crate::known`] |
//! | `L#{hash or site}` | `FLAGS#{day}` | the reported messages of one reporter, by the short hash of the actor id, or of one other site, in one day | [`crate::flags`] |
//! | `L#{site}` | `FLAGGED#{window}#{hash}` | the rate budget of the abuse reports of one other site about a user, by the short hash of the name, in one minute | [`crate::budget`] |
//! | `L#{user}` | `EXPORTS#{day}` | the pages of exports in one day | [`crate::export`] |
//! | `L#{user}` | `PARCELS` | the parcels of an account that wait for other servers | [`crate::outstanding`] |
//! | `L#{user}` | `ACCOUNT-RECEIPTS` | the receipts of an account that wait for other servers | [`crate::outstanding`] |
//! | `L#{user}` | `GROUPS` | the number of a user's group states | [`crate::group_states`] |
//! | `L#{authority}` | `RECEIPTS` | the receipts that wait for another server | [`crate::outstanding`] |
//!
//! `{seq}` has ten decimal digits, `{block}` eight and `{part}` two, so that the text sorts by
//! number. `{hash}` is [`eko_protocol::id::envelope_key`], and of a block, an actor or a site the
//! short hash of its name; `{entry}` is an [`EntryKey`]; `{window}`
//! is the number of minutes, or of other windows, since the epoch.
//!
//! No item of a device may sort between `DEVICE` and `M#`: [`Store::fetch`](crate::Store::fetch)
//! reads that range with one Query. For the same reason no item of a user may sort between the chain
//! and `DEVICES`: [`Store::chain`](crate::Store::chain) reads both.

use eko_protocol::address::UserName;
use eko_protocol::id::{EntryKey, GroupStateId};

use crate::attribute::{Item, ReadItem, s};
use crate::device::DeviceAddress;
use crate::inbound::ServerGroup;
use crate::live::ConnectionId;
use crate::resources::{PARTITION_KEY, SORT_KEY};

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl ItemKey {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// Returns the key as attributes: a whole key for a request, or the beginning of a new item.
    pub fn item(&self) -> Item {
        Item::from([(PARTITION_KEY.to_owned(), s(&self.pk)), (SORT_KEY.to_owned(), s(&self.sk))])
    }

    /// Returns the item that has this key, if it is among `items`.
    pub(crate) fn find_in<'a>(&self, items: &'a [Item]) -> Option<&'a Item> {
        items.iter().find(|item| self.is_of(item))
    }

    /// True if this is the key of `item`.
    pub(crate) fn is_of(&self, item: &Item) -> bool {
        item.get_s(PARTITION_KEY) == Some(self.pk.as_str()) && item.get_s(SORT_KEY) == Some(self.sk.as_str())
    }
}

/// The condition that the item exists.
pub(crate) const EXISTS: &str = "attribute_exists(pk)";
/// The condition that the item does not exist.
pub(crate) const IS_NEW: &str = "attribute_not_exists(pk)";
/// A condition that never holds, whatever is stored.
pub(crate) const NEVER: &str = "attribute_exists(pk) AND attribute_not_exists(pk)";

/// The sort key of a device record.
pub(crate) const DEVICE: &str = "DEVICE";
/// The beginning of the sort keys of mailbox entries.
pub(crate) const ENTRY_PREFIX: &str = "M#";
/// A sort key behind every mailbox entry.
pub(crate) const ENTRY_END: &str = "M$";
/// The beginning of the sort keys of chain nodes.
pub(crate) const CHAIN_PREFIX: &str = "CHAIN#";
/// The sort key of a device set. It sorts right after the chain.
pub(crate) const DEVICES: &str = "DEVICES";

/// The beginning of the sort keys of blocks.
pub(crate) const BLOCK_PREFIX: &str = "B#";

/// Returns the partition key of a user's items.
pub(crate) fn user_partition(user: &UserName) -> String {
    format!("U#{user}")
}

/// Returns the partition key of a device's items.
pub(crate) fn device_partition(address: DeviceAddress<'_>) -> String {
    format!("D#{}#{}", address.user, address.device)
}

/// Returns the key of a user's account.
pub(crate) fn profile(user: &UserName) -> ItemKey {
    ItemKey::new(user_partition(user), "PROFILE")
}

/// Returns the key of a user's device set.
pub(crate) fn devices(user: &UserName) -> ItemKey {
    ItemKey::new(user_partition(user), DEVICES)
}

/// Returns the key of the sockets and pushes of a user's devices.
pub(crate) fn live(user: &UserName) -> ItemKey {
    ItemKey::new(user_partition(user), "LIVE")
}

/// Returns the key of a device's push subscription.
pub(crate) fn push(address: DeviceAddress<'_>) -> ItemKey {
    ItemKey::new(device_partition(address), "PUSH")
}

/// Returns the key of an open socket.
pub(crate) fn socket(connection: &ConnectionId) -> ItemKey {
    ItemKey::new(format!("K#{connection}"), "SOCKET")
}

/// Returns the key of one node of a user's device chain.
pub(crate) fn chain_node(user: &UserName, seq: u64) -> ItemKey {
    ItemKey::new(user_partition(user), format!("{CHAIN_PREFIX}{seq:010}"))
}

/// Returns the partition key of the list of the devices that a user has or had.
pub(crate) fn owned_partition(user: &UserName) -> String {
    format!("C#{user}")
}

/// Returns the key that lists a device among those which its user has or had.
pub(crate) fn owned(address: DeviceAddress<'_>) -> ItemKey {
    ItemKey::new(owned_partition(address.user), address.device.as_str())
}

/// Returns the key of what `user` has to do with an actor.
pub(crate) fn acquaintance(user: &UserName, hash: &str) -> ItemKey {
    ItemKey::new(user_partition(user), format!("A#{hash}"))
}

/// Returns the partition key of a user's counters and lists.
pub(crate) fn counters_partition(user: &UserName) -> String {
    format!("L#{user}")
}

/// Returns the key of the requests to `user` of the strangers who are counted together, by the short hash
/// of their site, in one day, counted from the epoch.
pub(crate) fn requests(user: &UserName, day: i64, hash: &str) -> ItemKey {
    ItemKey::new(counters_partition(user), format!("REQUESTS#{day}#{hash}"))
}

/// Returns the key of a reported message; `date` is the day of the report, `2026-01-29`.
pub(crate) fn flag(date: &str, digest: &str) -> ItemKey {
    ItemKey::new(format!("Q#{date}"), digest)
}

/// Returns the key of the number of messages that an actor, by its short hash, or the actors of a site
/// have reported in one day, counted from the epoch.
pub(crate) fn flags_of(subject: &str, day: i64) -> ItemKey {
    ItemKey::new(reports_partition(subject), format!("FLAGS#{day}"))
}

/// Returns the partition key of the numbers of messages that an actor, by its short hash, or the actors of
/// a site have reported.
pub(crate) fn reports_partition(subject: &str) -> String {
    format!("L#{subject}")
}

/// Returns the key of the pages of a user's exports in one day, counted from the epoch.
pub(crate) fn exports(user: &UserName, day: i64) -> ItemKey {
    ItemKey::new(counters_partition(user), format!("EXPORTS#{day}"))
}

/// Returns the key of a block of `user`.
pub(crate) fn block(user: &UserName, hash: &str) -> ItemKey {
    ItemKey::new(user_partition(user), format!("{BLOCK_PREFIX}{hash}"))
}

/// Returns the key of an accepted envelope; `user` is the recipient.
pub(crate) fn envelope(user: &UserName, hash: &str) -> ItemKey {
    ItemKey::new(user_partition(user), format!("E#{hash}"))
}

/// Returns the key of an envelope that was sent to another server; `user` is the author.
pub(crate) fn sent(user: &UserName, hash: &str) -> ItemKey {
    ItemKey::new(user_partition(user), format!("X#{hash}"))
}

/// Returns the key of what was looked up of `id`, an actor id or a handle `acct:…`.
pub(crate) fn remote(id: &str) -> ItemKey {
    ItemKey::new(format!("R#{id}"), "ACTOR")
}

/// Returns the key of another server's record.
pub(crate) fn host(authority: &str) -> ItemKey {
    ItemKey::new(host_partition(authority), "HOST")
}

/// The beginning of the sort keys of parcels that wait for a server.
pub(crate) const WAITING_PREFIX: &str = "P#";

/// Returns the key of a parcel that waits for another server.
pub(crate) fn waiting(authority: &str, message: &str) -> ItemKey {
    ItemKey::new(host_partition(authority), format!("{WAITING_PREFIX}{message}"))
}

/// Returns the partition key of what is kept of another server.
pub(crate) fn host_partition(authority: &str) -> String {
    format!("H#{authority}")
}

/// Returns the key of another server's record for unverified requests.
pub(crate) fn inbound_host(authority: &str) -> ItemKey {
    ItemKey::new(format!("I#{authority}"), "HOST")
}

/// Returns the key of the places in which requests wait for a group of servers.
pub(crate) fn inbound_waits(group: ServerGroup) -> ItemKey {
    ItemKey::new(format!("W#{}", group.name()), "WAIT")
}

/// Returns the key of the planned fetches of a group of servers in one window.
pub(crate) fn inbound_fetches(group: ServerGroup, window: i64) -> ItemKey {
    ItemKey::new(format!("W#{}", group.name()), format!("FETCH#{window}"))
}

/// Returns the partition key of the parts of a stored activity.
pub(crate) fn body_partition(id: &str) -> String {
    format!("F#{id}")
}

/// Returns the key of one part of a stored activity.
pub(crate) fn body_part(id: &str, part: usize) -> ItemKey {
    ItemKey::new(body_partition(id), format!("{part:02}"))
}

/// Returns the key of a device record.
pub(crate) fn device(address: DeviceAddress<'_>) -> ItemKey {
    ItemKey::new(device_partition(address), DEVICE)
}

/// Returns the key of a device's lasting keys.
pub(crate) fn prekeys(address: DeviceAddress<'_>) -> ItemKey {
    ItemKey::new(device_partition(address), "PREKEYS")
}

/// Returns the key of a mailbox entry.
pub(crate) fn entry(address: DeviceAddress<'_>, entry: &EntryKey) -> ItemKey {
    ItemKey::new(device_partition(address), format!("{ENTRY_PREFIX}{}", entry.as_str()))
}

/// Returns the key of a block of one-time keys; `prefix` tells the kind of the keys.
pub(crate) fn one_time_block(address: DeviceAddress<'_>, prefix: &str, block: u64) -> ItemKey {
    ItemKey::new(device_partition(address), format!("{prefix}{block:08}"))
}

/// Returns the partition key of a user's group states.
pub(crate) fn group_state_partition(user: &UserName) -> String {
    format!("G#{user}")
}

/// Returns the key of one of a user's group states.
pub(crate) fn group_state(user: &UserName, id: &GroupStateId) -> ItemKey {
    ItemKey::new(group_state_partition(user), id.as_str())
}

/// Returns the key of the number of a user's group states.
pub(crate) fn group_state_count(user: &UserName) -> ItemKey {
    ItemKey::new(counters_partition(user), "GROUPS")
}

/// Returns the key of a device's refresh token by its hash.
pub(crate) fn session(address: DeviceAddress<'_>, token_hash: &str) -> ItemKey {
    ItemKey::new(device_partition(address), format!("S#{token_hash}"))
}

/// Returns the key of a refresh token of the earlier form by its hash.
pub(crate) fn former_session(token_hash: &str) -> ItemKey {
    ItemKey::new(format!("S#{token_hash}"), "SESSION")
}

/// Returns the key of an OIDC subject.
pub(crate) fn subject(issuer: &str, subject: &str) -> ItemKey {
    ItemKey::new(format!("O#{issuer}#{subject}"), "SUBJECT")
}

/// Returns the key of the server's statistics.
pub(crate) fn statistics() -> ItemKey {
    ItemKey::new("N#server", "STATISTICS")
}

/// Returns the key of an account's rate budget in one window.
pub(crate) fn account_rate(user: &UserName, window: u64) -> ItemKey {
    ItemKey::new(counters_partition(user), format!("ACCOUNT#{window}"))
}

/// Returns the key of the rate budget of a device that waits for approval in one window.
pub(crate) fn waiting_rate(device: DeviceAddress<'_>, window: u64) -> ItemKey {
    ItemKey::new(counters_partition(device.user), format!("WAITING#{}#{window}", device.device))
}

/// Returns the key of the rate budget of reports to a user in one window.
pub(crate) fn report_rate(user: &UserName, window: u64) -> ItemKey {
    ItemKey::new(counters_partition(user), format!("REPORTS#{window}"))
}

/// Returns the key of the rate budget of the abuse reports that a site passes on in one window, about the
/// user with this short hash. An export of the user does not read it.
pub(crate) fn flag_rate(site: &str, window: u64, user: &str) -> ItemKey {
    ItemKey::new(reports_partition(site), format!("FLAGGED#{window}#{user}"))
}

/// Returns the key of the count of an account's parcels.
pub(crate) fn parcels(user: &UserName) -> ItemKey {
    ItemKey::new(counters_partition(user), "PARCELS")
}

/// Returns the key of the list of the receipts for another site.
pub(crate) fn receipts(site: &str) -> ItemKey {
    ItemKey::new(format!("L#{site}"), "RECEIPTS")
}

/// Returns the key of the list of an account's receipts.
pub(crate) fn account_receipts(user: &UserName) -> ItemKey {
    ItemKey::new(counters_partition(user), "ACCOUNT-RECEIPTS")
}

/// Returns the key of a recipient's rate budgets in one window.
pub(crate) fn rate(subject: &str, window: u64) -> ItemKey {
    ItemKey::new(format!("L#{subject}"), window.to_string())
}
