//! Building and reading the attributes of DynamoDB items.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_protocol::id::DeviceId;
use sha2::{Digest, Sha256};

use crate::{Result, StoreError};

/// A DynamoDB item: attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// Returns the hash by which counters and lists name a party: the first 16 bytes of the text's
/// SHA-256, in base64url without padding.
///
/// Whoever chooses a name could otherwise search for one that has the hash of somebody else, and
/// use up what belongs to that party.
pub(crate) fn short_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(short_digest(text))
}

/// Returns the bytes of [`short_hash`].
pub(crate) fn short_digest(text: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Builds a string attribute (DynamoDB's type `S`).
pub(crate) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Builds a number attribute (DynamoDB's type `N`).
pub(crate) fn n(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// Builds a binary attribute (DynamoDB's type `B`).
pub(crate) fn b(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value.into()))
}

/// Builds a string set attribute (DynamoDB's type `SS`). DynamoDB refuses an empty set, so `values`
/// must have at least one element.
pub(crate) fn ss<T: ToString>(values: impl IntoIterator<Item = T>) -> AttributeValue {
    AttributeValue::Ss(values.into_iter().map(|v| v.to_string()).collect())
}

/// Builds a binary set attribute (DynamoDB's type `BS`). DynamoDB refuses an empty set, so `values`
/// must have at least one element.
pub(crate) fn bs(values: impl IntoIterator<Item = Vec<u8>>) -> AttributeValue {
    AttributeValue::Bs(values.into_iter().map(Blob::new).collect())
}

/// Reads a binary set of short digests. A missing attribute is the empty set, which DynamoDB cannot
/// store.
pub(crate) fn digests(item: &Item, name: &str) -> Result<BTreeSet<[u8; 16]>> {
    let Some(stored) = item.get(name) else { return Ok(BTreeSet::new()) };
    let stored = stored.as_bs().map_err(|_| missing(name))?;
    stored.iter().map(|digest| <[u8; 16]>::try_from(digest.as_ref()).map_err(corrupt)).collect()
}

/// Typed reads of an item's attributes.
///
/// `get_` returns `None` for an attribute that is missing or of another type; `need_` returns
/// [`StoreError::Corrupt`] for it.
pub(crate) trait ReadItem {
    /// Returns a string.
    fn get_s(&self, name: &str) -> Option<&str>;
    /// Returns a number.
    fn get_n(&self, name: &str) -> Option<i64>;
    /// Returns binary data.
    fn get_b(&self, name: &str) -> Option<&[u8]>;
    /// Returns a string set. A missing attribute is the empty set, which DynamoDB cannot store.
    fn get_ss(&self, name: &str) -> BTreeSet<String>;

    /// Returns a string that the item must have.
    fn need_s(&self, name: &str) -> Result<&str> {
        self.get_s(name).ok_or_else(|| missing(name))
    }
    /// Returns a number that the item must have.
    fn need_n(&self, name: &str) -> Result<i64> {
        self.get_n(name).ok_or_else(|| missing(name))
    }
    /// Returns a number that the item must have and that is not negative.
    fn need_u(&self, name: &str) -> Result<u64> {
        u64::try_from(self.need_n(name)?).map_err(|_| StoreError::Corrupt(format!("{name} is negative")))
    }
    /// Returns binary data that the item must have.
    fn need_b(&self, name: &str) -> Result<&[u8]> {
        self.get_b(name).ok_or_else(|| missing(name))
    }
    /// Returns a string set as device ids. A missing attribute is the empty set.
    fn device_ids(&self, name: &str) -> Result<BTreeSet<DeviceId>> {
        self.get_ss(name).iter().map(|id| DeviceId::parse(id).map_err(corrupt)).collect()
    }
}

/// Builds the error for an attribute that is missing or of another type.
pub(crate) fn missing(name: &str) -> StoreError {
    StoreError::Corrupt(format!("attribute {name} is missing or of another type"))
}

/// Turns an error of reading stored data into [`StoreError::Corrupt`].
pub(crate) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

impl ReadItem for Item {
    fn get_s(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_s().ok().map(String::as_str)
    }
    fn get_n(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_n().ok()?.parse().ok()
    }
    fn get_b(&self, name: &str) -> Option<&[u8]> {
        self.get(name)?.as_b().ok().map(AsRef::as_ref)
    }
    fn get_ss(&self, name: &str) -> BTreeSet<String> {
        self.get(name).and_then(|v| v.as_ss().ok()).into_iter().flatten().cloned().collect()
    }
}

/// Adding attributes to an item.
pub(crate) trait WriteItem {
    /// Sets an attribute.
    fn set(&mut self, name: &str, value: AttributeValue);
}

impl WriteItem for Item {
    fn set(&mut self, name: &str, value: AttributeValue) {
        self.insert(name.to_owned(), value);
    }
}
