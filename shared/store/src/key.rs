//! Where things are in the table: partition and sort keys.
//!
//! | pk | sk | holds |
//! |---|---|---|
//! | `U#{name}` | `PROFILE` | issuer and subject of the account, when it was created |
//! | `U#{name}` | `DEVICES` | the device set: chain length and head, active devices, pending ones ([`crate::devices`]) |
//! | `U#{name}` | `CHAIN#{seq}` | one node of the device chain, canonical JSON ([`crate::chain`]) |
//! | `U#{name}` | `E#{hash}` | what was accepted of an envelope, and its receipt ([`crate::envelopes`]) |
//! | `D#{name}#{device}` | `DEVICE` | status, pool positions and take budget, session family: small, written often |
//! | `D#{name}#{device}` | `M#{entry}` | a mailbox entry, right behind `DEVICE` so that one Query reads both ([`crate::mailbox`]) |
//! | `D#{name}#{device}` | `OPK#{block}`, `PQK#{block}` | blocks of one-time prekeys ([`crate::one_time_keys`]) |
//! | `D#{name}#{device}` | `PREKEYS` | identity key, signed prekey, last-resort Kyber key ([`crate::device_keys`]) |
//! | `U#{name}` | `X#{hash}` | an envelope that was sent to another server, and what came back ([`crate::sent`]) |
//! | `R#{actor id or acct:}` | `ACTOR` | what another server said of an actor, or that it did not ([`crate::remote`]) |
//! | `H#{authority}` | `HOST` | how another server fares: failures, when to try again, its signatures ([`crate::hosts`]) |
//! | `F#{uuid}` | `{part}` | the body of an activity too long for the queue `federation` ([`crate::parcels`]) |
//! | `S#{sha256}` | `SESSION` | a refresh token ([`crate::sessions`]) |
//! | `O#{issuer}#{sub}` | `SUBJECT` | OIDC subject → user name |
//! | `N#server` | `STATISTICS` | how many users, about |
//! | `L#{subject}` | `{window}` | rate counters ([`crate::budget`]) |
//!
//! Between `DEVICE` and `M#` nothing else may sort: the fetch reads that range.

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::id::EntryKey;

use crate::attribute::{Item, s};
use crate::device::DeviceAddress;
use crate::resources::{PARTITION_KEY, SORT_KEY};

/// A primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl ItemKey {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key as attributes, the start of an item or the whole of a key.
    pub fn item(&self) -> Item {
        Item::from([self.pk_attribute(), self.sk_attribute()])
    }

    fn pk_attribute(&self) -> (String, AttributeValue) {
        (PARTITION_KEY.to_owned(), s(&self.pk))
    }

    fn sk_attribute(&self) -> (String, AttributeValue) {
        (SORT_KEY.to_owned(), s(&self.sk))
    }
}

pub(crate) const DEVICE: &str = "DEVICE";
pub(crate) const ENTRY_PREFIX: &str = "M#";
/// Sorts behind every mailbox entry.
pub(crate) const ENTRY_END: &str = "M$";
pub(crate) const CHAIN_PREFIX: &str = "CHAIN#";

pub(crate) fn user_partition(user: &UserName) -> String {
    format!("U#{user}")
}

pub(crate) fn device_partition(address: DeviceAddress<'_>) -> String {
    format!("D#{}#{}", address.user, address.device)
}

pub(crate) fn profile(user: &UserName) -> ItemKey {
    ItemKey::new(user_partition(user), "PROFILE")
}

pub(crate) fn devices(user: &UserName) -> ItemKey {
    ItemKey::new(user_partition(user), "DEVICES")
}

pub(crate) fn chain_node(user: &UserName, seq: u64) -> ItemKey {
    ItemKey::new(user_partition(user), format!("{CHAIN_PREFIX}{seq:010}"))
}

pub(crate) fn envelope(user: &UserName, hash: &str) -> ItemKey {
    ItemKey::new(user_partition(user), format!("E#{hash}"))
}

pub(crate) fn sent(user: &UserName, hash: &str) -> ItemKey {
    ItemKey::new(user_partition(user), format!("X#{hash}"))
}

pub(crate) fn remote(id: &str) -> ItemKey {
    ItemKey::new(format!("R#{id}"), "ACTOR")
}

pub(crate) fn host(authority: &str) -> ItemKey {
    ItemKey::new(format!("H#{authority}"), "HOST")
}

pub(crate) fn body_partition(id: &str) -> String {
    format!("F#{id}")
}

pub(crate) fn body_part(id: &str, part: usize) -> ItemKey {
    ItemKey::new(body_partition(id), format!("{part:02}"))
}

pub(crate) fn device(address: DeviceAddress<'_>) -> ItemKey {
    ItemKey::new(device_partition(address), DEVICE)
}

pub(crate) fn prekeys(address: DeviceAddress<'_>) -> ItemKey {
    ItemKey::new(device_partition(address), "PREKEYS")
}

pub(crate) fn entry(address: DeviceAddress<'_>, entry: &EntryKey) -> ItemKey {
    ItemKey::new(device_partition(address), format!("{ENTRY_PREFIX}{}", entry.as_str()))
}

pub(crate) fn one_time_block(address: DeviceAddress<'_>, prefix: &str, block: u64) -> ItemKey {
    ItemKey::new(device_partition(address), format!("{prefix}{block:08}"))
}

pub(crate) fn session(token_hash: &str) -> ItemKey {
    ItemKey::new(format!("S#{token_hash}"), "SESSION")
}

pub(crate) fn subject(issuer: &str, subject: &str) -> ItemKey {
    ItemKey::new(format!("O#{issuer}#{subject}"), "SUBJECT")
}

pub(crate) fn statistics() -> ItemKey {
    ItemKey::new("N#server", "STATISTICS")
}

pub(crate) fn rate(subject: &str, window: u64) -> ItemKey {
    ItemKey::new(format!("L#{subject}"), window.to_string())
}
