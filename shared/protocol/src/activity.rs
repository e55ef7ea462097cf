//! The bodies that clients and servers exchange about envelopes and devices (`docs/protocol.md`,
//! sections 3, 5 and 6).
//!
//! | Body | Function or type | Section |
//! |---|---|---|
//! | the answer to a client's `Create` | [`create_accepted`] | 5 |
//! | reports: `Delivered`, `PartialDelivery`, `Reject`, `Confirm` | [`Report`] | 5, 6 |
//! | a device's acknowledgement, `Delivered` | [`DeliveredActivity`] | 6 |
//! | a mailbox entry's own members | [`queued`] | 6 |
//! | pending devices and the `Offer` of one | [`pending_device`], [`device_offered`] | 3 |

mod create;
mod delivered;
mod pending;
mod report;

use serde_json::{Map, Value, json};

use crate::device_set::DeviceSetRef;

pub use create::{DeliveryProgress, create_accepted};
pub use delivered::DeliveredActivity;
pub use pending::{PendingRegistration, device_offered, pending_device};
pub use report::{Report, ReportKind};

/// Returns the `type` of an activity that this protocol defines: `["Activity", name]`, so that a
/// server that does not know the name reads an activity.
pub fn activity_type(name: &str) -> Value {
    json!(["Activity", name])
}

/// Adds a mailbox entry's own members to its activity: `eko:received`, the time of acceptance
/// (given in epoch milliseconds), and `eko:entry`, the address with which the device acknowledges
/// the entry.
pub fn queued(mut activity: Value, received_ms: i64, entry: &str) -> Value {
    if let Some(members) = activity.as_object_mut() {
        members.insert("eko:received".to_owned(), json!(crate::timestamp::format(received_ms)));
        members.insert("eko:entry".to_owned(), json!(entry));
    }
    activity
}

/// Inserts `eko:deviceSet` if there is a device set.
pub(crate) fn put_device_set(object: &mut Map<String, Value>, set: Option<&DeviceSetRef>) {
    if let Some(set) = set {
        object.insert("eko:deviceSet".to_owned(), json!({"length": set.length, "head": set.head}));
    }
}
