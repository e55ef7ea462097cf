//! The collections that a server answers with: a page of a mailbox, a user's key packages, a user's
//! device chain, what a user blocks, and the export of an account (`docs/protocol.md`, sections 3, 4, 6
//! and 10).

use serde_json::{Map, Value, json};

use crate::activity::put_device_set;
use crate::address::{Origin, UserName};
use crate::block::ListedBlock;
use crate::chain::ChainNode;
use crate::device_set::DeviceSetRef;
use crate::key_package::KeyPackage;
use crate::vocabulary::context;

/// The one-time keys that a device has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PreKeyCount {
    /// The number of one-time Curve25519 prekeys, `eko:preKeyCount`.
    pub pre_keys: u64,
    /// The number of one-time Kyber prekeys, `eko:kyberPreKeyCount`. The last-resort key does not
    /// count.
    pub kyber_pre_keys: u64,
}

/// Writes a page of a device's mailbox (section 6).
///
/// `page` is the address that the device asked for, `entries` are the entries, oldest first, and
/// `next` is the address of the next page if there is one. The page has no `totalItems`.
///
/// ```
/// use eko_protocol::address::{Origin, UserName};
/// use eko_protocol::collection::{PreKeyCount, inbox_page};
///
/// let (origin, bob) = (Origin::parse("https://b.example")?, UserName::parse("bob")?);
/// let page = inbox_page(&origin, &bob, &origin.inbox(&bob), vec![], None, PreKeyCount::default());
/// assert_eq!(page["type"], "OrderedCollectionPage");
/// assert_eq!(page["eko:preKeyCount"], 0);
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
pub fn inbox_page(
    origin: &Origin,
    user: &UserName,
    page: &str,
    entries: Vec<Value>,
    next: Option<&str>,
    count: PreKeyCount,
) -> Value {
    let mut body = start("OrderedCollectionPage", page);
    body.insert("partOf".to_owned(), json!(origin.inbox(user)));
    body.insert("orderedItems".to_owned(), Value::Array(entries));
    body.insert("eko:preKeyCount".to_owned(), json!(count.pre_keys));
    body.insert("eko:kyberPreKeyCount".to_owned(), json!(count.kyber_pre_keys));
    if let Some(next) = next {
        body.insert("next".to_owned(), json!(next));
    }
    Value::Object(body)
}

/// Writes the list of what a user blocks (section 6), in the given order.
pub fn blocks(origin: &Origin, user: &UserName, blocks: &[ListedBlock]) -> Value {
    let mut body = start("OrderedCollection", &origin.blocked(user));
    body.insert("totalItems".to_owned(), json!(blocks.len()));
    body.insert("orderedItems".to_owned(), blocks.iter().map(ListedBlock::to_value).collect());
    Value::Object(body)
}

/// Writes a user's key packages (section 4): the public list, or the answer to a `Take`. Only the
/// packages of an answer to a `Take` carry one-time keys.
pub fn key_packages(
    origin: &Origin,
    user: &UserName,
    packages: &[KeyPackage],
    device_set: Option<&DeviceSetRef>,
) -> Value {
    package_collection(&origin.key_packages(user), packages, device_set)
}

/// Writes a collection of key packages with the address `id`.
pub(crate) fn package_collection(
    id: &str,
    packages: &[KeyPackage],
    device_set: Option<&DeviceSetRef>,
) -> Value {
    let items: Vec<Value> = packages.iter().map(KeyPackage::to_value).collect();
    let mut body = start("Collection", id);
    body.insert("totalItems".to_owned(), json!(items.len()));
    body.insert("items".to_owned(), Value::Array(items));
    put_device_set(&mut body, device_set);
    Value::Object(body)
}

/// Writes a user's device chain (section 3), first node first.
pub fn device_chain(
    origin: &Origin,
    user: &UserName,
    nodes: &[ChainNode],
    device_set: Option<&DeviceSetRef>,
) -> Value {
    let mut body = start("OrderedCollection", &origin.devices(user));
    body.insert("totalItems".to_owned(), json!(nodes.len()));
    body.insert("orderedItems".to_owned(), nodes.iter().map(ChainNode::to_value).collect());
    put_device_set(&mut body, device_set);
    Value::Object(body)
}

/// Writes a page of the export of an account (section 10).
///
/// `page` is the address that the device asked for, and `next` is the address of the next page if there
/// is one.
pub fn export_page(
    origin: &Origin,
    user: &UserName,
    page: &str,
    items: Vec<Value>,
    next: Option<&str>,
) -> Value {
    let mut body = start("OrderedCollectionPage", page);
    body.insert("partOf".to_owned(), json!(origin.export(user)));
    body.insert("orderedItems".to_owned(), Value::Array(items));
    if let Some(next) = next {
        body.insert("next".to_owned(), json!(next));
    }
    Value::Object(body)
}

/// Writes an item of an export: its type, and the device whose it is, before its other members.
pub fn exported(kind: &str, device: Option<&str>, members: Map<String, Value>) -> Value {
    let mut item = Map::new();
    item.insert("type".to_owned(), json!(["Object", kind]));
    if let Some(device) = device {
        item.insert("device".to_owned(), json!(device));
    }
    item.extend(members);
    Value::Object(item)
}

/// Returns the first members of a collection: context, type and id.
pub(crate) fn start(kind: &str, id: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("@context".to_owned(), context());
    body.insert("type".to_owned(), json!(kind));
    body.insert("id".to_owned(), json!(id));
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_the_contract() {
        let (origin, bob) = (Origin::parse("https://b.example").unwrap(), UserName::parse("bob").unwrap());
        let context = context();
        let set = DeviceSetRef::new(1, "ab".repeat(32)).unwrap();
        let count = PreKeyCount { pre_keys: 98, kyber_pre_keys: 3 };
        let inbox = "https://b.example/user/bob/inbox";
        assert_eq!(
            inbox_page(
                &origin,
                &bob,
                inbox,
                vec![json!({"type": "Create"})],
                Some("https://b.example/user/bob/inbox?after=1"),
                count
            ),
            json!({
                "@context": context, "type": "OrderedCollectionPage", "id": inbox, "partOf": inbox,
                "orderedItems": [{"type": "Create"}],
                "next": "https://b.example/user/bob/inbox?after=1", "eko:preKeyCount": 98,
                "eko:kyberPreKeyCount": 3,
            })
        );
        assert!(inbox_page(&origin, &bob, inbox, vec![], None, count).get("next").is_none());
        assert_eq!(
            key_packages(&origin, &bob, &[], Some(&set)),
            json!({"@context": context, "type": "Collection", "id": "https://b.example/user/bob/keyPackages",
            "totalItems": 0, "items": [], "eko:deviceSet": set})
        );
        assert_eq!(
            device_chain(&origin, &bob, &[], None),
            json!({"@context": context, "type": "OrderedCollection",
            "id": "https://b.example/user/bob/devices", "totalItems": 0, "orderedItems": []})
        );
    }
}
