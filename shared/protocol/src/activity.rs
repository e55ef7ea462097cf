//! The bodies that clients and servers exchange about envelopes (`docs/protocol.md`, sections 5, 6 and 8).

mod create;
mod delivered;
mod pending;
mod report;

use serde_json::{Map, Value, json};

use crate::address::{Origin, UserName};
use crate::device_set::DeviceSetRef;

pub use create::{DeliveryProgress, create_accepted};
pub use delivered::DeliveredActivity;
pub use pending::{device_offered, pending_device};
pub use report::{Report, ReportKind};

/// The inline `@context` of everything made here: the standard one and this server's terms.
pub fn context(origin: &Origin) -> Value {
    json!(["https://www.w3.org/ns/activitystreams", origin.ns()])
}

/// Tells a connected device to fetch its queue, where an entry is too long for a frame (section 8).
pub fn announce(origin: &Origin, user: &UserName) -> Value {
    json!({"@context": context(origin), "type": "Announce", "object": origin.inbox(user)})
}

/// A queued activity as its device gets it: with the time it was accepted (epoch milliseconds) and the
/// entry's own address, by which it is acknowledged.
pub fn queued(mut activity: Value, received_ms: i64, entry: &str) -> Value {
    if let Some(members) = activity.as_object_mut() {
        members.insert("eko:received".to_owned(), json!(crate::timestamp::format(received_ms)));
        members.insert("eko:entry".to_owned(), json!(entry));
    }
    activity
}

pub(crate) fn put_device_set(object: &mut Map<String, Value>, set: Option<&DeviceSetRef>) {
    if let Some(set) = set {
        object.insert("eko:deviceSet".to_owned(), json!({"length": set.length, "head": set.head}));
    }
}
