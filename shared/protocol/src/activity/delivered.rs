use serde_json::Value;

use crate::Invalid;
use crate::address::check_url;
use crate::json::{has_type, text};
use crate::limits::MAX_DELIVERED;

/// A device's acknowledgement of entries in its queue (section 6), as it sends it to its outbox or its
/// socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredActivity {
    /// The actor id, where the device gave one.
    pub actor: Option<String>,
    /// The entries' addresses: 1 to [`MAX_DELIVERED`], none twice, in the order they came.
    pub entries: Vec<String>,
}

impl DeliveredActivity {
    /// Reads `{"type":"Delivered","object":<address or array of addresses>}`. Whose the entries are is for
    /// [`crate::address::Origin::parse_entry`] to say: one that is not the caller's changes nothing, and is
    /// no fault.
    ///
    /// # Errors
    /// Another type, no entry, too many, or something that is no address.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "Delivered") {
            return Err(Invalid::at("/type", "must be Delivered"));
        }
        let actor = match value.get("actor") {
            None => None,
            Some(_) => Some(text(value, "actor")?.to_owned()),
        };
        let given = match value.get("object") {
            Some(Value::Array(items)) if items.len() > MAX_DELIVERED => {
                return Err(Invalid::at("/object", format!("holds more than {MAX_DELIVERED} entries")));
            }
            Some(Value::Array(items)) if !items.is_empty() => items.as_slice(),
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            _ => return Err(Invalid::at("/object", "must be the address of an entry, or an array of them")),
        };
        let mut entries: Vec<String> = Vec::with_capacity(given.len());
        for (index, item) in given.iter().enumerate() {
            let entry = item.as_str().ok_or_else(|| Invalid::whole("must be a string"));
            let entry = entry.and_then(|text| check_url(text).map(|_| text.to_owned()));
            let entry = entry.map_err(|fault| fault.under(format!("/object/{index}")))?;
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        Ok(Self { actor, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ENTRY: &str = "https://a.example/user/bob/inbox/x";

    #[test]
    fn one_or_many() {
        let one = DeliveredActivity { actor: None, entries: vec![ENTRY.to_owned()] };
        assert_eq!(DeliveredActivity::parse(&json!({"type": "Delivered", "object": ENTRY})), Ok(one.clone()));
        assert_eq!(
            DeliveredActivity::parse(&json!({"type": ["Delivered"], "object": [ENTRY, ENTRY]})),
            Ok(one)
        );
    }

    #[test]
    fn other_shapes_are_refused() {
        let many = vec![ENTRY; MAX_DELIVERED + 1];
        for (value, pointer) in [
            (json!({"object": ENTRY}), "/type"),
            (json!({"type": "Delivered"}), "/object"),
            (json!({"type": "Delivered", "object": []}), "/object"),
            (json!({"type": "Delivered", "object": {"id": ENTRY}}), "/object"),
            (json!({"type": "Delivered", "object": many}), "/object"),
            (json!({"type": "Delivered", "object": [ENTRY, 1]}), "/object/1"),
            (json!({"type": "Delivered", "object": [ENTRY, "x"]}), "/object/1"),
            (json!({"type": "Delivered", "object": ENTRY, "actor": 1}), "/actor"),
        ] {
            assert_eq!(DeliveredActivity::parse(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(ns in proptest::collection::btree_set(any::<u32>(), 1..=100)) {
            let entries: Vec<_> = ns.iter().map(|n| format!("https://a.example/user/bob/inbox/{n}")).collect();
            let value = json!({"type": "Delivered", "actor": "https://a.example/user/bob",
            "object": entries});
            prop_assert_eq!(DeliveredActivity::parse(&value),
            Ok(DeliveredActivity { actor: Some("https://a.example/user/bob".into()), entries }));
        }
    }
}
