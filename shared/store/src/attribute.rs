//! Reading and writing DynamoDB attributes by their short names.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::StoreError;

/// A DynamoDB item.
pub type Item = HashMap<String, AttributeValue>;

/// A string attribute.
pub(crate) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn n(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// A binary attribute.
pub(crate) fn b(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value.into()))
}

/// A string set attribute. DynamoDB knows no empty set: the caller has at least one.
pub(crate) fn ss<T: ToString>(values: impl IntoIterator<Item = T>) -> AttributeValue {
    AttributeValue::Ss(values.into_iter().map(|v| v.to_string()).collect())
}

/// Typed reads; a missing attribute is `None`, one of another type is [`StoreError::Corrupt`] where it is
/// needed.
pub(crate) trait ReadItem {
    fn get_s(&self, name: &str) -> Option<&str>;
    fn get_n(&self, name: &str) -> Option<i64>;
    fn get_b(&self, name: &str) -> Option<&[u8]>;
    fn get_ss(&self, name: &str) -> BTreeSet<String>;
    fn need_s(&self, name: &str) -> Result<&str, StoreError> {
        self.get_s(name).ok_or_else(|| missing(name))
    }
    fn need_n(&self, name: &str) -> Result<i64, StoreError> {
        self.get_n(name).ok_or_else(|| missing(name))
    }
    fn need_b(&self, name: &str) -> Result<&[u8], StoreError> {
        self.get_b(name).ok_or_else(|| missing(name))
    }
}

pub(crate) fn missing(name: &str) -> StoreError {
    StoreError::Corrupt(format!("attribute {name} is missing or of another type"))
}

/// Maps the protocol's own parse failures of stored text to [`StoreError::Corrupt`].
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
