//! A user's device set: the active devices, which follow from the device chain, and the short form
//! in which messages and answers refer to it (`eko:deviceSet`; `docs/protocol.md`, section 3).
//!
//! ```text
//! {"length": <nodes in the chain, at least 1>, "head": <SHA-256 of the last node, 64 lower-case hex digits>}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::id::{DeviceId, is_lower_hex};
use crate::json::only_as_object;
use crate::key::RegistrationId;

/// The wire form of a device set, `eko:deviceSet`. Two parties who hold the same reference hold the
/// same chain, and so the same devices.
///
/// ```
/// use eko_protocol::device_set::DeviceSetRef;
/// use eko_protocol::json::shape;
/// use serde_json::json;
///
/// let value = json!({"length": 2, "head": "ab".repeat(32)});
/// assert_eq!(shape::<DeviceSetRef>(&value)?.length, 2);
///
/// let upper_case = json!({"length": 2, "head": "AB".repeat(32)});
/// assert!(shape::<DeviceSetRef>(&upper_case).is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WireDeviceSet")]
pub struct DeviceSetRef {
    /// The number of nodes in the chain, at least 1.
    pub length: u64,
    /// The SHA-256 of the last node's canonical JSON, as 64 lower-case hex digits.
    pub head: String,
}

/// The members of a [`DeviceSetRef`] before they are checked.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self")]
struct WireDeviceSet {
    length: u64,
    head: String,
}

only_as_object!(WireDeviceSet);

impl TryFrom<WireDeviceSet> for DeviceSetRef {
    type Error = Invalid;

    fn try_from(wire: WireDeviceSet) -> Result<Self, Invalid> {
        Self::new(wire.length, wire.head)
    }
}

impl DeviceSetRef {
    /// Creates a reference from its parts.
    ///
    /// # Errors
    /// [`Invalid`] if the length is 0, or if the head is not 64 lower-case hex digits.
    pub fn new(length: u64, head: String) -> Result<Self, Invalid> {
        if length == 0 {
            return Err(Invalid::at("/length", "must be at least 1"));
        }
        if !is_hash(&head) {
            return Err(Invalid::at("/head", "must be 64 lower-case hex digits"));
        }
        Ok(Self { length, head })
    }
}

/// True if a text is a SHA-256 in lower-case hex.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_lower_hex)
}

/// The device set of one user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceSet {
    /// The number of nodes in the chain; 0 before the first device.
    pub length: u64,
    /// The SHA-256 of the last node's canonical JSON, in lower-case hex; `None` before the first
    /// device.
    pub head: Option<String>,
    /// The active devices, at most [`crate::limits::MAX_ACTIVE_DEVICES`].
    pub active: BTreeMap<DeviceId, RegistrationId>,
}

impl DeviceSet {
    /// Returns the wire form, or `None` before the first device.
    pub fn reference(&self) -> Option<DeviceSetRef> {
        self.head.clone().map(|head| DeviceSetRef { length: self.length, head })
    }

    /// Returns the ids of the active devices, for [`crate::coverage::check`].
    pub fn active_ids(&self) -> BTreeSet<DeviceId> {
        self.active.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::shape;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn other_shapes_are_refused() {
        let head = "ab".repeat(32);
        assert!(shape::<DeviceSetRef>(&json!({"length": 1, "head": head, "more": true})).is_ok());
        for value in [
            json!({"length": 0, "head": head}),
            json!({"length": -1, "head": head}),
            json!({"length": 1}),
            json!({"length": 1, "head": null}),
            json!({"length": 1, "head": head.to_uppercase()}),
            json!({"length": 1, "head": "ab"}),
            json!([1, head]),
            json!(null),
            json!({"length": 1.5, "head": head}),
        ] {
            assert!(shape::<DeviceSetRef>(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn no_chain_has_no_reference() {
        assert_eq!(DeviceSet::default().reference(), None);
    }

    proptest! {
        #[test]
        fn round_trip(length in 1u64.., head in "[0-9a-f]{64}") {
            let set = DeviceSetRef::new(length, head).unwrap();
            prop_assert_eq!(shape::<DeviceSetRef>(&serde_json::to_value(&set).unwrap()), Ok(set));
        }
    }
}
